package textpage_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/lang"
	"github.com/kannuki/kannuki/textpage"
)

func TestATableMadeOfColumnsReadsAsOneMadeOfRows(t *testing.T) {
	rows := textpage.Table{Columns: []textpage.Column{{Head: "name"}, {Head: "n", Right: true}}}
	rows.Add(textpage.Plain, "a\tb", "1")
	rows.Add(textpage.Plain, "c", "10")
	var columns textpage.Table
	columns.AddColumn(textpage.Column{Head: "name"}, "a\tb", "c")
	columns.AddColumn(textpage.Column{Head: "n", Right: true}, "1", "10")
	var a, b strings.Builder
	textpage.New(&a, lang.New("en"), textpage.Layout{}).Table(&rows)
	textpage.New(&b, lang.New("en"), textpage.Layout{}).Table(&columns)
	want := "name   n\na b    1\nc     10\n"
	if d := cmp.Diff([]string{want, want}, []string{a.String(), b.String()}); d != "" {
		t.Error(d)
	}
}

func TestABarShowsWhateverIsNotZero(t *testing.T) {
	for _, c := range []struct {
		n, most int
		want    string
	}{{0, 10, ""}, {1, 1000, "#"}, {5, 10, "#####"}, {10, 10, "##########"}, {3, 0, ""}} {
		if got := textpage.Bar(c.n, c.most, 10); got != c.want {
			t.Errorf("Bar(%d, %d, 10) = %q, want %q", c.n, c.most, got, c.want)
		}
	}
}
