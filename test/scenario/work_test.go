//go:build linux && amd64

package scenario_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/internal/vm"
	"github.com/kannuki/kannuki/test/scenario"
)

// offer puts the local archive into the machine and makes it apt's only source.
func (m *machine) offer(t *testing.T, kernel *vm.Linux) {
	t.Helper()
	m.Push(t, archive(t, kernel), "/srv/archive")
	m.Write(t, "/etc/apt/sources.list.d/folder.list", []byte("deb [trusted=yes] file:/srv/archive ./\n"), 0o644, "")
	m.note(t, "the archive is offered")
}

// otherKernel is the one of the matrix that the machine does not run.
func otherKernel(t *testing.T, running string) *vm.Linux {
	t.Helper()
	for _, series := range vm.Matrix() {
		if series != running {
			return vm.Kernel(t, series)
		}
	}
	t.Fatal("the matrix has one kernel only")
	return nil
}

// seriesOf is the series of the matrix that a kernel is of.
func seriesOf(kernel *vm.Linux) string {
	i := slices.IndexFunc(vm.Matrix(), func(series string) bool { return strings.HasPrefix(kernel.Release(), series+".") })
	return vm.Matrix()[i]
}

// work does one piece of a day's work as whoever does it.
func (m *machine) work(t testing.TB, i scenario.Instance) *result {
	t.Helper()
	command := vm.Command{Args: []string{"timeout", "540", "sh", "-c", "set -e\n" + i.Script()}, Merge: true}
	if i.As != "system" {
		command.Args = []string{"timeout", "540", "ssh", i.As + "@127.0.0.1", "set -e\n" + i.Script()}
	}
	r := &result{Name: i.N, Began: time.Now()}
	said := m.Do(t, command)
	r.Ended, r.Output = time.Now(), said.Output
	if said.ExitCode != 0 {
		r.Error = "it did not end well"
	}
	shown := m.Do(t, vm.Command{Args: []string{"sh", "-c", i.Condition()}, Merge: true})
	r.cameOff = r.Error == "" && shown.ExitCode == 0
	r.Output += shown.Output
	return r
}

// A day's work ends well without the guard: else that it does with it proves nothing.
func TestADaysWorkEndsWellWithoutTheGuard(t *testing.T) {
	if os.Getenv("KANNUKI_VM") != "required" {
		t.Skip("SKIPPED: a day's work without the guard takes ten minutes and shows nothing of it; make test-guard does it")
	}
	const series = "6.12"
	m := start(t, vm.Config{Kernel: vm.Kernel(t, series)})
	m.offer(t, otherKernel(t, series))
	all := readAll(t, "work*.txt")
	m.prepare(t, all)
	for _, i := range all {
		t.Run(i.Title, func(t *testing.T) {
			r := m.work(t, i)
			m.note(t, "done")
			if !r.cameOff {
				t.Errorf("%s:%d: %s\n%s", i.File, i.Line, r.Error, lastLines(r.Output, 30))
			}
		})
	}
}

// With the guard the same work ends as well, without an edit of its policy, and nothing
// of it is refused. What needs a grant has one.
func TestNothingOfADaysWorkIsRefusedWithTheGuard(t *testing.T) {
	t.Parallel()
	const series = "6.12"
	m := start(t, vm.Config{Kernel: vm.Kernel(t, series)})
	m.offer(t, otherKernel(t, series))
	all := append(readAll(t, "work*.txt"), readAll(t, "grants.txt")...)
	m.prepare(t, all)
	m.install(t)
	for _, i := range all {
		t.Run(i.Title, func(t *testing.T) {
			began := m.now(t)
			r := m.work(t, i)
			m.note(t, "done")
			r.Began, r.Ended = began, m.now(t)
			if !r.cameOff {
				t.Errorf("%s:%d: %s\n%s", i.File, i.Line, r.Error, lastLines(r.Output, 30))
			}
			if refused := unforeseen(i, near(r, m.told(t))); len(refused) > 0 {
				t.Errorf("%s:%d: refused: %s", i.File, i.Line, listed(refused))
			}
		})
	}
}

// unforeseen are the refusals that a file does not document.
func unforeseen(i scenario.Instance, told []event.Event) []event.Event {
	return slices.DeleteFunc(told, func(e event.Event) bool {
		return e.Kind != event.Refused || slices.ContainsFunc(i.Known, func(k scenario.Known) bool {
			return string(k.Control) == e.Control && strings.Contains(e.Path, k.Path)
		})
	})
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
