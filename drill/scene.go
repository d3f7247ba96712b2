package drill

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kannuki/kannuki/policy"
)

// Prefix is how the names of everything a drill makes begin.
const Prefix = "kannuki-drill-"

// Places are where a drill may make its own things. The zero value is a host's usual
// ones.
type Places struct {
	Root    string   // directory that is "/"; "": it is
	System  []string // directories of system space; the first that will do is taken
	Scratch []string // of user space
	Memory  string   // user space in memory
}

func (p Places) complete() Places {
	if len(p.System) == 0 {
		p.System = []string{"/usr/lib", "/usr/local/lib", "/opt", "/etc"}
	}
	if len(p.Scratch) == 0 {
		p.Scratch = []string{"/var/tmp", "/tmp", "/run"}
	}
	p.Memory = cmp.Or(p.Memory, "/dev/shm")
	return p
}

// Scene is what the steps of one drill are done with. Everything in it is the drill's
// own but Agent, Socket and Pins.
type Scene struct {
	Name    string `json:"name"`             // Prefix and what tells it from others
	Root    string `json:"root,omitempty"`   // directory that is "/"
	System  string `json:"system"`           // its directory in system space
	Scratch string `json:"scratch"`          // its directory in user space, where programs could run
	Memory  string `json:"memory,omitempty"` // one more, in memory; "": programs do not run there anyway
	Victim  int    `json:"victim,omitempty"` // a process of the drill that only sleeps, uncontained
	Agent   int    `json:"agent,omitempty"`  // the agent's process
	Socket  string `json:"socket,omitempty"` // the agent's
	Pins    string `json:"pins,omitempty"`   // where the guard's programs are pinned
	Policy  string `json:"policy,omitempty"` // the policy file
}

// Program is the copy of this program that does the steps: it lies in system space and is
// none of the programs that a policy names.
func (s Scene) Program() string { return filepath.Join(s.System, Comm) }

func (s Scene) at(path string) string { return filepath.Join(s.Root, path) }

// withoutRoot is a path as a policy names it.
func (s Scene) withoutRoot(path string) string {
	if s.Root == "" {
		return path
	}
	return "/" + strings.TrimPrefix(strings.TrimPrefix(path, s.Root), "/")
}

// Plan chooses where the things of a drill are to lie, by the policy they are to be
// judged by, and makes nothing yet: whoever makes it writes it down first, to clear it
// whatever happens.
func Plan(p Places, pol policy.Policy, name string) (Scene, error) {
	p = p.complete()
	s := Scene{Name: name, Root: p.Root}
	var tried []error
	for _, dir := range p.System {
		at := filepath.Join(dir, name)
		launches := pol.Explain(policy.Question{Op: policy.Exec, Path: filepath.Join(at, Comm), As: policy.AsContained})
		changes := pol.Explain(policy.Question{Op: policy.Write, Path: filepath.Join(at, "file"), As: policy.AsContained})
		err := usable(s.at(dir), false)
		if launches.Allowed && !changes.Allowed && err == nil {
			s.System = s.at(at)
			break
		}
		tried = append(tried, cmp.Or(err, fmt.Errorf("%s is no system space by this policy", dir)))
	}
	if s.System == "" {
		return s, fmt.Errorf("there is no system space to make the drill's own files in: %w", errors.Join(tried...))
	}
	for _, dir := range p.Scratch {
		err := s.userSpace(pol, dir)
		if err == nil {
			s.Scratch = s.at(filepath.Join(dir, name))
			break
		}
		tried = append(tried, err)
	}
	if s.Scratch == "" {
		return s, fmt.Errorf("there is no user space where a program could run: %w", errors.Join(tried...))
	}
	if s.userSpace(pol, p.Memory) == nil {
		s.Memory = s.at(filepath.Join(p.Memory, name))
	}
	return s, nil
}

