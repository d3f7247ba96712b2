package spool

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The tests below need a process of their own to kill, or to be short of disk: the
// test binary starts itself with one of these words.
const childWord = "KANNUKI_SPOOL_CHILD"

func TestMain(m *testing.M) {
	dir := os.Getenv("KANNUKI_SPOOL_DIR")
	switch os.Getenv(childWord) {
	case "append":
		appendForever(dir)
	case "full":
		runFull(dir)
	default:
		os.Exit(m.Run())
	}
}

func child(word, dir string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childWord+"="+word, "KANNUKI_SPOOL_DIR="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

// appendForever prints the number of each event once Append has returned, and
// "synced N" once Sync has.
func appendForever(dir string) {
	s, err := Open(dir, 16<<20)
	for n := 1; err == nil; n++ {
		if err = s.Append(numbered(n)); err == nil {
			fmt.Println(n)
		}
		if n%50 == 0 && err == nil {
			if err = s.Sync(); err == nil {
				fmt.Println("synced", n)
			}
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// TestNoAcknowledgedEventIsLostToKill9 kills a writer in mid-work, several times over.
// A kill takes nothing Append has returned for; a power cut could take no more than
// what came after the last Sync, and that is a part of it.
func TestNoAcknowledgedEventIsLostToKill9(t *testing.T) {
	for round := range 5 {
		dir := t.TempDir()
		cmd := child("append", dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Duration(200+40*round)*time.Millisecond, func() { cmd.Process.Kill() })
		acknowledged, synced := 0, 0
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if text, ok := strings.CutPrefix(lines.Text(), "synced "); ok {
				synced, _ = strconv.Atoi(text)
			} else if n, err := strconv.Atoi(lines.Text()); err == nil {
				acknowledged = n
			}
		}
		err = cmd.Wait()
		if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
			t.Fatalf("the writer was not killed: %v", err)
		}
		if synced == 0 {
			t.Fatal("the writer was killed before it had synced anything; the test shows nothing")
		}
		s := open(t, dir, 16<<20)
		got, _ := read(t, s, time.Time{})
		if len(got) < acknowledged || !slices.Equal(got, sequence(1, len(got))) || s.Lost() > 1 {
			t.Fatalf("round %d: %d acknowledged, %d synced, %d read, %d lost", round, acknowledged, synced, len(got), s.Lost())
		}
		fill(t, s, len(got)+1, len(got)+5)
	}
}

// runFull lets files grow to 20 kB only, as a full disk would, and later further.
func runFull(dir string) {
	signal.Ignore(syscall.SIGXFSZ)
	limit := func(bytes uint64) error {
		return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: bytes, Max: 1 << 30})
	}
	s, err := Open(dir, MinBound)
	err = errors.Join(err, limit(20_000))
	if err != nil {
		fmt.Println("setup:", err)
		os.Exit(1)
	}
	n, failed := 0, 0
	for failed < 3 {
		n++
		if err := s.Append(numbered(n)); err != nil {
			failed++
			fmt.Println("failed", n, err)
		}
	}
	readable := 0
	for _, err := range s.Since(time.Time{}) {
		if err == nil {
			readable++
		}
	}
	fmt.Println("readable", readable, "lost", s.Lost())
	err = limit(1 << 30)
	for range 10 {
		n++
		err = errors.Join(err, s.Append(numbered(n)))
	}
	fmt.Println("recovered", n, errors.Join(err, s.Close()))
	os.Exit(0)
}

func TestAFullDiskCostsOnlyWhatHappensWhileItIsFull(t *testing.T) {
	dir := t.TempDir()
	raw, err := child("full", dir).Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	said := strings.Split(strings.TrimSpace(string(raw)), "\n")
	if len(said) != 5 {
		t.Fatalf("said:\n%s", raw)
	}
	var tried, last, readable, lost int
	for _, line := range said[:3] {
		if !strings.Contains(line, dir) || !strings.Contains(line, ".events") || !strings.Contains(line, "free space") {
			t.Errorf("no file or no way out: %s", line)
		}
	}
	if _, err := fmt.Sscanf(said[2], "failed %d ", &tried); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(said[3], "readable %d lost %d", &readable, &lost); err != nil || readable != tried-3 || lost != 3 {
		t.Errorf("of %d tried: %s (%v)", tried, said[3], err)
	}
	if _, err := fmt.Sscanf(said[4], "recovered %d <nil>", &last); err != nil {
		t.Fatalf("%s: %v", said[4], err)
	}
	s := open(t, dir, MinBound)
	got, warnings := read(t, s, time.Time{})
	if s.Lost() != 3 || len(got) != last-3 || len(warnings) > 0 || got[len(got)-1] != last {
		t.Errorf("afterwards: %d of %d read, lost %d, %v", len(got), last, s.Lost(), warnings)
	}
}
