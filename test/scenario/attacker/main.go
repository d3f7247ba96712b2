//go:build linux && amd64

// Command attacker is what the scenarios attack with: a small network service that
// performs given system calls inside its own process, as somebody does who has taken
// a service over. It promises to do what it is asked step by step, to say how each
// step ended and when, and to do nothing at all outside a test machine.
//
//	attacker serve ADDRESS    the service, under whatever account started it
//	attacker ask              hands steps on standard input to services, prints results
//	attacker alone            one step in a process of its own (the service starts it)
//	attacker do OPERATION …   one operation, for root's shell before and after a step
//	attacker deputy ADDRESS … a daemon that does what it is asked, such as docker's
//
// Called kannuki-agent it stands in for the agent where there is none.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "attacker:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if err := insideTestMachine(); err != nil {
		return err
	}
	if filepath.Base(os.Args[0]) == agentName {
		return standIn(args)
	}
	switch {
	case len(args) > 1 && args[0] == "do":
		return doOne(args[1:])
	case len(args) > 1 && args[0] == "deputy":
		return deputy(args[1:])
	case len(args) == 2 && args[0] == "serve":
		return serve(args[1])
	case len(args) == 1 && args[0] == "ask":
		return ask(os.Stdin, os.Stdout)
	case len(args) == 1 && args[0] == "alone":
		return alone(os.Stdin, os.Stdout)
	}
	return errors.New("usage: attacker serve ADDRESS | ask | alone | do OPERATION … | deputy ADDRESS …")
}

// doOne performs one operation.
func doOne(words []string) error {
	r := perform(Step{Do: [][]string{words}})
	fmt.Print(r.Output)
	if r.Error != "" {
		return errors.New(r.Error)
	}
	return nil
}

// insideTestMachine looks for what only QEMU with our firmware table shows. guest.Check
// asks more, but its token is for commands of the host and a service has none.
func insideTestMachine() error {
	const file = "/sys/class/dmi/id/product_name"
	name, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("this is no test machine: %w", err)
	}
	if strings.TrimSpace(string(name)) != "kannuki test machine" {
		return fmt.Errorf("this is no test machine: %s says %q", file, name)
	}
	return nil
}
