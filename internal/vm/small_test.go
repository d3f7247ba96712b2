//go:build linux

package vm_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/kannuki/kannuki/internal/vm"
)

func TestGuestTestsRunOnEveryKernel(t *testing.T) {
	for _, series := range vm.Matrix() {
		t.Run(series, func(t *testing.T) {
			vm.GoTest(t, vm.Config{Kernel: vm.Kernel(t, series)}, "inside", "guest")
		})
	}
}

// Tier 1 and tier 2 of the guard differ in this list: what is asked for is what the
// kernel has.
func TestTheListOfSecurityModulesIsChosen(t *testing.T) {
	for _, series := range vm.Matrix() {
		kernel := vm.Kernel(t, series)
		for lsm, want := range map[string]bool{kernel.WithBPF(t): true, kernel.WithoutBPF(t): false} {
			r := vm.Shell(t, vm.Config{Kernel: kernel, LSM: lsm}, "cat", "/sys/kernel/security/lsm")
			if has := strings.Contains(","+r.Stdout+",", ",bpf,"); has != want {
				t.Errorf("kernel %s with lsm=%s has %s", series, lsm, r.Stdout)
			}
		}
	}
}

// Run takes a program of the host, here one that was built just now, with its
// arguments, environment and files.
func TestRunRunsAProgramOfTheHost(t *testing.T) {
	kernel := vm.Kernel(t, "6.12")
	dir := t.TempDir()
	program := build(t, dir, `package main
import ("fmt"; "os")
func main() {
	content, err := os.ReadFile("/data/deep/note")
	fmt.Println(os.Args[1:], os.Getenv("COLOUR"), os.Getuid(), string(content), err)
	os.Exit(42)
}`)
	note := filepath.Join(dir, "note")
	if err := os.WriteFile(note, []byte("brought"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := vm.Config{Kernel: kernel, Env: []string{"COLOUR=red"}, User: "www-data", Files: map[string]string{"/data/deep/note": note}}
	r := vm.Run(t, c, program, "one", "two")
	if want := "[one two] red 33 brought <nil>\n"; r.Stdout != want || r.ExitCode != 42 {
		t.Errorf("%q, exit status %d; want %q, 42", r.Stdout, r.ExitCode, want)
	}
	t.Logf("boot %.1f s, run %.2f s", r.Boot.Seconds(), r.Took.Seconds())
}

// With ICount guest time is a count of instructions: two machines agree about how long
// the same work takes to within a few per mille, however busy the host is, while the
// wall clock does not.
func TestICountMakesTimeACountOfInstructions(t *testing.T) {
	kernel := vm.Kernel(t, "6.1")
	program := build(t, t.TempDir(), `package main
import ("fmt"; "time")
func main() {
	sum, began := 0, time.Now()
	for i := range 200_000_000 { sum += i ^ sum>>3 }
	fmt.Println(time.Since(began).Nanoseconds())
	if sum == 1 { fmt.Println() }
}`)
	var took [2]float64
	for i := range took {
		r := vm.Run(t, vm.Config{Kernel: kernel, ICount: true}, program)
		ns, err := strconv.ParseFloat(strings.TrimSpace(r.Stdout), 64)
		if err != nil || r.ExitCode != 0 {
			t.Fatalf("%v: %s", err, r.Output)
		}
		took[i] = ns
	}
	ratio := took[0] / took[1]
	t.Logf("%.0f and %.0f ns, ratio %.5f", took[0], took[1], ratio)
	if ratio < 0.99 || ratio > 1.01 {
		t.Errorf("the same instructions took %.0f and %.0f ns", took[0], took[1])
	}
}

// build compiles a small static program.
func build(t *testing.T, dir, source string) string {
	t.Helper()
	file, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
	if err := os.WriteFile(file, []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-o", program, file)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return program
}
