//go:build linux && amd64

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Step is a request: operations one after the other, until one fails. Each is a name
// and its arguments.
type Step struct {
	Name string
	To   string // the service's address
	Do   [][]string
}

// Result is how a step ended.
type Result struct {
	Name         string
	Error        string // of the operation that failed
	Output       string // what started programs printed
	Began, Ended time.Time
}

const (
	patience  = time.Minute // for one started program
	maxOutput = 4 << 10
)

// doer performs one step.
type doer struct {
	env    []string
	output bytes.Buffer
	keep   []io.Closer // listeners and the like, until the step ends
}

func perform(s Step) Result {
	r := Result{Name: s.Name, Began: time.Now()}
	d := &doer{env: os.Environ()}
	defer func() {
		for _, c := range d.keep {
			c.Close()
		}
	}()
	if err := d.all(s); err != nil {
		r.Error = err.Error()
	}
	r.Output, r.Ended = d.said(), time.Now()
	return r
}

func (d *doer) all(s Step) error {
	for i, words := range s.Do {
		rest := Step{Name: s.Name, Do: s.Do[i+1:]}
		switch words[0] {
		case "alone":
			return d.inCopy(rest, &syscall.SysProcAttr{})
		case "within":
			return d.within(rest, words[1:])
		case "elsewhere":
			return d.elsewhere(rest, words[1:])
		}
		if err := d.do(words); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(words, " "), err)
		}
	}
	return nil
}

func (d *doer) said() string {
	text := d.output.Bytes()
	return string(text[:min(len(text), maxOutput)])
}

// do finds an operation by its name. A "-" before it means: go on when it fails.
func (d *doer) do(words []string) error {
	name, mayFail := strings.CutPrefix(words[0], "-")
	op, ok := operations[name]
	if !ok {
		return fmt.Errorf("there is no operation %q", name)
	}
	args := slices.Clone(words[1:])
	for i := range args {
		args[i] = firstOf(args[i])
	}
	if len(args) < op.least || (!op.more && len(args) > op.least) {
		return fmt.Errorf("%s takes %d arguments, not %d", name, op.least, len(args))
	}
	err := op.do(d, args)
	if err != nil && mayFail {
		fmt.Fprintf(&d.output, "%s: %v\n", strings.Join(words, " "), err)
		return nil
	}
	return err
}

// inCopy performs the rest of a step in another process of this program, for what
// changes or replaces the whole process.
func (d *doer) inCopy(s Step, how *syscall.SysProcAttr) error {
	request, err := json.Marshal(s)
	if err != nil {
		return err
	}
	cmd := exec.Command("/proc/self/exe", "alone")
	cmd.Env = d.env
	cmd.Stdin = bytes.NewReader(request)
	cmd.SysProcAttr = how
	return d.wait(cmd)
}

// isAlone tells whether this is such a process.
func isAlone() bool { return len(os.Args) == 2 && os.Args[1] == "alone" }

// elsewhere lets another attacked service perform the rest of a step.
func (d *doer) elsewhere(s Step, address []string) error {
	if len(address) != 1 {
		return errors.New("elsewhere takes a service's address")
	}
	s.To = address[0]
	var r Result
	if err := request(s, &r); err != nil {
		return err
	}
	d.output.WriteString(r.Output)
	if r.Error != "" {
		return errors.New(r.Error)
	}
	return nil
}

// wait runs a program to its end and keeps what it printed.
func (d *doer) wait(cmd *exec.Cmd) error {
	cmd.Stdout, cmd.Stderr = &d.output, &d.output
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.WaitDelay = time.Second // a child left behind may hold the output open
	if err := cmd.Start(); err != nil {
		return err
	}
	late := time.AfterFunc(patience, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	defer late.Stop()
	return cmd.Wait()
}

// alone performs one step, as the copy that inCopy starts.
func alone(in io.Reader, out io.Writer) error {
	var s Step
	if err := json.NewDecoder(in).Decode(&s); err != nil {
		return err
	}
	r := perform(s)
	fmt.Fprint(out, r.Output)
	if r.Error != "" {
		return fmt.Errorf("%s", r.Error)
	}
	return nil
}

// serve answers on an address: one JSON step a line, one JSON result a line.
func serve(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		if err := answer(c); err != nil {
			fmt.Fprintln(os.Stderr, "attacker:", err)
		}
		c.Close()
	}
}

func answer(c net.Conn) error {
	lines := bufio.NewScanner(c)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var s Step
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			return err
		}
		if err := json.NewEncoder(c).Encode(perform(s)); err != nil {
			return err
		}
	}
	return lines.Err()
}

// ask sends each step to its service and prints the result. Operations "outside" are
// done here, by nobody in particular: a visitor of the service.
func ask(in io.Reader, out io.Writer) error {
	steps := json.NewDecoder(in)
	results := json.NewEncoder(out)
	failed := "" // what the last step of a service met
	for {
		var s Step
		err := steps.Decode(&s)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		r := Result{Name: s.Name, Began: time.Now()}
		if s.To == "" {
			// Whoever looks need not wait for what has not begun.
			if err := os.Setenv("STEP_FAILED", failed); err != nil {
				return err
			}
			r, failed = perform(s), ""
		} else {
			if err := request(s, &r); err != nil {
				r.Error, r.Ended = err.Error(), time.Now()
			}
			failed = r.Error
		}
		if err := results.Encode(r); err != nil {
			return err
		}
	}
}

func request(s Step, r *Result) error {
	c, err := net.DialTimeout("tcp", s.To, 5*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(4 * patience)); err != nil {
		return err
	}
	if err := json.NewEncoder(c).Encode(s); err != nil {
		return err
	}
	return json.NewDecoder(c).Decode(r)
}
