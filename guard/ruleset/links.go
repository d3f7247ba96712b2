package ruleset

import (
	"errors"
	"io/fs"
	"path"
	"strings"
	"syscall"
)

// kind is what lies at one path, links not followed.
type kind int

const (
	missing kind = iota
	directory
	link
	file // anything else
)

type node struct {
	kind   kind
	target string // of a link
}

// tree looks at the host's files, each once.
type tree struct {
	fs    fs.FS
	nodes map[string]node
}

// maxLinks is how many links one path may go through, as in the kernel (MAXSYMLINKS).
const maxLinks = 40

var errLoop = errors.New("its links lead in a circle")

// located is where a path of the policy really lies.
type located struct {
	path  string
	kind  kind
	links []string // links that its last name went through, as they really lie
}

// locate follows every link of an absolute path. What is missing stays as it is named,
// below what is there.
func (t *tree) locate(at string) (located, error) {
	out := located{path: "/", kind: directory}
	rest := strings.Split(strings.Trim(path.Clean(at), "/"), "/")
	followed := 0
	for last := false; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == "" || name == "." {
			continue
		}
		if name == ".." {
			out.path, out.kind = path.Dir(out.path), directory
			continue
		}
		here := path.Join(out.path, name)
		n, err := t.look(here)
		switch {
		case err != nil:
			return out, err
		case n.kind == missing || n.kind == file && len(rest) > 0:
			out.path, out.kind = path.Join(here, path.Join(rest...)), missing
			return out, nil
		case n.kind != link:
			out.path, out.kind = here, n.kind
			continue
		}
		if followed++; followed > maxLinks {
			return out, errLoop
		}
		if last = last || len(rest) == 0; last {
			out.links = append(out.links, here)
		}
		if path.IsAbs(n.target) {
			out.path = "/"
		}
		rest = append(strings.Split(n.target, "/"), rest...)
	}
	return out, nil
}

// look tells what lies at a path whose directory has been located.
func (t *tree) look(at string) (node, error) {
	if n, ok := t.nodes[at]; ok {
		return n, nil
	}
	n, err := t.ask(strings.TrimPrefix(at, "/"))
	if err == nil {
		t.nodes[at] = n
	}
	return n, err
}

func (t *tree) ask(name string) (node, error) {
	if t.fs == nil {
		return node{}, nil
	}
	info, err := fs.Lstat(t.fs, name)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, fs.ErrInvalid):
		return node{}, nil
	case err != nil:
		return node{}, err
	case info.IsDir():
		return node{kind: directory}, nil
	case info.Mode()&fs.ModeSymlink == 0:
		return node{kind: file}, nil
	}
	target, err := fs.ReadLink(t.fs, name)
	return node{kind: link, target: target}, err
}
