//go:build linux

package vm

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kannuki/kannuki/internal/vm/guest"
	"github.com/kannuki/kannuki/internal/vm/port"
)

// machine is one QEMU process and the conversation with what runs in it.
type machine struct {
	cmd     *exec.Cmd
	dir     string        // its own temporary folder
	gone    chan struct{} // closed when QEMU has ended
	exit    error         // how, once gone
	link    *link
	monitor *monitor
	kernel  string // the guest's `uname -r`
}

// boot says how QEMU is to be started.
type boot struct {
	kernel  *Linux
	initrd  [][]byte // archives, one after the other
	cmdline []string
	memory  int // MiB
	cpus    int
	icount  bool
	token   string   // empty draws one
	extra   []string // QEMU's further arguments
	clock   int64
}

const (
	linkFD    = 3 // the first of exec.Cmd.ExtraFiles
	monitorFD = 4
)

// launch starts QEMU and waits until the agent in it has answered. QEMU dies with this
// process, whatever ends it.
func launch(ctx context.Context, b boot) (*machine, error) {
	if b.token == "" {
		b.token = newToken()
	}
	dir, err := os.MkdirTemp("", "kannuki-vm-")
	if err != nil {
		return nil, err
	}
	m := &machine{dir: dir, gone: make(chan struct{})}
	if err := m.start(b); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	if err := m.greet(ctx, b); err != nil {
		err = fmt.Errorf("%w\nconsole:\n%s", err, tail(m.console(), 40))
		m.close()
		return nil, err
	}
	os.Remove(m.initrdPath()) // QEMU has read it; a killed test leaves a small folder only
	return m, nil
}

func newToken() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails: it would end the program
	return hex.EncodeToString(b)
}

func (m *machine) start(b boot) error {
	initrd := m.initrdPath()
	if err := os.WriteFile(initrd, bytes.Join(b.initrd, nil), 0o600); err != nil {
		return err
	}
	linkHost, linkGuest, err := pair("link")
	if err != nil {
		return err
	}
	monitorHost, monitorGuest, err := pair("monitor")
	if err != nil {
		return err
	}
	defer linkGuest.Close()
	defer monitorGuest.Close()
	m.cmd = exec.Command(qemu, b.args(initrd, m.consolePath())...)
	m.cmd.ExtraFiles = []*os.File{linkGuest, monitorGuest}
	said := &bytes.Buffer{}
	m.cmd.Stdout, m.cmd.Stderr = said, said
	started := make(chan error, 1)
	go func() {
		err := tied(m.cmd, syscall.SIGKILL, func(err error) { started <- err })
		m.exit = fmt.Errorf("%s has ended (%v) %s", qemu, err, said)
		close(m.gone)
	}()
	if err := <-started; err != nil {
		linkHost.Close()
		monitorHost.Close()
		return err
	}
	m.link = newLink(linkHost)
	m.monitor = newMonitor(monitorHost)
	return nil
}

// tied runs a program that gets a signal when this process ends, however it does. The
// kernel sends it when the starting thread ends, so that thread stays until the program
// has. started hears at once whether it runs.
func tied(cmd *exec.Cmd, signal syscall.Signal, started func(error)) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: signal, Setpgid: true}
	err := cmd.Start()
	started(err)
	if err != nil {
		return err
	}
	return cmd.Wait()
}

const qemu = "qemu-system-x86_64"

// args is QEMU's command line. Nothing is there that is not named here: no network, no
// display, no default devices, no user configuration.
func (b boot) args(initrd, console string) []string {
	words := append([]string{
		"console=ttyS0", "loglevel=4", "panic=-1", "oops=panic", "no_timer_check", "tsc=reliable",
		"random.trust_cpu=on", "rdinit=/" + guest.InitComm, guest.CommandLine + b.token,
	}, b.cmdline...)
	args := []string{
		// One thread for all processors: with one each, a processor now and then ran a
		// breakpoint that another had taken back already (the kernel patches its own code
		// when programs are attached), and the kernel panicked over it. QEMU 7.2.
		"-accel", "tcg,thread=single", "-machine", "pc", "-cpu", "max", "-smp", strconv.Itoa(b.cpus), "-m", strconv.Itoa(b.memory),
		"-nodefaults", "-no-user-config", "-display", "none", "-nic", "none", "-no-reboot",
		"-smbios", "type=1,manufacturer=QEMU,product=" + guest.Product + ",version=" + b.token,
		"-kernel", b.kernel.Image(), "-initrd", initrd, "-append", strings.Join(words, " "),
		"-chardev", "file,id=console,path=" + console, "-serial", "chardev:console",
		"-chardev", fmt.Sprintf("socket,id=agent,fd=%d", linkFD),
		"-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent,name=" + port.Name,
		"-chardev", fmt.Sprintf("socket,id=monitor,fd=%d", monitorFD), "-mon", "chardev=monitor,mode=control",
	}
	if b.icount {
		args = append(args, "-icount", "shift=0")
	}
	return append(args, b.extra...)
}

