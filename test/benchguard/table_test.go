package benchguard

import (
	"bytes"
	"strings"
	"testing"
)

func TestATableFitsEightyColumnsWithWhateverIsMeasured(t *testing.T) {
	f := Figures{}
	for _, column := range Columns {
		f[column] = map[Row]float64{}
		for _, r := range Rows {
			f[column][r] = 1234567890
		}
	}
	for _, r := range Rows {
		f["fapol."][r] *= 123
	}
	var out bytes.Buffer
	f.Print(&out, "kernel")
	for line := range strings.Lines(out.String()) {
		if len(strings.TrimRight(line, "\n")) > 80 {
			t.Errorf("%d columns: %s", len(line)-1, line)
		}
	}
}

func TestABarIsOverWhenTheDearestRuleCountIs(t *testing.T) {
	r := Row{"rename", Plain, 1.02}
	for _, c := range []struct {
		with  [3]float64
		state string
	}{{[3]float64{1019, 1020, 1019}, "ok"}, {[3]float64{1000, 1000, 1021}, "over"}, {[3]float64{0, 1021, 1000}, "over"}, {[3]float64{}, "-"}} {
		f := Figures{"off": {r: 1000}}
		for i, n := range c.with {
			f[Columns[i+1]] = map[Row]float64{r: n}
		}
		if got := f.verdict(r); got != c.state {
			t.Errorf("%v: %s, want %s", c.with, got, c.state)
		}
	}
}

func TestWhatIsNoFigureIsAnError(t *testing.T) {
	figures, err := Read("stat 7563.5\nopen-read 10\n", Contained)
	if err != nil || figures[Row{"open-read", Contained, 1.02}] != 10 || len(figures) != 1 {
		t.Errorf("%v, %v", figures, err)
	}
	if _, err := Read("open-read 10\nwork: mkdir: Operation not permitted\n", Plain); err == nil || !strings.Contains(err.Error(), "mkdir") {
		t.Errorf("a complaint was taken for a figure: %v", err)
	}
}
