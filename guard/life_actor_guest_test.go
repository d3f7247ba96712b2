//go:build guest && linux

package guard_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// An actor is a process that does what its test tells it, over a socket, until the test
// ends: what a process is to the guard is told from what it may do.
type actor struct {
	name string
	pid  int
}

type told struct {
	Verb string
	Args []string
}

type answer struct {
	PID, Tries, Done int
	Err              string
}

const actorDir = "/run/actors/"

// start starts program, a name of the attacker, as an actor.
func start(t *testing.T, program string) *actor {
	t.Helper()
	a := newActor()
	cmd := exec.Command(program, "actor", a.name)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go cmd.Wait()
	a.meet(t)
	t.Cleanup(func() { unix.Kill(a.pid, unix.SIGKILL) })
	return a
}

var actorNumber int

func newActor() *actor {
	actorNumber++
	return &actor{name: strconv.Itoa(actorNumber)}
}

// meet waits until the actor answers.
func (a *actor) meet(t *testing.T) {
	t.Helper()
	until := time.Now().Add(20 * time.Second)
	for {
		got, err := a.ask("hello")
		if err == nil {
			a.pid = got.PID
			return
		}
		if time.Now().After(until) {
			t.Fatalf("actor %s does not answer: %v", a.name, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (a *actor) ask(verb string, args ...string) (got answer, err error) {
	c, err := net.Dial("unix", actorDir+a.name)
	if err != nil {
		return got, err
	}
	defer c.Close()
	if err := json.NewEncoder(c).Encode(told{verb, args}); err != nil {
		return got, err
	}
	return got, json.NewDecoder(c).Decode(&got)
}

// does has the actor do something and tells whether it succeeded. EPERM and EACCES are
// no success; anything else is a mistake of the test.
func (a *actor) does(t *testing.T, verb string, args ...string) bool {
	t.Helper()
	got, err := a.ask(verb, args...)
	if err != nil {
		t.Fatalf("actor %s: %s: %v", a.name, verb, err)
	}
	switch got.Err {
	case "":
		return true
	case "refused":
		return false
	}
	t.Fatalf("actor %s: %s %v: %s", a.name, verb, args, got.Err)
	return false
}

// must is does for what has to succeed.
func (a *actor) must(t *testing.T, verb string, args ...string) {
	t.Helper()
	if !a.does(t, verb, args...) {
		t.Fatalf("%s %v was refused", verb, args)
	}
}

// is fails the test where an actor may, or may not, do something.
func (a *actor) is(t *testing.T, want bool, verb string, args ...string) {
	t.Helper()
	if got := a.does(t, verb, args...); got != want {
		t.Errorf("%s %v: succeeded %v, want %v", verb, args, got, want)
	}
}

// spawn has the actor start a child that is an actor too.
func (a *actor) spawn(t *testing.T, program string) *actor {
	t.Helper()
	child := newActor()
	a.must(t, "spawn", program, child.name)
	child.meet(t)
	t.Cleanup(func() { unix.Kill(child.pid, unix.SIGKILL) })
	return child
}

// becomes has the actor run another program, from a thread that is not its first.
func (a *actor) becomes(t *testing.T, program string) {
	t.Helper()
	a.must(t, "exec", program, a.name)
	a.meet(t)
}

// logsIn puts the actor in a login session, all its threads: it sets the login of one
// and runs itself again from that.
func (a *actor) logsIn(t *testing.T, uid string) {
	t.Helper()
	a.must(t, "exec", attacker, a.name, uid)
	a.meet(t)
}

// ends ends the actor and waits until it is gone.
func (a *actor) ends(t *testing.T) {
	t.Helper()
	unix.Kill(a.pid, unix.SIGKILL)
	gone(t, a.pid)
}

// gone waits until a process is nothing but its exit status: the kernel lets go of its
// program before it tells that the process has ended, and its first thread may be gone
// while others still are on their way.
func gone(t *testing.T, pid int) {
	t.Helper()
	for until := time.Now().Add(10 * time.Second); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return
		}
		threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		if err != nil {
			return
		}
		if _, rest, ok := bytes.Cut(stat, []byte(") ")); ok && (rest[0] == 'Z' || rest[0] == 'X') && len(threads) < 2 {
			return
		}
	}
	t.Fatalf("process %d does not end", pid)
}

// act is the actor's process.
func act(name string) int {
	// What it is told in must not depend on what it may do.
	os.MkdirAll(actorDir, 0o777)
	os.Chmod(actorDir, 0o777)
	os.Remove(actorDir + name)
	l, err := net.Listen("unix", actorDir+name)
	if err != nil {
		fmt.Println("actor", name, err)
		return 3
	}
	os.Chmod(actorDir+name, 0o777)
	p := &player{}
	for {
		c, err := l.Accept()
		if err != nil {
			return 3
		}
		var order told
		if json.NewDecoder(c).Decode(&order) == nil {
			p.play(order, c)
		}
		c.Close()
	}
}

// player is what an actor remembers.
type player struct {
	stop  chan struct{}
	tally chan answer
}

func (p *player) play(order told, c net.Conn) {
	got := answer{PID: os.Getpid()}
	err := errors.New("no such verb")
	arg := append(order.Args, "", "", "")
	switch order.Verb {
	case "hello":
		err = nil
	case "user":
		uid, _ := strconv.Atoi(arg[0])
		err = errors.Join(syscall.Setgid(uid), syscall.Setuid(uid))
	case "listen":
		_, err = net.Listen("tcp", "0.0.0.0:0")
	case "launch":
		err = run(arg[0])
	case "script":
		cmd := exec.Command(busybox)
		cmd.Args = []string{"sh", arg[0]}
		if err = cmd.Run(); err != nil {
			err = unix.EPERM // the shell says it in words
		}
	case "install":
		err = install(arg[0])
	case "write":
		err = touch(arg[0])
	case "rename":
		err = os.Rename(arg[0], arg[1])
	case "mkdir":
		err = os.Mkdir(arg[0], 0o755)
	case "remove":
		err = os.Remove(arg[0])
	case "gain":
		err = gain(arg[0])
	case "borrow":
		err = borrow(arg[0])
	case "spawn":
		cmd := exec.Command(arg[0], "actor", arg[1])
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err = cmd.Start(); err == nil {
			go cmd.Wait()
		}
	case "exec":
		json.NewEncoder(c).Encode(got) // there may be nobody to answer afterwards
		c.Close()
		done := make(chan error)
		go func() {
			runtime.LockOSThread()
			if arg[2] != "" {
				if err := os.WriteFile("/proc/thread-self/loginuid", []byte(arg[2]), 0); err != nil {
					fmt.Println("login:", err)
				}
			}
			done <- syscall.Exec(arg[0], []string{arg[0], "actor", arg[1]}, os.Environ())
		}()
		fmt.Println("exec:", <-done)
		return
	case "hammer":
		p.stop, p.tally = make(chan struct{}), make(chan answer)
		go p.hammer(arg[0], arg[1])
		err = nil
	case "rest":
		close(p.stop)
		got, err = <-p.tally, nil
	}
	switch {
	case err == nil:
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		got.Err = "refused"
	default:
		got.Err = err.Error()
	}
	json.NewEncoder(c).Encode(got)
}

// hammer attempts to write one file and to launch another every few ms.
func (p *player) hammer(write, launch string) {
	var n answer
	for {
		select {
		case <-p.stop:
			p.tally <- n
			return
		case <-time.After(10 * time.Millisecond):
		}
		n.Tries++
		if touch(write) == nil {
			n.Done++
		}
		if launch == "" {
			continue
		}
		n.Tries++
		if run(launch) == nil {
			n.Done++
		}
	}
}

// run runs a copy of busybox.
func run(path string) error {
	cmd := exec.Command(path)
	cmd.Args = []string{"true"}
	return cmd.Run()
}

func touch(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

// hammered has an actor attempt, every 10 ms while something goes on, what must never
// succeed, and tells how often it tried.
func hammered(t *testing.T, write, launch string, meanwhile func()) int {
	t.Helper()
	a := start(t, attacker)
	a.must(t, "hammer", write, launch)
	meanwhile()
	got, err := a.ask("rest")
	if err != nil {
		t.Fatal(err)
	}
	if got.Done > 0 {
		t.Errorf("%d of %d attempts succeeded", got.Done, got.Tries)
	}
	if got.Tries == 0 {
		t.Error("nothing was attempted")
	}
	return got.Tries
}