func (m *machine) greet(ctx context.Context, b boot) error {
	hello, err := m.link.call(ctx, m.gone, port.Hello, port.Greeting{Token: b.token, Clock: b.clock})
	if err != nil {
		return fmt.Errorf("the machine did not come up: %w", m.why(err))
	}
	var from port.Greeting
	if err := hello.Into(&from); err != nil {
		return err
	}
	if from.Token != b.token {
		return errors.New("another machine answered")
	}
	m.kernel = from.Kernel
	return nil
}

// why adds what QEMU said to an error that came because it ended.
func (m *machine) why(err error) error {
	select {
	case <-m.gone:
		return errors.Join(err, m.exit)
	default:
		return err
	}
}

func (m *machine) initrdPath() string { return filepath.Join(m.dir, "initrd") }

func (m *machine) consolePath() string { return filepath.Join(m.dir, "console") }

func (m *machine) console() string {
	content, _ := os.ReadFile(m.consolePath())
	return strings.ReplaceAll(string(content), "\r", "")
}

// powerOff lets the guest end by itself, and ends QEMU where it does not.
func (m *machine) powerOff() {
	if m.link.send(port.Frame{Kind: port.PowerOff}) == nil {
		select {
		case <-m.gone:
		case <-time.After(5 * time.Second):
		}
	}
	m.close()
}

// close ends QEMU, which this process started and nobody else can have waited for, and
// removes its folder. It can be called twice.
func (m *machine) close() {
	select {
	case <-m.gone:
	default:
		_ = m.cmd.Process.Kill()
		<-m.gone
	}
	m.link.close()
	m.monitor.close()
	os.RemoveAll(m.dir)
}

// pair is a connected pair of sockets: one end for us, one for QEMU. Unlike a socket
// with a name nobody else can reach it.
func pair(name string) (host, guest *os.File, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	if err := syscall.SetNonblock(fds[0], true); err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name+"-guest"), nil
}

// gathered is what a command prints, both streams in the order they came.
type gathered struct {
	mu          sync.Mutex
	all, stdout bytes.Buffer
}

func (g *gathered) take(f port.Frame) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all.Write(f.Body)
	if f.Kind == port.Stdout {
		g.stdout.Write(f.Body)
	}
}

// exec runs a command to its end. When ctx ends first the command is asked for a stack
// trace and then killed, and what it printed is returned with the error.
func (m *machine) exec(ctx context.Context, c port.Command) (Result, error) {
	var g gathered
	began := time.Now()
	call, err := m.link.begin(port.Exec, c, g.take)
	if err != nil {
		return Result{}, m.why(err)
	}
	done, err := call.wait(ctx, m.gone)
	if ctx.Err() != nil && err != nil {
		for _, signal := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGKILL} {
			_ = m.link.send(port.Frame{Kind: port.Signal, ID: call.id, Body: []byte{byte(signal)}})
			grace, cancel := context.WithTimeout(context.Background(), 3*time.Second)
			_, still := call.wait(grace, m.gone)
			cancel()
			if still == nil {
				break
			}
		}
		err = fmt.Errorf("%s: still running after %s: %w", strings.Join(c.Args, " "), time.Since(began).Round(time.Millisecond), err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	r := Result{Output: g.all.String(), Stdout: g.stdout.String(), Took: time.Since(began)}
	if err != nil {
		return r, m.why(err)
	}
	var o port.Outcome
	if err := done.Into(&o); err != nil {
		return r, err
	}
	if o.Error != "" {
		return r, fmt.Errorf("%s: %s", strings.Join(c.Args, " "), o.Error)
	}
	r.ExitCode, r.Signal = o.Code, o.Signal
	return r, nil
}

// tail is the last lines of a text.
func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
