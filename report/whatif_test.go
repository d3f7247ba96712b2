package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/control"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/lang"
	"github.com/kannuki/kannuki/triage"
	"github.com/kannuki/kannuki/vuln"
)

func whatIfPage(answer control.WhatIf, all bool) write {
	return func(w io.Writer, p lang.Printer, layout Page) error {
		return WhatIf(w, answer, p.T("whatif.assumes"), all, p, layout)
	}
}

func move(id, at, name string, before, after triage.Standing) triage.Move {
	return triage.Move{Host: at, ID: id, SourcePackage: name, SourceVersion: "1.0-1", Before: before, After: after}
}

func standing(decision triage.Action, coverage triage.Effect, proven bool, days int) triage.Standing {
	s := triage.Standing{Decision: decision, Coverage: coverage, Proven: proven}
	if days > 0 {
		s.Deadline = day(days)
	}
	return s
}

func smallWhatIf() control.WhatIf {
	a := control.WhatIf{Change: "utility control only observed", At: morning, Table: "ssvc", Hosts: []control.WhatIfHost{
		{Host: "web01", Findings: 120, Sooner: 12, Later: 1, Covered: 1, Reported: morning.Add(-time.Minute)},
		{Host: "web02", Findings: 118, Reported: morning.Add(-3 * time.Hour), Stale: true}, {Host: "db01", Findings: 40}}}
	for i := range 11 {
		a.Moves = append(a.Moves, move(fmt.Sprintf("CVE-2030-%04d", i), "web01", "gatehttp", standing(triage.Scheduled, triage.Contained, true, 60), standing(triage.OutOfCycle, triage.Limited, true, 14)))
	}
	kev := move("CVE-2030-0900", "web01", "gatehttp", standing(triage.Defer, triage.Prevented, true, 0), standing(triage.Scheduled, triage.Contained, false, 60))
	kev.KEV = true
	a.Moves = append(a.Moves, kev,
		move("CVE-2030-0901", "web01", "libkeys", standing(triage.OutOfCycle, triage.None, false, 14), standing(triage.Scheduled, triage.Contained, true, 60)),
		move("CVE-2030-0902", "web01", "libkeys", standing(triage.Defer, triage.Contained, true, 0), standing(triage.Defer, triage.Limited, true, 0)))
	triage.SortMoves(a.Moves)
	return a
}

func nastyWhatIf() control.WhatIf {
	a := control.WhatIf{Change: hostile + longWord, At: morning, Table: wideTitle}
	for _, s := range []string{longWord, wideTitle, combining, hostile, ""} {
		a.Hosts = append(a.Hosts, control.WhatIfHost{Host: s, Findings: 1 << 40, Sooner: 1 << 40, Stale: true, Reported: morning})
		a.Moves = append(a.Moves, move(s, s, s, triage.Standing{Decision: triage.Action(s), Coverage: triage.Effect(s)}, triage.Standing{Decision: triage.Immediate, Coverage: triage.Effect(s), Deadline: day(1)}))
	}
	return a
}

func returnedNews() control.News {
	news := smallNews()
	news.Returned = []control.Returned{
		{Host: "web01", Before: morning.Add(-20 * time.Hour), Moves: smallWhatIf().Moves[:12], Why: []triage.Reason{reason("protection", triage.CodeReturnControl, "utility"), reason("protection", triage.CodeReturnContained, "keysd.service, gatehttp.service")}},
		{Host: "db01", Moves: []triage.Move{}, Why: []triage.Reason{reason("protection", triage.CodeProtectionStale, "2030-02-02T20:00:00Z", "15m0s")}},
	}
	return news
}

func nastyReturned() control.News {
	news := nastyNews()
	for _, s := range []string{longWord, wideTitle, combining, hostile} {
		news.Returned = append(news.Returned, control.Returned{Host: s, Moves: nastyWhatIf().Moves, Why: []triage.Reason{reason("protection", s, s), reason("protection", triage.CodeReturnContained, s)}})
	}
	return news
}

func evidencePage(ev control.Evidence) write {
	return func(w io.Writer, p lang.Printer, layout Page) error { return Evidence(w, ev, p, layout) }
}