// userSpace tells why dir is none that a program could be started from but for the
// guard.
func (s Scene) userSpace(pol policy.Policy, dir string) error {
	v := pol.Explain(policy.Question{Op: policy.Exec, Path: filepath.Join(dir, s.Name, "program"), As: policy.AsContained})
	if v.Allowed {
		return fmt.Errorf("%s launches by this policy (%s)", dir, v.Rule)
	}
	return usable(s.at(dir), true)
}

// usable tells why nothing can be made in dir, or nothing would run there anyway.
func usable(dir string, runs bool) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is no directory", dir)
	}
	var fsys unix.Statfs_t
	if err := unix.Statfs(dir, &fsys); err != nil {
		return &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	switch {
	case fsys.Flags&unix.ST_RDONLY != 0:
		return fmt.Errorf("%s is mounted read-only", dir)
	case runs && fsys.Flags&unix.ST_NOEXEC != 0:
		return fmt.Errorf("%s is mounted noexec", dir)
	}
	return nil
}

// Make makes what the steps need. program is read for Scene.Program.
func (s Scene) Make(program io.Reader) error {
	for _, dir := range s.directories() {
		mode := fs.FileMode(0o700)
		if dir == s.System {
			mode = 0o755
		}
		if err := os.Mkdir(dir, mode); err != nil {
			return err
		}
	}
	for _, step := range Steps() {
		if err := s.make(step); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(s.Program(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, program)
	return errors.Join(err, f.Close())
}

func (s Scene) make(step Step) error {
	at := s.own(step)
	switch step.makes {
	case program:
		return os.WriteFile(at, ownProgram(), 0o700)
	case script:
		return os.WriteFile(at, ownScript(), 0o700)
	case text, sealed:
		return os.WriteFile(at, []byte("kannuki drill\n"), 0o600)
	case room:
		return os.Mkdir(at, 0o700)
	}
	return nil
}

// own is the step's own file.
func (s Scene) own(step Step) string {
	name := step.Name
	if step.makes == script {
		name += ".sh"
	}
	if step.makes == sealed {
		return filepath.Join(s.System, name)
	}
	return filepath.Join(s.Scratch, name)
}

func (s Scene) directories() []string {
	return slices.DeleteFunc([]string{s.System, s.Scratch, s.Memory}, func(d string) bool { return d == "" })
}

// beside are directories whose steps would make one in them: where it is ignored.
var beside = []string{"/etc/cron.d", "/etc/systemd/system", "/etc/profile.d", "/etc/sudoers.d"}

// Clear removes what a drill has made and what its steps would have, and returns what is
// left all the same, with why.
func (s Scene) Clear() (left []string, err error) {
	if !strings.HasPrefix(s.Name, Prefix) || len(s.Name) <= len(Prefix) || strings.ContainsRune(s.Name, '/') {
		return nil, fmt.Errorf("%q is no name of a drill: nothing is removed", s.Name)
	}
	for _, dir := range s.directories() {
		if filepath.Base(dir) != s.Name {
			return nil, fmt.Errorf("%s is not the drill's: nothing is removed", dir)
		}
	}
	for range tries {
		err = s.clear()
		if left = s.Left(); len(left) == 0 {
			return nil, nil
		}
		time.Sleep(pause)
	}
	return left, err
}

func (s Scene) clear() error {
	var errs []error
	for _, dir := range s.directories() {
		errs = append(errs, os.RemoveAll(dir))
	}
	for _, dir := range beside {
		at := filepath.Join(s.at(dir), s.Name)
		if err := unix.Rmdir(at); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
			errs = append(errs, &fs.PathError{Op: "rmdir", Path: at, Err: err})
		}
	}
	return errors.Join(errs...)
}

// Traces are all places that something of the drill could be in.
func (s Scene) Traces() []string {
	all := s.directories()
	for _, dir := range beside {
		all = append(all, filepath.Join(s.at(dir), s.Name))
	}
	return all
}

// Left are the traces that are there.
func (s Scene) Left() []string {
	return slices.DeleteFunc(s.Traces(), func(at string) bool {
		_, err := os.Lstat(at)
		return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR)
	})
}
