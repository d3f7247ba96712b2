package services

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// deletedMark ends the name of a file that has lost its name.
const deletedMark = " (deleted)"

// mapping is one executable mapping of a file.
type mapping struct {
	span    string // "7f76d3d01000-7f76d3e57000"
	inode   uint64
	path    string
	deleted bool
}

// parseMapping reads one line of proc_pid_maps(5); ok is false for what is not the
// executable mapping of a file. The kernel writes a newline in a name as \012.
func parseMapping(line string) (m mapping, ok bool) {
	var fields [5]string
	rest := line
	for i := range fields {
		fields[i], rest, ok = strings.Cut(rest, " ")
		if !ok {
			return m, false
		}
	}
	path := strings.TrimLeft(rest, " ")
	if len(fields[1]) < 3 || fields[1][2] != 'x' || !strings.HasPrefix(path, "/") {
		return m, false
	}
	inode, err := strconv.ParseUint(fields[4], 10, 64)
	if err != nil || inode == 0 {
		return m, false
	}
	m = mapping{span: fields[0], inode: inode, path: strings.ReplaceAll(path, `\012`, "\n")}
	m.path, m.deleted = strings.CutSuffix(m.path, deletedMark)
	return m, true
}

// mappings lists the files whose code pid has mapped, and those among them that
// are no longer what stands on disk under their name.
func (r *reader) mappings(pid int) (mapped, replaced []string, err error) {
	file, err := os.Open(r.path(pid, "maps"))
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	type key struct {
		path  string
		inode uint64
	}
	seen := map[key]bool{}
	lines := bufio.NewScanner(file)
	lines.Buffer(make([]byte, 0, 16<<10), 1<<20)
	for lines.Scan() {
		m, ok := parseMapping(lines.Text())
		if k := (key{m.path, m.inode}); !ok || seen[k] {
			continue
		} else {
			seen[k] = true
		}
		switch r.judge(pid, m) {
		case isCurrent:
			mapped = append(mapped, m.path)
		case isReplaced:
			replaced = append(replaced, m.path)
		}
	}
	return mapped, replaced, lines.Err()
}

// fate of a mapped file.
type fate int

const (
	isCurrent  fate = iota
	isReplaced      // deleted, or another file has its name now
	isScratch       // never was a file of a package: generated code, shared memory
)

// judge compares a mapping with the disk.
func (r *reader) judge(pid int, m mapping) fate {
	disk, err := r.onDisk(m.path)
	gone := errors.Is(err, fs.ErrNotExist)
	switch {
	case m.deleted && gone && isScratchPath(m.path):
		return isScratch
	case m.deleted:
		return isReplaced
	case err != nil || disk.inode == m.inode:
		return isCurrent
	}
	// The number in maps is the file system's own, which overlay and some others
	// show differently: ask the mapping itself before saying so.
	actual, err := stat(r.path(pid, "map_files/"+m.span))
	if err != nil || actual == disk {
		return isCurrent
	}
	return isReplaced
}

// onDisk identifies the file that has a name now, once per name.
func (r *reader) onDisk(path string) (fileID, error) {
	if id, ok := r.files[path]; ok {
		if id == (fileID{}) {
			return id, fs.ErrNotExist
		}
		return id, nil
	}
	id, err := stat(path)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		r.files[path] = id
	}
	return id, err
}

// scratchPaths hold mapped files that programs make for themselves and unlink.
var scratchPaths = []string{"/memfd:", "/dev/", "/SYSV", "/tmp/", "/var/tmp/", "/run/", "/anon_hugepage", "/i915", "/proc/", "/[aio]"}

func isScratchPath(path string) bool {
	for _, p := range scratchPaths {
		if strings.HasPrefix(path, p) {
			return true
		}
	}
	return false
}

// fileID tells files apart; the zero value is no file.
type fileID struct{ device, inode uint64 }
