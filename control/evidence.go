package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/store"
	"github.com/kannuki/kannuki/triage"
	"github.com/kannuki/kannuki/vuln"
)

// Evidence is everything kannuki knows about one vulnerability on one host, in the order
// in which one thing follows from another.
type Evidence struct {
	ID   string       `json:"id"`
	Host host.Host    `json:"host"`
	At   time.Time    `json:"at"`
	News Announcement `json:"news"`
	// Findings carry match, types, coverage, decision, deadline and patch; more than one
	// where several packages have it, none where the host is not affected.
	Findings []triage.Finding `json:"findings"`
	// Heard is what every record says about the installed packages.
	Heard []triage.Heard `json:"heard"`
	// Protection is what was last reported of the host, with what its drills showed;
	// Stale: too long ago to count.
	Protection   host.Protection `json:"protection"`
	Stale        bool            `json:"stale,omitempty"`
	Verification Verification    `json:"verification"`
}

// Announcement is how one vulnerability became known.
type Announcement struct {
	Title     string        `json:"title,omitempty"`
	TitleJA   string        `json:"title_ja,omitempty"`
	Published time.Time     `json:"published,omitzero"`
	Rejected  bool          `json:"rejected,omitempty"`
	Records   []RecordRef   `json:"records"`
	KEV       *vuln.KEV     `json:"kev,omitempty"`
	SSVC      *vuln.SSVC    `json:"ssvc,omitempty"`
	EPSS      *vuln.EPSS    `json:"epss,omitempty"`
	Changes   []vuln.Change `json:"changes"` // since it entered the store
}

// RecordRef names one record about it.
type RecordRef struct {
	Source   string    `json:"source"`
	Record   string    `json:"record"`
	Modified time.Time `json:"modified,omitzero"`
}

// The verdicts of a verification.
const (
	Vulnerable  = "vulnerable"   // the newest inventory has it
	NotAffected = "not-affected" // records name installed packages, none in an affected version
	NotNamed    = "not-named"    // no record about it names anything installed
	Unjudged    = "unjudged"     // the host could not be judged, so that nothing found says nothing
)

// Verification says whether the host is free of it. There is no other notion of
// "fixed" than asking again over a fresh inventory.
type Verification struct {
	Verdict   string             `json:"verdict"`
	Collected time.Time          `json:"collected,omitzero"`  // the inventory that was asked
	Inventory string             `json:"inventory,omitempty"` // how it was made: host.Inventory.Origin
	Blind     []triage.NotJudged `json:"blind,omitempty"`     // why nothing could have matched
}

// GatherEvidence tells all there is about one vulnerability on one host. An identifier
// nobody speaks of is store.ErrUnknown.
func GatherEvidence(ctx context.Context, s store.Store, table *triage.Table, h Inventoried, id string, now time.Time) (Evidence, error) {
	ev := Evidence{ID: id, Host: h.Host, At: now, Protection: h.Protection, Stale: triage.Stale(h.Protection, now), Findings: []triage.Finding{}}
	v, err := s.Vulnerability(ctx, id)
	if err != nil {
		return ev, err
	}
	ev.ID = v.ID
	if ev.News, err = newsOf(ctx, s, v); err != nil {
		return ev, err
	}
	e, err := triage.NewEngine(ctx, s, table, now)
	if err != nil {
		return ev, err
	}
	scan, err := e.Scan(ctx, &h.Inventory, h.Protection, h.First)
	if err != nil {
		return ev, fmt.Errorf("evidence on %s: %w", h.Host.Name, err)
	}
	for _, f := range scan.Findings {
		if f.ID == ev.ID {
			ev.Findings = append(ev.Findings, f)
		}
	}
	if ev.Heard, err = e.Hear(ctx, &h.Inventory, ev.ID); err != nil {
		return ev, err
	}
	ev.Verification = verify(scan, ev, h.Inventory)
	return ev, nil
}

func newsOf(ctx context.Context, s store.Store, v vuln.Vulnerability) (Announcement, error) {
	n := Announcement{Title: v.Title.Value, TitleJA: v.TitleJA.Value, Published: v.Published.Value, Rejected: v.Rejected, KEV: v.KEV, SSVC: v.SSVC, EPSS: v.EPSS,
		Records: []RecordRef{}, Changes: []vuln.Change{}}
	for _, r := range v.Records {
		n.Records = append(n.Records, RecordRef{r.Source, r.ID, r.Modified})
	}
	changes, err := s.Changes(ctx, time.Time{})
	if err != nil {
		return n, err
	}
	for _, c := range changes {
		if c.Vulnerability == v.ID {
			n.Changes = append(n.Changes, c)
		}
	}
	return n, nil
}

func verify(scan triage.Scan, ev Evidence, inv host.Inventory) Verification {
	v := Verification{Verdict: NotNamed, Collected: inv.Collected, Inventory: inv.Origin}
	for _, n := range scan.NotJudged {
		if slices.Contains([]string{triage.CodeSkipSystem, triage.CodeSkipFeed, triage.CodeSkipProduct}, n.Code) {
			v.Blind = append(v.Blind, n)
		}
	}
	switch {
	case len(ev.Findings) > 0:
		v.Verdict = Vulnerable
	case len(v.Blind) > 0:
		v.Verdict = Unjudged
	case len(ev.Heard) > 0:
		v.Verdict = NotAffected
	}
	return v
}
