//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kannuki/kannuki/internal/vm/guest"
	"github.com/kannuki/kannuki/internal/vm/port"
)

const (
	agentPath   = "/run/kannuki-guest/agent"
	defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

	// afterExit is how long output is awaited that a daemon left behind holds open.
	afterExit = 2 * time.Second
)

// server answers the host.
type server struct {
	token  string
	writes sync.Mutex
	out    io.Writer

	mu      sync.Mutex
	running map[uint32]*os.Process
	files   map[uint32]*upload
}

type upload struct {
	file *os.File
	err  error
}

// agent serves the port until the host ends the machine.
func agent() error {
	token, err := guest.Token()
	if err != nil {
		return err
	}
	// The kernel and systemd start us with paths of their own; commands are looked up here.
	if err := os.Setenv("PATH", defaultPath); err != nil {
		return err
	}
	link, err := openPort()
	if err != nil {
		return err
	}
	s := &server{out: link, running: map[uint32]*os.Process{}, files: map[uint32]*upload{}}
	return s.serve(patient{link}, token)
}

// openPort opens the port of our name; udev or devtmpfs may make it a moment late.
func openPort() (*os.File, error) {
	for range 200 {
		names, _ := filepath.Glob("/sys/class/virtio-ports/*/name")
		for _, name := range names {
			if content, err := os.ReadFile(name); err == nil && strings.TrimSpace(string(content)) == port.Name {
				return os.OpenFile("/dev/"+filepath.Base(filepath.Dir(name)), os.O_RDWR, 0)
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil, fmt.Errorf("no virtio port %s", port.Name)
}

// patient reads on where a port says end of file because no host is connected yet.
type patient struct{ r io.Reader }

func (p patient) Read(b []byte) (int, error) {
	for {
		n, err := p.r.Read(b)
		if n == 0 && (err == nil || errors.Is(err, io.EOF)) {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		return n, err
	}
}

func (s *server) serve(in io.Reader, token string) error {
	for {
		f, err := port.Read(in)
		if err != nil {
			return err
		}
		if s.token == "" && f.Kind != port.Hello {
			return fmt.Errorf("frame %q before a greeting", byte(f.Kind))
		}
		switch f.Kind {
		case port.Hello:
			err = s.hello(f, token)
		case port.Exec:
			s.exec(f)
		case port.Signal:
			s.signal(f)
		case port.Push:
			s.push(f)
		case port.Data:
			s.data(f)
		case port.Pull:
			go s.pull(f)
		case port.PowerOff:
			powerOff()
		default:
			err = fmt.Errorf("unknown frame %q", byte(f.Kind))
		}
		if err != nil {
			return err
		}
	}
}

// hello takes the host for ours if it knows this boot's token.
func (s *server) hello(f port.Frame, token string) error {
	var from port.Greeting
	if err := f.Into(&from); err != nil {
		return err
	}
	if from.Token != token {
		return errors.New("the host does not know this boot's token")
	}
	s.token = token
	if from.Clock != 0 {
		_ = syscall.Settimeofday(&syscall.Timeval{Sec: from.Clock})
	}
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	s.sendJSON(port.Hello, f.ID, port.Greeting{Token: token, Kernel: strings.TrimSpace(string(release))})
	return nil
}

// exec starts a command; its output and exit status follow as they come.
func (s *server) exec(f port.Frame) {
	var c port.Command
	err := f.Into(&c)
	var cmd *exec.Cmd
	if err == nil {
		cmd, err = s.command(c)
	}
	if err == nil {
		cmd.Stdout = stream{s, port.Stdout, f.ID}
		cmd.Stderr = stream{s, port.Stderr, f.ID}
		if c.Merge {
			cmd.Stderr = cmd.Stdout // one pipe
		}
		err = cmd.Start()
	}
	if err != nil {
		s.done(f.ID, err)
		return
	}
	s.mu.Lock()
	s.running[f.ID] = cmd.Process
	s.mu.Unlock()
	go func() {
		err := cmd.Wait()
		s.mu.Lock()
		delete(s.running, f.ID)
		s.mu.Unlock()
		s.sendJSON(port.Done, f.ID, outcome(cmd, err))
	}()
}

func (s *server) command(c port.Command) (*exec.Cmd, error) {
	if len(c.Args) == 0 {
		return nil, errors.New("a command without arguments")
	}
	account, err := lookup(c.User)
	if err != nil {
		return nil, err
	}
	path, err := exec.LookPath(c.Args[0])
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path)
	cmd.Args = c.Args
	if c.Login {
		cmd = exec.Command(agentPath)
		cmd.Args = append([]string{agentPath, "login", account.uid, path}, c.Args...)
	}
	cmd.Env = append([]string{
		"PATH=" + defaultPath, "LANG=C.UTF-8", "HOME=" + account.home, "USER=" + account.name,
		"LOGNAME=" + account.name, guest.Env + "=" + s.token,
	}, c.Env...)
	cmd.Dir = c.Dir
	if cmd.Dir == "" {
		cmd.Dir = "/"
	}
	cmd.Stdin = strings.NewReader(string(c.Stdin))
	cmd.WaitDelay = afterExit
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: account.credential}
	return cmd, nil
}

// account is who a command runs as.
type account struct {
	name, uid, home string
	credential      *syscall.Credential
}

func lookup(name string) (account, error) {
	if name == "" {
		name = "root"
	}
	u, err := user.Lookup(name)
	if err != nil {
		return account{}, err
	}
	groups, err := u.GroupIds()
	if err != nil {
		return account{}, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return account{}, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return account{}, err
	}
	credential := &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	for _, group := range groups {
		if g, err := strconv.ParseUint(group, 10, 32); err == nil {
			credential.Groups = append(credential.Groups, uint32(g))
		}
	}
	return account{name: name, uid: u.Uid, home: u.HomeDir, credential: credential}, nil
}

func outcome(cmd *exec.Cmd, err error) port.Outcome {
	state := cmd.ProcessState
	if state == nil {
		return port.Outcome{Error: err.Error()}
	}
	status := state.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return port.Outcome{Code: 128 + int(status.Signal()), Signal: status.Signal().String()}
	}
	return port.Outcome{Code: status.ExitStatus()}
}

// signal ends a command with its whole process group.
func (s *server) signal(f port.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.running[f.ID]; p != nil && len(f.Body) == 1 {
		_ = syscall.Kill(-p.Pid, syscall.Signal(f.Body[0]))
	}
}

// push opens a file for the data that follows. What goes wrong is told at its end.
func (s *server) push(f port.Frame) {
	var to port.File
	err := f.Into(&to)
	up := &upload{err: err}
	if err == nil {
		up.file, up.err = create(to)
	}
	s.files[f.ID] = up
}

func create(to port.File) (*os.File, error) {
	owner, err := lookup(to.User)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(to.Path), 0o755); err != nil {
		return nil, err
	}
	// A running program cannot be written over, but it can be replaced.
	if err := os.Remove(to.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	file, err := os.OpenFile(to.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	err = file.Chown(int(owner.credential.Uid), int(owner.credential.Gid))
	if err == nil {
		err = syscall.Fchmod(int(file.Fd()), to.Mode&0o7777)
	}
	return file, err
}

func (s *server) data(f port.Frame) {
	up := s.files[f.ID]
	if up == nil {
		return
	}
	if len(f.Body) > 0 {
		if up.err == nil {
			_, up.err = up.file.Write(f.Body)
		}
		return
	}
	delete(s.files, f.ID)
	if up.file != nil {
		up.err = errors.Join(up.err, up.file.Close())
	}
	s.done(f.ID, up.err)
}

func (s *server) pull(f port.Frame) {
	var from port.File
	if err := f.Into(&from); err != nil {
		s.done(f.ID, err)
		return
	}
	file, err := os.Open(from.Path)
	if err != nil {
		s.done(f.ID, err)
		return
	}
	defer file.Close()
	_, err = io.Copy(struct{ io.Writer }{stream{s, port.Data, f.ID}}, file)
	s.done(f.ID, err)
}

func (s *server) done(id uint32, err error) {
	var o port.Outcome
	if err != nil {
		o.Error = err.Error()
	}
	s.sendJSON(port.Done, id, o)
}

func (s *server) sendJSON(kind port.Kind, id uint32, v any) {
	s.writes.Lock()
	defer s.writes.Unlock()
	if err := port.WriteJSON(s.out, kind, id, v); err != nil {
		fmt.Fprintln(os.Stderr, "guestd:", err)
	}
}

// stream sends what is written to it as frames.
type stream struct {
	s    *server
	kind port.Kind
	id   uint32
}

func (w stream) Write(b []byte) (int, error) {
	for sent := 0; sent < len(b); {
		part := b[sent:min(len(b), sent+port.MaxBody)]
		w.s.writes.Lock()
		err := port.Write(w.s.out, port.Frame{Kind: w.kind, ID: w.id, Body: part})
		w.s.writes.Unlock()
		if err != nil {
			return sent, err
		}
		sent += len(part)
	}
	return len(b), nil
}
