package triage

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/vuln"
)

// now is the time all tests judge at.
var now = time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC)

// fakeRecords is Records over a list.
type fakeRecords []vuln.Record

func (f fakeRecords) Affected(_ context.Context, ecosystems, packages []string) (map[string][]Statement, error) {
	out := map[string][]Statement{}
	for _, r := range f {
		for _, a := range r.Affected {
			if r.Withdrawn.IsZero() && slices.Contains(ecosystems, a.Ecosystem) && slices.Contains(packages, a.Package) {
				out[a.Package] = append(out[a.Package], Statement{r.Source, r.ID, vulnerabilitiesOf(r), a})
			}
		}
	}
	return out, nil
}

func vulnerabilitiesOf(r vuln.Record) []string {
	if len(r.Vulnerabilities) == 0 {
		return []string{r.ID}
	}
	return r.Vulnerabilities
}

func (f fakeRecords) Products(_ context.Context, names []string) ([]Listing, error) {
	var out []Listing
	for _, r := range f {
		for _, p := range r.Products {
			if slices.Contains(names, p.Name) {
				out = append(out, Listing{r.Source, r.ID, vulnerabilitiesOf(r), p})
			}
		}
	}
	return out, nil
}

func (f fakeRecords) Configured(context.Context, []string) ([]vuln.Record, error) {
	var out []vuln.Record
	for _, r := range f {
		r.Vulnerabilities = vulnerabilitiesOf(r)
		out = append(out, r)
	}
	return out, nil
}

func (f fakeRecords) Digests(_ context.Context, ids []string) (map[string]*Digest, error) {
	out := map[string]*Digest{}
	for _, id := range ids {
		var about []vuln.Record
		for _, r := range f {
			if slices.Contains(vulnerabilitiesOf(r), id) {
				about = append(about, r)
			}
		}
		if len(about) > 0 {
			d := DigestOf(vuln.Merge(id, about))
			out[id] = &d
		}
	}
	return out, nil
}

func (f fakeRecords) Ecosystems(context.Context) (map[string]bool, error) {
	out := map[string]bool{}
	for _, r := range f {
		for _, a := range r.Affected {
			out[a.Ecosystem] = true
		}
	}
	return out, nil
}

// about is a record that says package of ecosystem is affected below fixed ("": all).
func about(id, ecosystem, pkg, fixed string) vuln.Record {
	events := []vuln.Event{{Introduced: "0"}}
	if fixed != "" {
		events = append(events, vuln.Event{Fixed: fixed})
	}
	return vuln.Record{Source: "osv/test", ID: id, Affected: []vuln.Affected{{Ecosystem: ecosystem, Package: pkg,
		Ranges: []vuln.Range{{Events: events}}}}}
}

func debian(packages ...host.Package) *host.Inventory {
	for i := range packages {
		packages[i].Kind = "dpkg"
	}
	return &host.Inventory{Host: host.Host{Name: "d", OS: host.OS{ID: "debian", VersionID: "12"}}, Packages: packages, Processes: []host.Process{}}
}

func rpmHost(packages ...host.Package) *host.Inventory {
	inv := debian(packages...)
	inv.Host.OS = host.OS{ID: "almalinux", VersionID: "9.4"}
	for i := range packages {
		packages[i].Kind = "rpm"
	}
	return inv
}

func pkg(name, version, source, sourceVersion string) host.Package {
	return host.Package{Name: name, Version: version, Source: source, SourceVersion: sourceVersion, Arch: "amd64"}
}

// scan judges inv against records under no protection.
func scan(t *testing.T, inv *host.Inventory, records ...vuln.Record) Scan {
	t.Helper()
	return scanUnder(t, inv, host.Protection{}, records...)
}

func scanUnder(t *testing.T, inv *host.Inventory, p host.Protection, records ...vuln.Record) Scan {
	t.Helper()
	table, err := BuiltinTable("ssvc")
	if err != nil {
		t.Fatal(err)
	}
	e, err := NewEngine(t.Context(), fakeRecords(records), table, now)
	if err != nil {
		t.Fatal(err)
	}
	s, err := e.Scan(t.Context(), inv, p, now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// found lists "id source version" of the findings, sorted.
func found(s Scan) []string {
	out := []string{}
	for _, f := range s.Findings {
		text := f.ID + " " + f.SourcePackage + " " + f.SourceVersion
		if f.State != "" {
			text += " " + f.State
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return out
}

func wantFound(t *testing.T, s Scan, want ...string) {
	t.Helper()
	if want == nil {
		want = []string{}
	}
	if got := found(s); !slices.Equal(got, want) {
		t.Errorf("found %q\nwant  %q", got, want)
	}
}

func skipped(s Scan, code string) bool {
	return slices.ContainsFunc(s.NotJudged, func(n NotJudged) bool { return n.Code == code })
}
