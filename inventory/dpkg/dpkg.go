// Package dpkg reads the database of Debian's package manager from its own files
// (never from translated command output): what is installed, and which package
// owns a path. It promises that every stanza ends up either as a package, as one
// that is known not to be installed, or in the list of what could not be read.
package dpkg

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory/rootfs"
)

// The places of the database below a root.
const (
	StatusPath    = "var/lib/dpkg/status"
	StatusDirPath = "var/lib/dpkg/status.d" // images without dpkg keep one file per package here
)

// Read lists the installed packages below root. found tells whether there is a
// dpkg database at all.
func Read(root *rootfs.FS) (packages []host.Package, unread []host.Unread, found bool, err error) {
	file, err := root.OpenFile(StatusPath)
	switch {
	case err == nil:
		found = true
		packages, unread, err = Parse(file, root.Show(StatusPath), false)
		file.Close()
		if err != nil {
			return nil, nil, true, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, nil, true, err
	}
	entries, err := root.ReadDir(StatusDirPath)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		unread = append(unread, host.NotRead(root.Show(StatusDirPath), err))
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".md5sums") || e.IsDir() {
			continue
		}
		found = true
		p, u := readOne(root, StatusDirPath+"/"+e.Name())
		packages, unread = append(packages, p...), append(unread, u...)
	}
	return packages, unread, found, nil
}

// readOne reads one file of status.d; what breaks it concerns its package only.
func readOne(root *rootfs.FS, name string) ([]host.Package, []host.Unread) {
	file, err := root.OpenFile(name)
	if err != nil {
		return nil, []host.Unread{host.NotRead(root.Show(name), err)}
	}
	defer file.Close()
	packages, unread, err := Parse(file, root.Show(name), true)
	if err != nil {
		unread = append(unread, host.NotRead(root.Show(name), err))
	}
	return packages, unread
}

// Parse reads stanzas in the format of dpkg's status file (deb822). name is the
// file, for messages. A stanza without Status counts as installed where
// installedByDefault says so (status.d), and is unread otherwise. Only a failing
// reader is an error.
func Parse(r io.Reader, name string, installedByDefault bool) ([]host.Package, []host.Unread, error) {
	p := parser{name: name, installed: installedByDefault, shared: map[string]string{}}
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			// Only a continuation or a field we do not keep is that long.
			p.line(line)
			if colon := bytes.IndexByte(line, ':'); colon > 0 && fieldOf(line[:colon]) != fieldNone {
				p.fault(host.NewFault("long-line", p.number, in.Size()))
			}
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = in.ReadSlice('\n')
			}
			line = nil
		} else if len(line) > 0 {
			p.line(bytes.TrimRight(line, "\r\n"))
		}
		if err == io.EOF {
			p.end()
			return p.packages, p.unread, nil
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: line %d: %w", name, p.number, err)
		}
	}
}

// field is one of the fields we keep.
type field int

const (
	fieldNone field = iota
	fieldPackage
	fieldStatus
	fieldVersion
	fieldArch
	fieldSource
	fieldOrigin
	fieldCount
)

// fieldNames in lower case: deb822 names do not depend on case.
var fieldNames = [fieldCount]string{"", "package", "status", "version", "architecture", "source", "origin"}

// parser holds the stanza being read.
type parser struct {
	name      string
	installed bool
	number    int // of the line
	start     int // line the stanza began at, 0 between stanzas
	bad       error
	values    [fieldCount]string
	// shared keeps one copy of values that most stanzas repeat (state, architecture, source).
	shared   map[string]string
	packages []host.Package
	unread   []host.Unread
}

func (p *parser) line(line []byte) {
	p.number++
	if len(bytes.TrimSpace(line)) == 0 {
		p.end()
		return
	}
	if line[0] == '#' {
		return
	}
	if p.start == 0 {
		p.start = p.number
	}
	if line[0] == ' ' || line[0] == '\t' {
		return // continuation: no field we keep has a second line
	}
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		p.fault(host.NewFault("not-field", p.number))
		return
	}
	f := fieldOf(line[:colon])
	if f == fieldNone {
		return
	}
	value := bytes.TrimSpace(line[colon+1:])
	if p.values[f] != "" {
		p.fault(host.NewFault("twice", p.number, string(line[:colon])))
		return
	}
	p.values[f] = p.keep(f, value)
}

// fieldOf tells which field a name is. Length and first letter rule most out.
func fieldOf(name []byte) field {
	for f := fieldPackage; f < fieldCount; f++ {
		if want := fieldNames[f]; len(name) == len(want) && name[0]|0x20 == want[0] && strings.EqualFold(string(name), want) {
			return f
		}
	}
	return fieldNone
}

func (p *parser) keep(f field, value []byte) string {
	if f == fieldPackage || f == fieldVersion {
		return string(value)
	}
	if s, ok := p.shared[string(value)]; ok {
		return s
	}
	s := string(value)
	p.shared[s] = s
	return s
}

func (p *parser) fault(why error) {
	if p.bad == nil {
		p.bad = why
	}
}

// end closes the stanza.
func (p *parser) end() {
	if p.start == 0 {
		return
	}
	if why := p.close(); why != nil {
		what := p.name + ":" + strconv.Itoa(p.start)
		if n := p.values[fieldPackage]; n != "" {
			what += " " + n
		}
		p.unread = append(p.unread, host.NotRead(what, why))
	}
	p.start, p.bad, p.values = 0, nil, [fieldCount]string{}
}

// close adds the stanza's package, and says why where it cannot.
func (p *parser) close() error {
	v := &p.values
	installed, why := p.state()
	switch {
	case p.bad != nil:
		return p.bad
	case v[fieldPackage] == "":
		return host.NewFault("no-field", "Package")
	case why != nil:
		return why
	case !installed:
		return nil
	case v[fieldVersion] == "":
		return host.NewFault("no-field", "Version")
	}
	source, version, why := splitSource(v[fieldSource])
	if why != nil {
		return why
	}
	pkg := host.Package{
		Name: v[fieldPackage], Version: v[fieldVersion], Arch: v[fieldArch],
		Source: source, SourceVersion: version, Kind: "dpkg", Vendor: v[fieldOrigin],
	}
	if pkg.Source == "" {
		pkg.Source = pkg.Name
	}
	if pkg.SourceVersion == "" {
		pkg.SourceVersion = pkg.Version
	}
	p.packages = append(p.packages, pkg)
	return nil
}

// state reads "want flag state" (dpkg(1)): whether the package's code is on disk,
// or why that cannot be told.
func (p *parser) state() (installed bool, why error) {
	status := p.values[fieldStatus]
	if status == "" {
		if p.installed {
			return true, nil
		}
		return false, host.NewFault("no-field", "Status")
	}
	switch status[strings.LastIndexByte(status, ' ')+1:] {
	case "installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending":
		return true, nil
	case "config-files", "not-installed":
		return false, nil
	case "half-installed":
		return false, host.NewFault("half-installed")
	}
	return false, host.NewFault("unknown-status", strconv.Quote(status))
}

// splitSource reads "name" or "name (version)".
func splitSource(s string) (name, version string, why error) {
	name, rest, ok := strings.Cut(s, " ")
	if !ok {
		return s, "", nil
	}
	rest = strings.TrimSpace(rest)
	if len(rest) < 3 || rest[0] != '(' || rest[len(rest)-1] != ')' {
		return "", "", host.NewFault("odd-source", strconv.Quote(s))
	}
	return name, strings.TrimSpace(rest[1 : len(rest)-1]), nil
}
