package epss

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/vuln"
)

func decode(name, text string) (scores []vuln.EPSS, rejects []string, err error) {
	err = DecodeNamed(name, strings.NewReader(text),
		func(e vuln.EPSS) error { scores = append(scores, e); return nil },
		func(_ int64, id, reason string) error { rejects = append(rejects, id+": "+reason); return nil })
	return scores, rejects, err
}

func TestEveryHeaderOfTheYears(t *testing.T) {
	date := func(y, m, d int) time.Time { return time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC) }
	for _, c := range []struct {
		name, text string
		want       vuln.EPSS
	}{
		{"epss_scores-2021-04-14.csv.gz", "cve,epss\nCVE-2031-1000,0.25\n", vuln.EPSS{CVE: "CVE-2031-1000", Score: 0.25, Date: date(2021, 4, 14)}},
		{"epss_scores-2021-09-01.csv", "cve,epss,percentile\r\nCVE-2031-1000,0.25,0.5\r\n",
			vuln.EPSS{CVE: "CVE-2031-1000", Score: 0.25, Percentile: 0.5, Date: date(2021, 9, 1)}},
		{"epss_scores-2031-01-01.csv", "#model_version:v2031.01.01,score_date:2031-02-03T12:00:00+0900\ncve,epss,percentile\nCVE-2031-1000,1,0.99999\n",
			vuln.EPSS{CVE: "CVE-2031-1000", Score: 1, Percentile: 0.99999, Model: "v2031.01.01", Date: date(2031, 2, 3).Add(3 * time.Hour)}},
		{"today.csv", "cve,epss\nCVE-2031-1000,1e-05\n", vuln.EPSS{CVE: "CVE-2031-1000", Score: 0.00001}},
	} {
		got, rejects, err := decode(c.name, c.text)
		if err != nil || len(rejects) > 0 {
			t.Errorf("%s: %v %v", c.name, rejects, err)
		}
		if diff := cmp.Diff([]vuln.EPSS{c.want}, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestUnusableRowsAreRejectedAndTheOthersStand(t *testing.T) {
	for _, row := range []string{"CVE-1,0.5,0.5", "CVE-2031-1000,NaN,0.5", "CVE-2031-1000,1.5,0.5", "CVE-2031-1000,-0.1,0.5", "CVE-2031-1000,0.5,", "CVE-2031-1000,x,0.5"} {
		scores, rejects, err := decode("", "cve,epss,percentile\n"+row+"\nCVE-2031-2000,0.5,0.5\n")
		if err != nil || len(scores) != 1 || len(rejects) != 1 {
			t.Errorf("%s: %d scores, rejects %q, %v; want one of each", row, len(scores), rejects, err)
		}
	}
}

func TestBrokenFilesAreErrorsWithTheirPlace(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "byte 0: no header line"},
		{"cve,epss", "byte 8: the last line has no end"},
		{"cve;epss\n", "byte 0: header"},
		{"#model_version:v1,score_date:soon\ncve,epss\n", `byte 0: score_date: "soon" is no date`},
		{"cve,epss\nCVE-2031-1000,0.5\nCVE-2031-1001,0.1", "byte 44: the last line has no end"},
		{"cve,epss,percentile\nCVE-2031-1000,0.5\n", "byte 20: 2 columns where the header has 3"},
		{"cve,epss\n" + strings.Repeat("x", maxLine+1), "byte 9: a line is longer"},
	} {
		if _, _, err := decode("", c.text); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%.60q: got %v, want %q", c.text, err, c.want)
		}
	}
}

func TestFileCutInsideALineIsAnError(t *testing.T) {
	const whole = "#model_version:v1,score_date:2031-02-03T00:00:00+0000\ncve,epss,percentile\nCVE-2031-1000,0.5,0.25\nCVE-2031-1001,0.5,0.25\n"
	for cut := range len(whole) {
		lines := strings.Count(whole[:cut], "\n")
		if cut > 0 && whole[cut-1] == '\n' && lines >= 2 {
			continue // between two rows: nothing in a CSV tells, only the compression around it
		}
		if _, _, err := decode("", whole[:cut]); err == nil {
			t.Fatalf("cut at %d: no error", cut)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("epss_scores-2031-01-02.csv", "#model_version:v1,score_date:2031-02-03T00:00:00+0000\ncve,epss,percentile\nCVE-2031-1000,0.5,0.25\n")
	f.Add("x", "cve,epss\nCVE-2031-1000,0.5\n")
	f.Fuzz(func(t *testing.T, name, text string) {
		scores, rejects, err := decode(name, text)
		for _, s := range scores {
			if !vuln.IsCVE(s.CVE) || !(s.Score >= 0 && s.Score <= 1) || !(s.Percentile >= 0 && s.Percentile <= 1) {
				t.Errorf("unusable score %+v", s)
			}
		}
		if err == nil && text[len(text)-1] != '\n' {
			t.Errorf("%q accepted with an unfinished line", text)
		}
		if n := strings.Count(text, "\n"); len(scores)+len(rejects) > n {
			t.Errorf("%d scores and %d rejects from %d lines", len(scores), len(rejects), n)
		}
	})
}
