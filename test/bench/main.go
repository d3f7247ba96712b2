// Command bench prints what kannuki costs, as one table with the sizes of the data:
// import, one scan, and fleets of growing size. Figures are for reading, never for
// failing: machines differ. It needs the real data (KANNUKI_DATA or ../shared/data).
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) == 6 && os.Args[1] == "fleet" {
		childFleet(os.Args[2:])
		return
	}
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run over one scratch folder.
type bench struct {
	ctx     context.Context
	dir     string // scratch
	data    string
	kannuki string // program
}

func run(ctx context.Context) error {
	b := bench{ctx: ctx, data: cmp.Or(os.Getenv("KANNUKI_DATA"), "../shared/data")}
	if _, err := os.Stat(filepath.Join(b.data, "osv/Debian/all.zip")); err != nil {
		return fmt.Errorf("the real data is needed: %w (set KANNUKI_DATA)", err)
	}
	var err error
	if b.dir, err = os.MkdirTemp("", "kannuki-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	b.kannuki = filepath.Join(b.dir, "kannuki")
	build := exec.Command("go", "build", "-o", b.kannuki, "./cmd/kannuki")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	fmt.Printf("%-44s %-26s %9s %8s  %s\n", "what", "data", "time", "memory", "bar")
	db, err := b.imports()
	if err != nil {
		return err
	}
	if err := b.scans(db); err != nil {
		return err
	}
	if err := b.fleets(db); err != nil {
		return err
	}
	b.peers()
	return nil
}

func row(what, data string, took time.Duration, peak int64, bar string) {
	memory := "-"
	if peak > 0 {
		memory = fmt.Sprintf("%d MB", peak>>20)
	}
	fmt.Printf("%-44s %-26s %9s %8s  %s\n", what, data, took.Round(time.Millisecond), memory, bar)
}

// child runs a program and measures it as a whole process.
func (b bench) child(name string, args ...string) (took time.Duration, peak int64, out []byte, err error) {
	cmd := exec.CommandContext(b.ctx, name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	start := time.Now()
	err = cmd.Run()
	took = time.Since(start)
	if err != nil {
		return took, 0, nil, fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, stderr.Bytes())
	}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		peak = usage.Maxrss << 10
	}
	return took, peak, stdout.Bytes(), nil
}

func (b bench) imports() (db string, err error) {
	for _, c := range []struct{ file, data, bar string }{
		{"nvd/nvdcve-1.1-2019.json.gz", "14,480 CVEs", "<= 5 s, 400 MB"},
		{"osv/Debian/all.zip", "43,945 records, 210 MB", "<= 25 s, 400 MB"},
	} {
		db = filepath.Join(b.dir, filepath.Base(filepath.Dir(c.file))+".db")
		took, peak, _, err := b.child(b.kannuki, "feed", "import", filepath.Join(b.data, c.file), "--db", db)
		if err != nil {
			return "", err
		}
		row("import "+c.file, c.data, took, peak, c.bar)
		took, peak, _, err = b.child(b.kannuki, "feed", "import", filepath.Join(b.data, c.file), "--db", db)
		if err != nil {
			return "", err
		}
		row("  the same again", c.data, took, peak, "")
	}
	return db, nil
}

func (b bench) scans(db string) error {
	took, peak, out, err := b.child(b.kannuki, "scan", "--json", "--db", db)
	if err != nil {
		return err
	}
	var scan struct {
		Totals struct {
			Packages int
			Findings int
		}
	}
	if err := json.Unmarshal(out, &scan); err != nil {
		return err
	}
	size := fmt.Sprintf("%d packages, %d found", scan.Totals.Packages, scan.Totals.Findings)
	row("scan of this machine, whole process", size, took, peak, "<= 500 ms")
	one, err := judgeFleet(b.ctx, db, fleetSize{1, scan.Totals.Packages, 1})
	if err != nil {
		return err
	}
	row("  matching and judging alone", size, one.Took, 0, "<= 150 ms")
	return nil
}

// fleets runs every fleet in a process of its own, so that memory is its own.
func (b bench) fleets(db string) error {
	for _, c := range []struct {
		fleetSize
		bar string
	}{
		{fleetSize{1000, 600, 4}, "<= 1 s"},
		{fleetSize{10000, 600, 4}, "<= 10 s, 1 GB"},
		{fleetSize{100, 600, 4}, "curve: hosts"},
		{fleetSize{3000, 600, 4}, ""},
		{fleetSize{30000, 600, 4}, ""},
		{fleetSize{1000, 600, 1}, "curve: versions"},
		{fleetSize{1000, 600, 16}, ""},
		{fleetSize{1000, 600, 64}, ""},
	} {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		_, peak, out, err := b.child(self, "fleet", db, strconv.Itoa(c.hosts), strconv.Itoa(c.packages), strconv.Itoa(c.versions))
		if err != nil {
			return err
		}
		var r fleetResult
		if err := json.Unmarshal(out, &r); err != nil {
			return err
		}
		row(fmt.Sprintf("fleet of %d hosts x %d packages", c.hosts, c.packages),
			fmt.Sprintf("%d versions, %dk found", r.Distinct, r.Findings/1000), r.Took, peak, c.bar)
	}
	return nil
}

func childFleet(args []string) {
	var n [3]int
	for i := range n {
		var err error
		if n[i], err = strconv.Atoi(args[i+1]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(2)
		}
	}
	r, err := judgeFleet(context.Background(), args[0], fleetSize{n[0], n[1], n[2]})
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(r)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// peers measures other scanners on the same data where they are installed.
func (b bench) peers() {
	for _, name := range []string{"debsecan", "osv-scanner"} {
		if _, err := exec.LookPath(name); errors.Is(err, exec.ErrNotFound) {
			fmt.Printf("%-44s not installed (scripts/peers installs it where it can)\n", name)
		}
	}
}
