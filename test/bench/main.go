// Command bench prints what kannuki is worth and costs, with the sizes of the data:
// how well vulnerabilities are typed, then import, one scan, fleets of growing size, and
// other scanners on the same data where they are installed (scripts/peers). Figures are
// for reading, never for failing: machines differ. It needs the real data (KANNUKI_DATA or ../shared/data).
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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
	if err := b.typings(); err != nil {
		return err
	}
	fmt.Println()
	header()
	db, err := b.imports()
	if err != nil {
		return err
	}
	if err := b.scan(db); err != nil {
		return err
	}
	b.peers()
	return b.fleets(db)
}

func (b bench) imports() (db string, err error) {
	for _, c := range []struct{ file, data, bar string }{
		{"nvd/nvdcve-1.1-2019.json.gz", "14,480 CVEs", "<= 5 s, 400 MB"},
		{"osv/Debian/all.zip", "43,945 records, 210 MB", "<= 25 s, 400 MB"},
	} {
		db = filepath.Join(b.dir, filepath.Base(filepath.Dir(c.file))+".db")
		for i, what := range []string{"import " + c.file, "  the same again"} {
			cost, _, err := child(b.ctx, nil, b.kannuki, "feed", "import", filepath.Join(b.data, c.file), "--db", db)
			if err != nil {
				return "", err
			}
			cost.row(what, c.data, [...]string{c.bar, ""}[i])
		}
	}
	return db, nil
}

func (b bench) scan(db string) error {
	whole, out, err := child(b.ctx, nil, b.kannuki, "scan", "--json", "--db", db)
	if err != nil {
		return err
	}
	var scan struct {
		Totals struct{ Packages, Findings, Vulnerabilities int }
	}
	if err := json.Unmarshal(out, &scan); err != nil {
		return err
	}
	size := fmt.Sprintf("%d packages, %d CVEs found", scan.Totals.Packages, scan.Totals.Vulnerabilities)
	whole.row("scan of this machine, whole process", size, "<= 0.5 s")
	one, err := judgeFleet(b.ctx, db, fleetSize{1, scan.Totals.Packages, 1})
	if err != nil {
		return err
	}
	one.Cost.row("  matching and judging alone", size, "<= 0.15 s")
	return nil
}

// fleets runs every fleet in a process of its own, so that memory is its own.
func (b bench) fleets(db string) error {
	measured := map[fleetSize]fleetResult{}
	measure := func(size fleetSize, bar string) error {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		_, out, err := child(b.ctx, nil, self, "fleet", db, strconv.Itoa(size.hosts), strconv.Itoa(size.packages), strconv.Itoa(size.versions))
		if err != nil {
			return err
		}
		var r fleetResult
		if err := json.Unmarshal(out, &r); err != nil {
			return err
		}
		r.Cost.row(fmt.Sprintf("fleet of %d hosts x %d packages", size.hosts, size.packages),
			fmt.Sprintf("%d versions, %dk found", r.Distinct, r.Findings/1000), bar)
		measured[size] = r
		return nil
	}
	for _, c := range []struct {
		fleetSize
		bar string
	}{{fleetSize{1000, 600, 4}, "<= 1 s"}, {fleetSize{10000, 600, 4}, "<= 10 s, 1 GB"}} {
		if err := measure(c.fleetSize, c.bar); err != nil {
			return err
		}
	}
	for _, size := range append(byHosts, byVersions...) {
		if _, ok := measured[size]; ok {
			continue
		}
		if err := measure(size, ""); err != nil {
			return err
		}
	}
	chart(measured)
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
	r.Cost.Peak = peakOfSelf()
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(r)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
