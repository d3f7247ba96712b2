package triage

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/vuln"
)

// indexed is Records that answers at once, so that a benchmark measures the engine.
type indexed struct {
	fakeRecords
	statements map[string][]Statement
	digests    map[string]*Digest
}

func (x indexed) Affected(_ context.Context, _, names []string) (map[string][]Statement, error) {
	out := make(map[string][]Statement, len(names))
	for _, name := range names {
		out[name] = x.statements[name]
	}
	return out, nil
}

func (x indexed) Digests(context.Context, []string) (map[string]*Digest, error) {
	return x.digests, nil
}

func (x indexed) Ecosystems(context.Context) (map[string]bool, error) {
	return map[string]bool{"Debian:12": true}, nil
}

// benchFleet makes records about many packages and hosts that have them in one of a
// few versions each, ten listeners, and the same importance.
func benchFleet(packages, versions, hosts int) (indexed, []*host.Inventory) {
	x := indexed{statements: map[string][]Statement{}, digests: map[string]*Digest{}}
	for i := range packages {
		name := fmt.Sprintf("package%03d", i)
		for k := range 6 {
			r := about(fmt.Sprintf("CVE-2026-%03d%d", i, k), "Debian:12", name, fmt.Sprintf("1.%d-1", k%4))
			x.statements[name] = append(x.statements[name], Statement{r.Source, r.ID, vulnerabilitiesOf(r), r.Affected[0]})
			x.digests[r.ID] = &Digest{ID: r.ID, Typings: typed("exec overflow/cwe"), Severity: vuln.Severity{Vector: remoteAll, Score: 9.8}}
		}
	}
	fleet := make([]*host.Inventory, hosts)
	for h := range fleet {
		inv := &host.Inventory{Host: host.Host{Name: fmt.Sprint("host", h), OS: host.OS{ID: "debian", VersionID: "12"}, Importance: "high", Addresses: []string{"10.0.0.1"}}}
		for i := range packages {
			name, version := fmt.Sprintf("package%03d", i), fmt.Sprintf("1.%d-1", (h*7+i*3)%versions)
			inv.Packages = append(inv.Packages, host.Package{Name: name, Version: version, Source: name, SourceVersion: version, Kind: "dpkg", Arch: "amd64"})
		}
		for i := range 10 {
			inv.Processes = append(inv.Processes, listening(fmt.Sprint("daemon", i), fmt.Sprintf("package%03d", i*9), "0.0.0.0", "package001", "package002"))
		}
		fleet[h] = inv
	}
	return x, fleet
}

// BenchmarkJudge measures one host: "first" is a host nobody has matched before,
// "fleet" one whose package versions other hosts had.
func BenchmarkJudge(b *testing.B) {
	records, fleet := benchFleet(600, 4, 50)
	judge := func(b *testing.B, e *Engine, i int) {
		v, err := e.Judge(b.Context(), fleet[i%len(fleet)], host.Protection{})
		if err != nil || len(v.Findings) < 300 {
			b.Fatalf("%d findings, %v", len(v.Findings), err)
		}
	}
	b.Run("first", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			judge(b, engineAt(b, "ssvc", records), 0)
		}
	})
	b.Run("fleet", func(b *testing.B) {
		e := engineAt(b, "ssvc", records)
		for i := range fleet {
			judge(b, e, i)
		}
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			judge(b, e, i)
			i++
		}
	})
}

// BenchmarkScan adds what one host's report needs: dates and order.
func BenchmarkScan(b *testing.B) {
	records, fleet := benchFleet(600, 4, 1)
	e := engineAt(b, "ssvc", records)
	b.ReportAllocs()
	for b.Loop() {
		s, err := e.Scan(b.Context(), fleet[0], host.Protection{}, now)
		if err != nil || !slices.IsSortedFunc(s.Findings, func(x, y Finding) int { return compareFindings(&x, &y) }) {
			b.Fatal(err)
		}
	}
}
