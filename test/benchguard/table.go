// Package benchguard measures what the guard costs, beside others that do a part of
// its work: instructions per operation, counted in test machines (make bench-guard).
// It promises figures that come out alike on any host, because nothing in them is a
// time, and it judges nothing: a bar that is missed is printed, not failed.
package benchguard

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Row is one operation by one actor.
type Row struct {
	Operation string
	Actor     string  // one of Actors
	Bar       float64 // the ratio to stay below; 0: none
}

// Actors of the work program: who it is when it works.
const (
	Plain       = "plain"
	Contained   = "contained"   // it listens beyond loopback
	Interpreter = "interpreter" // the policy names its program
)

// Rows are what is measured, in the order of the table. The bars are the project's own.
var Rows = []Row{
	{"exec-static", Plain, 1.01}, {"exec-dynamic", Plain, 1.01}, {"exec-dynamic", Contained, 1.01},
	{"open-system", Plain, 0}, {"open-config", Plain, 0}, {"open-user", Plain, 0},
	{"open-read", Plain, 1.02}, {"open-read", Contained, 1.02}, {"open-read", Interpreter, 1.02}, {"open-code", Interpreter, 0},
	{"open-write", Plain, 1.05}, {"open-write", Contained, 1.05},
	{"create-unlink", Plain, 1.02}, {"create-unlink", Contained, 1.02},
	{"rename", Plain, 1.02}, {"rename", Contained, 1.02},
	{"chmod", Plain, 1.02}, {"chmod", Contained, 1.02},
	{"mmap-library", Plain, 0}, {"stat", Plain, 0},
	{"listen", Plain, 1.01}, {"connect", Plain, 1.01},
	{"untar", Plain, 0}, {"build", Plain, 1.01},
}

// Columns are the cases of one run: nothing, the guard with ever more rules, the peers.
var Columns = []string{"off", "guard", "+1k", "+10k", "fapol.", "AppA."}

// Figures are instructions per operation, by column and then by row.
type Figures map[string]map[Row]float64

// Print writes one table of at most 80 columns.
func (f Figures) Print(w io.Writer, title string) {
	fmt.Fprintf(w, "\n%s\n%-20s%12s%7s%7s%8s%7s%7s%6s\n", title, "operation", Columns[0], Columns[1], Columns[2], Columns[3], Columns[4], Columns[5], "bar")
	for _, r := range Rows {
		name := r.Operation
		if r.Actor != Plain {
			name += ", " + map[string]string{Contained: "cont.", Interpreter: "interp."}[r.Actor]
		}
		off := f["off"][r]
		line := fmt.Sprintf("%-20s%12s", name, count(off))
		for i, column := range Columns[1:] {
			line += fmt.Sprintf("%*s", []int{7, 7, 8, 7, 7}[i], ratio(f[column][r], off))
		}
		if r.Bar != 0 {
			line += fmt.Sprintf("%6.2f %s", r.Bar, f.verdict(r))
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}

// verdict holds the dearest of the guard's columns against the bar.
func (f Figures) verdict(r Row) string {
	off, said := f["off"][r], "-"
	for _, column := range Columns[1:4] {
		on := f[column][r]
		if on == 0 || off == 0 {
			continue
		}
		// The bar is a ratio of two digits behind the point: 1.0249 is over 1.02.
		if on/off > r.Bar {
			return "over"
		}
		said = "ok"
	}
	return said
}

func ratio(on, off float64) string {
	if on == 0 || off == 0 {
		return "-"
	}
	if on/off >= 10 {
		return fmt.Sprintf("%.1f", on/off)
	}
	return fmt.Sprintf("%.3f", on/off)
}

// count writes a number with commas.
func count(n float64) string {
	if n == 0 {
		return "-"
	}
	digits := strconv.FormatInt(int64(n+0.5), 10)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// Read takes the work program's lines, "operation instructions".
func Read(said, actor string) (map[Row]float64, error) {
	figures := map[Row]float64{}
	for line := range strings.Lines(said) {
		name, number, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return nil, fmt.Errorf("the work program said %q, not an operation and its instructions", strings.TrimSpace(line))
		}
		for _, r := range Rows {
			if r.Operation == name && r.Actor == actor {
				figures[r] = n
			}
		}
	}
	return figures, nil
}

// Operations are the names of an actor's rows.
func Operations(actor string) []string {
	var names []string
	for _, r := range Rows {
		if r.Actor == actor {
			names = append(names, r.Operation)
		}
	}
	return names
}
