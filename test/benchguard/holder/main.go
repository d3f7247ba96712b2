//go:build linux

// Command holder puts the guard in force inside a test machine, for measurements: for
// each number on its standard input the built-in standard policy with so many rules
// more. It says what that took, and takes the guard off when its input ends. "holder
// reduced" has the guard's third tier. Outside a test machine it does nothing.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/kannuki/kannuki/guard"
	"github.com/kannuki/kannuki/internal/vm/guest"
	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/policyfile"
)

func main() {
	if err := hold(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "holder:", err)
		os.Exit(1)
	}
}

// enforcer is what both guards do.
type enforcer interface {
	Apply(policy.Policy, time.Time) (guard.Applied, error)
	Status() (guard.Status, error)
	Close() error
}

func open(reduced bool) (enforcer, error) {
	o := guard.Options{Now: time.Now}
	if reduced {
		return guard.OpenReduced(o, nil)
	}
	return guard.Open(o)
}

func hold(args []string, asked io.Reader, said io.Writer) (err error) {
	if err := guest.Check(); err != nil {
		return err
	}
	began := time.Now()
	g, err := open(slices.Contains(args, "reduced"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	opened := time.Since(began)
	for lines := bufio.NewScanner(asked); lines.Scan(); {
		more, err := strconv.Atoi(lines.Text())
		if err != nil {
			return err
		}
		if err := apply(g, more, opened, said); err != nil {
			return err
		}
	}
	return nil
}

// apply puts the policy in force; times are seconds, which under -icount are 10⁹
// instructions.
func apply(g enforcer, more int, opened time.Duration, said io.Writer) error {
	p, err := policyfile.Builtin("standard")
	if err != nil {
		return err
	}
	for i := range more {
		p.Spaces.User = append(p.Spaces.User, policy.UserPath{Path: fmt.Sprintf("/srv/rules/%d", i), Why: "one of many"})
	}
	const lib = "/usr/libexec/bench"
	p.Interpreters.Programs = append(p.Interpreters.Programs, policy.Interpreter{Language: "bench", Names: []string{"interpreter"}, Extensions: []string{".py"}})
	p.Programs = append(p.Programs, policy.ProgramDir{Path: lib})
	began := time.Now()
	applied, err := g.Apply(p, began)
	if err != nil {
		return err
	}
	took := time.Since(began)
	status, err := g.Status()
	if err != nil {
		return err
	}
	return json.NewEncoder(said).Encode(map[string]any{"Open": opened.Seconds(), "Apply": took.Seconds(), "Tier": status.Tier,
		"KernelBytes": status.KernelBytes, "Rules": applied.Rules})
}
