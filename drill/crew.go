package drill

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// What a process of a drill is, by the argument it is started with after Command.
const (
	Command = "drill-process"
	Actor   = "actor"  // starts one process for each order it gets
	Doer    = "step"   // does one step
	Victim  = "victim" // sleeps
)

// Limits of one step.
const (
	stepTime   = 20 * time.Second
	orphanTime = 10 * time.Second
	// orphanStays is how long an orphan is there after its step, for the agent to look at.
	orphanStays = 2 * time.Second
)

// reportFD is the descriptor that a process tells its Attempt on. What a step becomes
// does not have it.
const reportFD = 3

// Crew are the processes of one drill: one that does the steps contained, one that does
// those of everybody, and one that only sleeps.
type Crew struct {
	contained, free *actor
	victim          *exec.Cmd
	sleep           io.Closer
}

// actor is one process that does steps on order.
type actor struct {
	cmd     *exec.Cmd
	orders  io.WriteCloser
	answers *bufio.Reader
}

// Start starts the crew of a scene. Nobody is contained yet: that is for the agent to do,
// before any order. They end with this process.
func Start(s Scene) (*Crew, error) {
	c := &Crew{victim: crewman(s, Victim)}
	sleep, err := c.victim.StdinPipe()
	if err == nil {
		c.sleep = sleep
		err = c.victim.Start()
	}
	if err == nil {
		c.contained, err = startActor(s)
	}
	if err == nil {
		c.free, err = startActor(s)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the drill's processes: %w", err), c.Close())
	}
	return c, nil
}

// crewman is a process of the drill. It is killed where this one is.
func crewman(s Scene, what string) *exec.Cmd {
	cmd := exec.Command(s.Program(), Command, what)
	cmd.Env, cmd.Dir = environment, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	return cmd
}

func startActor(s Scene) (*actor, error) {
	a := &actor{cmd: crewman(s, Actor)}
	var err error
	if a.orders, err = a.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	a.answers = bufio.NewReader(out)
	return a, a.cmd.Start()
}

// Contained is the process to contain before the first order.
func (c *Crew) Contained() int { return c.contained.cmd.Process.Pid }

// Free is the process that does what everybody may try.
func (c *Crew) Free() int { return c.free.cmd.Process.Pid }

// Attempt has a step done, and tells how it went.
func (c *Crew) Attempt(o Order) (Attempt, error) {
	s, ok := Find(o.Step)
	if !ok {
		return Attempt{}, fmt.Errorf("there is no step %q", o.Step)
	}
	o.Scene.Victim = c.victim.Process.Pid
	who := c.contained
	if s.Everybody {
		who = c.free
	}
	return who.attempt(o)
}

func (a *actor) attempt(o Order) (Attempt, error) {
	var got Attempt
	if err := json.NewEncoder(a.orders).Encode(o); err != nil {
		return got, fmt.Errorf("the drill's process: %w", err)
	}
	line, err := a.answers.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &got)
	}
	if err != nil {
		return got, fmt.Errorf("the drill's process ended: %w", err)
	}
	return got, nil
}

// Close ends the crew.
func (c *Crew) Close() error {
	var errs []error
	end := func(in io.Closer, cmd *exec.Cmd) {
		if in != nil {
			_ = in.Close() // it ends when there is nothing to read
		}
		if cmd == nil || cmd.Process == nil {
			return
		}
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			errs = append(errs, err)
		}
		_ = cmd.Wait() // killed, or ended: both are meant
	}
	end(c.sleep, c.victim)
	for _, a := range []*actor{c.contained, c.free} {
		if a != nil {
			end(a.orders, a.cmd)
		}
	}
	return errors.Join(errs...)
}

// Act is the life of a process of the drill, by what it is. A Doer may become another
// program and never return.
func Act(what string, in io.Reader, out io.Writer) error {
	switch what {
	case Actor:
		return act(in, out)
	case Doer:
		return doOrder(in)
	case Victim:
		_, err := io.Copy(io.Discard, in)
		return err
	}
	return fmt.Errorf("there is no process %q in a drill", what)
}

func act(in io.Reader, out io.Writer) error {
	orders := json.NewDecoder(in)
	answers := json.NewEncoder(out)
	for {
		var o Order
		if err := orders.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := answers.Encode(inProcess(o)); err != nil {
			return err
		}
	}
}

