package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// cost is what something took. User is processor time: on a machine that does other
// things too, it is what can be compared.
type cost struct {
	Wall, User time.Duration
	Peak       int64 // bytes resident at most; 0: not measured
}

// header and row print one table of 100 columns.
func header() {
	fmt.Printf("%-42s %-30s %8s %8s %7s  %s\n", "what", "data", "wall", "user", "memory", "bar")
}

func (c cost) row(what, data, bar string) {
	memory := "-"
	if c.Peak > 0 {
		memory = fmt.Sprintf("%d MB", c.Peak>>20)
	}
	fmt.Printf("%-42s %-30s %8s %8s %7s  %s\n", what, data, seconds(c.Wall), seconds(c.User), memory, bar)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// child runs a program and measures it as a whole process. An exit status in fine is
// no failure: scanners tell by it that they found something.
func child(ctx context.Context, fine []int, name string, args ...string) (cost, []byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	start := time.Now()
	err := cmd.Run()
	c := cost{Wall: time.Since(start)}
	if state := cmd.ProcessState; state != nil {
		c.User = state.UserTime()
		if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
			c.Peak = usage.Maxrss << 10
		}
		for _, status := range fine {
			if state.ExitCode() == status {
				err = nil
			}
		}
	}
	if err != nil {
		said := strings.TrimSpace(stderr.String())
		return c, nil, fmt.Errorf("%s %s: %w: %s", filepath.Base(name), strings.Join(args, " "), err, said[max(0, len(said)-300):])
	}
	return c, stdout.Bytes(), nil
}

// stopwatch measures a part of this process.
type stopwatch struct {
	at   time.Time
	user time.Duration
}

func startWatch() stopwatch { return stopwatch{time.Now(), userTime()} }

// stop leaves the memory to the caller: it is that of the whole process.
func (s stopwatch) stop() cost { return cost{Wall: time.Since(s.at), User: userTime() - s.user} }

// peakOfSelf is the most memory this process had resident since it was started, in
// bytes; 0 where the kernel does not say. What a parent learns of a child counts the
// parent's own memory at the fork too.
func peakOfSelf() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		var kilobytes int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kilobytes); err == nil {
			return kilobytes << 10
		}
	}
	return 0
}

func userTime() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano())
}
