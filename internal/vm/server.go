//go:build linux

package vm

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/internal/vm/port"
)

// Command is a program to run in a guest, for what Run of a Server does not say: a
// login session, an input, an environment.
type Command = port.Command

// Server is a Debian machine of one test: systemd, its services and two accounts, root
// and alice (who may sudo). It has no network but loopback.
type Server struct {
	config Config
	state  booted
	m      *machine
	told   string // what ran last, and how it ended
}

// Debian starts a server from the state in which it once had booted, in a second or
// two. Only the first test of a configuration waits for the installation (some three
// minutes) and the boot (about one). c.Files are put in place as root, with their
// permissions. The machine ends with the test.
func Debian(t testing.TB, c Config) *Server {
	t.Helper()
	requireHost(t, "qemu-img", "mmdebstrap", "unshare")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	disk, err := debianDisk()
	if err != nil {
		unavailable(t, err)
	}
	state, err := c.bootOnce(ctx, disk)
	if err != nil {
		t.Fatalf("booting Debian with kernel %s: %v", c.Kernel.Release(), err)
	}
	d := &Server{config: c, state: state}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("guest console, last lines:\n%s\n\nlast command:\n%s", tail(d.Console(), 60), tail(d.told, 100))
		}
		d.close()
	})
	d.Restore(t)
	return d
}

// Restore puts the whole machine, memory and disk, back to the moment after its boot.
// Whatever ran in it is gone; its clock is set to the host's.
func (d *Server) Restore(t testing.TB) {
	t.Helper()
	d.close()
	if err := d.restore(t.Context()); err != nil {
		t.Fatalf("restoring the Debian machine: %v", err)
	}
	for to, from := range d.config.Files {
		d.Push(t, from, to)
	}
}

func (d *Server) restore(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "kannuki-disk-")
	if err != nil {
		return err
	}
	// QEMU keeps the disk open: without a name it goes when QEMU does.
	defer os.RemoveAll(dir)
	disk := filepath.Join(dir, diskName)
	if err := copyFile(disk, d.state.disk); err != nil {
		return err
	}
	b := d.state.boot.onDisk(disk, "-loadvm", snapshot)
	b.clock = time.Now().Unix()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	d.m, err = launch(ctx, b)
	return err
}

func (d *Server) close() {
	if d.m != nil {
		d.m.close()
		d.m = nil
	}
}

// Kernel is the guest's `uname -r`.
func (d *Server) Kernel() string { return d.m.kernel }

// Console is what the guest wrote to its console since it was last restored.
func (d *Server) Console() string {
	if d.m == nil {
		return ""
	}
	return d.m.console()
}

// Run runs a command as a user ("" is root) to its end. Any exit status is a result; a
// command that cannot be started, or does not end within the configuration's Timeout,
// fails the test.
func (d *Server) Run(t testing.TB, user string, args ...string) Result {
	t.Helper()
	return d.Do(t, Command{Args: args, User: user})
}

// Do is Run for a command with more to say.
func (d *Server) Do(t testing.TB, c Command) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d.config.timeout())
	defer cancel()
	r, err := d.m.exec(ctx, c)
	d.told = fmt.Sprintf("%s\n%sexit status %d", strings.Join(c.Args, " "), r.Output, r.ExitCode)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// GoTest runs a package's tests inside the server, as GoTest does in a small machine.
func (d *Server) GoTest(t *testing.T, dir, tag string, args ...string) {
	t.Helper()
	p := buildTests(t, dir, tag)
	d.Push(t, p.bin, p.in())
	if p.data != "" {
		d.Push(t, p.data, path.Join(p.dir, "testdata"))
	}
	r := d.Do(t, Command{Args: p.command(d.config, args), Dir: p.dir, User: d.config.User, Env: d.config.Env, Merge: true})
	p.report(t, r)
}

// Push copies a file of the host, with its permissions, or a folder with all in it.
func (d *Server) Push(t testing.TB, from, to string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d.config.timeout())
	defer cancel()
	err := filepath.WalkDir(from, func(at string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		below, err := filepath.Rel(from, at)
		if err != nil {
			return err
		}
		file, err := os.Open(at)
		if err != nil {
			return err
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return err
		}
		return d.m.push(ctx, port.File{Path: filepath.Join(to, below), Mode: uint32(info.Mode().Perm())}, file)
	})
	if err != nil {
		t.Fatalf("pushing %s: %v", from, err)
	}
}

// Write makes a file in the guest, with an owner ("" is root) and permission bits.
func (d *Server) Write(t testing.TB, path string, content []byte, mode uint32, user string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d.config.timeout())
	defer cancel()
	if err := d.m.push(ctx, port.File{Path: path, Mode: mode, User: user}, strings.NewReader(string(content))); err != nil {
		t.Fatalf("writing %s in the guest: %v", path, err)
	}
}

// Pull returns the content of a file of the guest.
func (d *Server) Pull(t testing.TB, path string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d.config.timeout())
	defer cancel()
	content, err := d.m.pull(ctx, path)
	if err != nil {
		t.Fatalf("reading %s in the guest: %v", path, err)
	}
	return content
}

func (m *machine) push(ctx context.Context, to port.File, from io.Reader) error {
	call, err := m.link.begin(port.Push, to, nil)
	if err != nil {
		return m.why(err)
	}
	buf := make([]byte, port.MaxBody)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if err := m.link.send(port.Frame{Kind: port.Data, ID: call.id, Body: buf[:n]}); err != nil {
				return m.why(err)
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if err := m.link.send(port.Frame{Kind: port.Data, ID: call.id}); err != nil {
		return m.why(err)
	}
	return m.finish(ctx, call)
}

func (m *machine) pull(ctx context.Context, path string) ([]byte, error) {
	var g gathered
	call, err := m.link.begin(port.Pull, port.File{Path: path}, g.take)
	if err != nil {
		return nil, m.why(err)
	}
	if err := m.finish(ctx, call); err != nil {
		return nil, err
	}
	return g.all.Bytes(), nil
}

// finish waits for the end of a request that has only an error to tell.
func (m *machine) finish(ctx context.Context, c *call) error {
	done, err := c.wait(ctx, m.gone)
	if err != nil {
		return m.why(err)
	}
	var o port.Outcome
	if err := done.Into(&o); err != nil {
		return err
	}
	if o.Error != "" {
		return fmt.Errorf("guest: %s", o.Error)
	}
	return nil
}