func smallEvidence() control.Evidence {
	scan := smallScan()
	f := scan.Findings[0]
	f.Coverage, f.Unguarded, f.Decision, f.Forensics = triage.Contained, triage.Immediate, triage.OutOfCycle, true
	f.FirstSeen = morning.AddDate(0, 0, -2)
	f.Stages = &triage.Coverage{Effect: triage.Contained, Proven: true, Controls: []host.Control{host.Launch, host.Write, host.Utility, host.Containing},
		Stages: []triage.Stage{{Stage: triage.StageEntry, State: triage.StageOpen}, {Stage: triage.StageExecution, State: triage.StageRefused, Controls: []host.Control{host.Launch, host.Utility, host.Containing}, Proven: true},
			{Stage: triage.StageImpact, State: triage.StagePartly, Controls: []host.Control{host.Write, host.Private, host.Containing}}},
		Limits: []triage.Reason{reason("coverage", triage.CodeLimitDaemons), reason("coverage", triage.CodeLimitOwnData)}}
	f.Reasons = append(f.Reasons, reason("coverage", triage.CodeExec, "exec", "contained"), reason("coverage", triage.CodeControl, "launch", "2030-02-03T05:00:00Z", "6"),
		reason("decision", triage.CodeMoved, "immediate", "out-of-cycle", "contained"))
	return control.Evidence{ID: f.ID, Host: scan.Host, At: morning, Findings: []triage.Finding{f}, Protection: guardedProtection(),
		News: control.Announcement{Title: "gatehttp heap overflow", TitleJA: "gatehttp におけるヒープオーバーフローの脆弱性", Published: morning.AddDate(0, 0, -9),
			Records: []control.RecordRef{{Source: "cve5", Record: f.ID}, {Source: "nvd", Record: f.ID}, {Source: "osv/debian", Record: "DSA-9001-1"}},
			KEV:     &vuln.KEV{Added: morning.AddDate(0, 0, -3)}, Changes: smallNews().Items[0].Changes},
		Heard: []triage.Heard{{Source: "osv/debian", Record: "DSA-9001-1", Package: "gatehttp", Version: "2.4.1-3", Fixed: "2.4.1-3+deb12u2", Affected: true},
			{Source: "nvd", Record: f.ID, Package: "gatehttp", Version: "2.4.1-3"}},
		Verification: control.Verification{Verdict: control.Vulnerable, Collected: morning.Add(-time.Hour), Inventory: "live"}}
}

func freeEvidence() control.Evidence {
	ev := smallEvidence()
	ev.Findings, ev.Heard[0].Affected, ev.Heard[0].Version = nil, false, "2.4.1-3+deb12u2"
	ev.Verification.Verdict = control.NotAffected
	return ev
}

func nastyEvidence() control.Evidence {
	scan := nastyScan()
	ev := control.Evidence{ID: hostile, Host: scan.Host, At: morning, Findings: scan.Findings, Protection: nastyGuard(hostile),
		News:         control.Announcement{Title: hostile, TitleJA: wideTitle, Rejected: true, Records: []control.RecordRef{{Source: longWord}, {Source: wideTitle}}, Changes: []vuln.Change{{Kind: longWord, Old: wideTitle, New: combining, Source: hostile}}},
		Verification: control.Verification{Verdict: control.Unjudged, Blind: scan.NotJudged}}
	for _, s := range []string{longWord, wideTitle, combining, hostile} {
		ev.Heard = append(ev.Heard, triage.Heard{Source: s, Record: s, Package: s, Version: s, Fixed: s, Affected: true})
	}
	return ev
}

func TestEveryVerdictStageAndModeHasAWord(t *testing.T) {
	for _, l := range lang.Languages {
		p := lang.New(l)
		var keys []string
		for _, v := range []string{control.Vulnerable, control.NotAffected, control.NotNamed, control.Unjudged} {
			keys = append(keys, "evidence.verdict."+v)
		}
		for _, s := range triage.AttackStages {
			keys = append(keys, "stage."+s)
		}
		for _, s := range triage.StageStates {
			keys = append(keys, "stage.state."+s)
		}
		for _, m := range []string{host.Enforce, host.Observe} {
			keys = append(keys, "cover.mode."+m)
		}
		for _, e := range triage.EffectsByType(triage.FullProtection(morning), morning) {
			keys = append(keys, "case."+e.Reasons[0].Code)
			if e.Counts != "" {
				keys = append(keys, "cover.counts."+e.Counts)
			}
		}
		for _, k := range keys {
			if !p.Has(k) {
				t.Errorf("%s: no word for %q", l, k)
			}
		}
	}
}

func TestTheChainOfEvidenceIsWholeInJSONToo(t *testing.T) {
	for _, ev := range []control.Evidence{smallEvidence(), freeEvidence(), nastyEvidence(), {}} {
		var b bytes.Buffer
		if err := EvidenceJSON(&b, ev, lang.New("ja")); err != nil {
			t.Fatal(err)
		}
		var doc struct {
			News         map[string]any
			Findings     []triage.Finding
			Protection   map[string]any
			Verification map[string]any
		}
		if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
			t.Fatal(err)
		}
		if doc.News == nil || doc.Findings == nil || doc.Verification == nil || doc.Protection == nil {
			t.Errorf("a link is missing:\n%.300s", b.String())
		}
		for _, f := range doc.Findings {
			for _, r := range f.Reasons {
				if r.Text == "" && r.Code != "" && !strings.Contains(r.Code, "\x1b") {
					t.Errorf("%s: a reason without words: %+v", f.ID, r)
				}
			}
		}
	}
}
