package report

import (
	"strings"
	"testing"

	"github.com/kannuki/kannuki/lang"
)

func TestThousandsOfFindingsStayReadable(t *testing.T) {
	scan := manyScan(3000)
	for _, l := range lang.Languages {
		var b strings.Builder
		if err := Morning(&b, scan, lang.New(l), MorningOptions{}); err != nil {
			t.Fatal(err)
		}
		if lines := strings.Count(b.String(), "\n"); lines > 200 {
			t.Errorf("%s: %d lines for 3,000 findings", l, lines)
		}
		for _, g := range groups(scan.Findings) {
			if urgent(g.worst().Decision) && !strings.Contains(b.String(), g.name+"  ") {
				t.Errorf("%s: urgent package %s is not named", l, g.name)
			}
		}
		if !strings.Contains(b.String(), "--all") {
			t.Errorf("%s: what was folded is not said to be", l)
		}
	}
}

func TestAllNamesEveryFinding(t *testing.T) {
	scan := manyScan(3000)
	var b strings.Builder
	if err := Morning(&b, scan, lang.New("en"), MorningOptions{All: true}); err != nil {
		t.Fatal(err)
	}
	for _, f := range scan.Findings {
		if !strings.Contains(b.String(), f.ID) {
			t.Fatalf("%s is not in the report", f.ID)
		}
	}
}

func TestTheOrderOfFindingsDoesNotChangeTheReport(t *testing.T) {
	scan := manyScan(400)
	var a, b strings.Builder
	if err := Morning(&a, scan, lang.New("en"), MorningOptions{}); err != nil {
		t.Fatal(err)
	}
	for i, j := 0, len(scan.Findings)-1; i < j; i, j = i+1, j-1 {
		scan.Findings[i], scan.Findings[j] = scan.Findings[j], scan.Findings[i]
	}
	if err := Morning(&b, scan, lang.New("en"), MorningOptions{}); err != nil {
		t.Fatal(err)
	}
	if a.String() != b.String() {
		t.Error("the same findings in another order print differently")
	}
}

// What an administrator can do today comes before what nothing repairs.
func TestRegularPackagesThatCanBeRepairedComeFirst(t *testing.T) {
	scan := manyScan(3000)
	var b strings.Builder
	if err := Morning(&b, scan, lang.New("en"), MorningOptions{}); err != nil {
		t.Fatal(err)
	}
	_, regular, ok := strings.Cut(b.String(), "\nscheduled: ")
	if !ok {
		t.Fatalf("no section for scheduled packages\n%s", b.String())
	}
	regular, _, _ = strings.Cut(regular, "\n\n")
	waiting := false
	for _, line := range strings.Split(regular, "\n") {
		if strings.Contains(line, "->") {
			if waiting && !strings.Contains(line, "no fix yet") {
				t.Errorf("a package with a fix comes after one without: %q", line)
			}
			waiting = waiting || strings.Contains(line, "no fix yet")
		}
	}
}

// Every finding is either shown or counted among the folded ones.
func TestFoldedAndShownPackagesAddUp(t *testing.T) {
	for _, n := range []int{1, 40, 3000} {
		list := groups(manyScan(n).Findings)
		byDecision := map[string][]group{}
		for _, g := range list {
			byDecision[string(g.worst().Decision)] = append(byDecision[string(g.worst().Decision)], g)
		}
		for decision, all := range byDecision {
			show, rest := regular(all)
			if len(show)+len(rest) != len(all) || findingCount(show)+findingCount(rest) != findingCount(all) {
				t.Errorf("%d findings, %s: %d shown and %d folded of %d packages", n, decision, len(show), len(rest), len(all))
			}
			if len(show) > regularEntries {
				t.Errorf("%d findings, %s: %d packages shown", n, decision, len(show))
			}
		}
	}
}