// inProcess has a step done by a process of its own: events of others are never taken for
// those of this one.
func inProcess(o Order) Attempt {
	got := Attempt{Step: o.Step, Went: WentWrong}
	cmd, report, err := startDoer(o, nil)
	if err != nil {
		got.Error = err.Error()
		return got
	}
	defer report.Close()
	got.PID = cmd.Process.Pid
	slow := time.AfterFunc(stepTime, func() {
		_ = cmd.Process.Kill() // it may have ended just now
		_ = report.SetReadDeadline(time.Unix(1, 0))
	})
	said, _ := io.ReadAll(report) // cut short only when it is late
	ended := cmd.Wait()
	switch {
	case !slow.Stop():
		got.Error = "it did not end within " + stepTime.String()
	case len(said) == 0:
		got.Went, got.Error = became(cmd.ProcessState.ExitCode(), o.Step, ended)
	default:
		if err := json.Unmarshal(said, &got); err != nil {
			got.Went, got.Error = WentWrong, err.Error()
		}
	}
	return got
}

// became is how a step went that has become another program. Where that program only
// leads to the step's own it tells by its end whether it got there.
func became(status int, step string, ended error) (Went, string) {
	s, _ := Find(step)
	switch {
	case s.Op == "library" || s.Op == "script":
		if status == ranStatus {
			return WentThrough, ""
		}
		return WentRefused, fmt.Sprint(ended)
	case status < 0:
		return WentRefused, fmt.Sprint(ended) // a signal
	}
	return WentThrough, ""
}

// startDoer starts a process for an order, with a pipe that it reports on; to is where,
// nil for a new one.
func startDoer(o Order, to *os.File) (*exec.Cmd, *os.File, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return nil, nil, err
	}
	var report *os.File
	if to == nil {
		if report, to, err = os.Pipe(); err != nil {
			return nil, nil, err
		}
		defer to.Close()
	}
	order, give, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer order.Close()
	cmd := exec.Command(o.Scene.Program(), Command, Doer) // by its name: Comm
	cmd.Env, cmd.Dir, cmd.Stdin = environment, "/", order
	cmd.ExtraFiles = []*os.File{to}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if o.Orphan > 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	}
	if err := cmd.Start(); err != nil {
		give.Close()
		return nil, nil, err
	}
	_, err = give.Write(text) // a pipe holds more than that
	return cmd, report, errors.Join(err, give.Close())
}

// errHandedOn is returned by a step that somebody else does.
var errHandedOn = errors.New("another process does it")

// doOrder does one step and reports how it went.
func doOrder(in io.Reader) error {
	unix.CloseOnExec(reportFD)
	report := os.NewFile(reportFD, "report")
	var o Order
	if err := json.NewDecoder(in).Decode(&o); err != nil {
		return err
	}
	s, ok := Find(o.Step)
	if !ok {
		return fmt.Errorf("there is no step %q", o.Step)
	}
	err := alone(o)
	if err == nil {
		err = s.do(o)
	}
	if errors.Is(err, errHandedOn) {
		return nil
	}
	got := Attempt{Step: s.Name, PID: os.Getpid(), Went: s.went(err)}
	if err != nil {
		got.Error = err.Error()
	}
	if err := json.NewEncoder(report).Encode(got); err != nil || o.Orphan == 0 {
		return err
	}
	// Who has no parent is known by his program, as long as he is there.
	time.Sleep(orphanStays)
	return nil
}

// alone waits until the parent of an orphan is gone.
func alone(o Order) error {
	if o.Orphan == 0 {
		return nil
	}
	for range orphanTime / (10 * time.Millisecond) {
		if os.Getppid() != o.Orphan {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("process %s has not ended: %w", strconv.Itoa(o.Orphan), errPrepare)
}

// connectAsOrphan leaves it to a child in a session of its own, and ends.
func connectAsOrphan(o Order) error {
	if o.Orphan > 0 {
		return connect(o)
	}
	o.Orphan = os.Getpid()
	if _, _, err := startDoer(o, os.NewFile(reportFD, "report")); err != nil {
		return errors.Join(errPrepare, err)
	}
	return errHandedOn
}
