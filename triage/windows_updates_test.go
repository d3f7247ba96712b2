package triage

import (
	"slices"
	"testing"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/vuln"
)

// server is a Windows host as an export describes it.
func server(product, build string, kbs ...string) *host.Inventory {
	return &host.Inventory{Host: host.Host{Name: "w", OS: host.OS{ID: "windows"}}, Windows: &host.Windows{Product: product, Build: build, KBs: kbs}}
}

func listing(id, product string, fixes ...vuln.Fix) vuln.Record {
	return vuln.Record{Source: "msrc", ID: id, Products: []vuln.Product{{Name: product, Status: "Known Affected", Fixes: fixes}}}
}

// stateOf lists the findings as "CVE" or "CVE state".
func stateOf(s Scan) []string {
	var out []string
	for _, f := range s.Findings {
		text := f.ID
		if f.State != "" {
			text += " " + f.State
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return out
}

func TestWhatAWindowsUpdateProves(t *testing.T) {
	const s19, s22, r2 = "Windows Server 2019", "Windows Server 2022", "Windows Server 2012 R2"
	update := func(kb, build string, supersedes ...string) vuln.Fix {
		return vuln.Fix{KB: kb, Build: build, Supersedes: supersedes, Kind: "Security Update"}
	}
	hot := func(kb, build string) vuln.Fix {
		return vuln.Fix{KB: kb, Build: build, Kind: "Security Hotpatch Update"}
	}
	kind := func(kind, kb, build string) vuln.Fix { return vuln.Fix{KB: kb, Build: build, Kind: kind} }
	tests := []struct {
		name    string
		inv     *host.Inventory
		records []vuln.Record
		want    []string
	}{
		{"an installed update says the build where ver does not, past a hole in the chain", server(s19, "10.0.17763", "5087538"),
			[]vuln.Record{listing("CVE-1", s19, update("5075904", "10.0.17763.8389")), listing("CVE-2", s19, update("5087538", "10.0.17763.8755", "5082123")), listing("CVE-3", s19, update("5094123", "10.0.17763.8880", "5087538"))},
			[]string{"CVE-3"}},
		{"the number of a part of Windows is no build of Windows", server(r2, "6.3.9600", "1"),
			[]vuln.Record{listing("CVE-1", r2, kind("IE Cumulative", "5058380", "1.003"), kind("Monthly Rollup", "5058403", "6.3.9600.22577"))}, []string{"CVE-1"}},
		{"a monthly rollup holds the earlier ones", server(r2, "6.3.9600", "5058403"),
			[]vuln.Record{listing("CVE-1", r2, kind("Monthly Rollup", "5055557", "6.3.9600.22523")), listing("CVE-2", r2, kind("Monthly Rollup", "5058403", "6.3.9600.22577")),
				listing("CVE-3", r2, kind("Monthly Rollup", "5061018", "6.3.9600.22620"))}, []string{"CVE-3"}},
		{"a security-only update holds itself, whatever its number", server(r2, "6.3.9600.22577", "5058404"),
			[]vuln.Record{listing("CVE-1", r2, kind("Security Only", "5055558", "6.3.9600.22523"), kind("Monthly Rollup", "5055557", "6.3.9600.22523")),
				listing("CVE-2", r2, kind("Security Only", "5058404", "6.3.9600.22577"), kind("Monthly Rollup", "5058403", "6.3.9600.22577"))}, []string{"CVE-1"}},
		{"a servicing stack is not in a cumulative update", server(s19, "10.0.17763.8755"),
			[]vuln.Record{listing("CVE-1", s19, kind("Servicing Stack Update", "4465664", "10.0.17763.1"))}, []string{"CVE-1"}},
		{"a hotpatch's number proves nothing where updates restart", server(s22, "10.0.20348.3640"),
			[]vuln.Record{listing("CVE-1", s22, update("5058385", "10.0.20348.3692"), hot("5058500", "10.0.20348.3630"))}, []string{"CVE-1"}},
		{"a later hotpatch holds the earlier", server(s22, "10.0.20348.3745", "5058385", "5060525"),
			[]vuln.Record{listing("CVE-1", s22, update("5058386", "10.0.20348.3692"), hot("5058500", "10.0.20348.3630")), listing("CVE-2", s22, update("5060526", "10.0.20348.3807"), hot("5060525", "10.0.20348.3745"))}, nil},
		{"a hotpatch does not hold what only the update with a restart has", server(s22, "10.0.20348.4830", "5073457", "5078737"),
			[]vuln.Record{listing("CVE-1", s22, update("5075906", "10.0.20348.4773")), listing("CVE-2", s22, hot("5078737", "10.0.20348.4830"), update("5078766", "10.0.20348.4893")), listing("CVE-3", s22, update("5073457", "10.0.20348.4648"))},
			[]string{"CVE-1"}},
		{"the running build alone tells a hotpatched host", server(s22, "10.0.20348.3630"),
			[]vuln.Record{listing("CVE-1", s22, update("5058385", "10.0.20348.3692"), hot("5058500", "10.0.20348.3630"))}, nil},
		{"an update whose build does not run waits for a reboot", server(s19, "10.0.17763.8644", "5087538"),
			[]vuln.Record{listing("CVE-1", s19, update("5082123", "10.0.17763.8644")), listing("CVE-2", s19, update("5087538", "10.0.17763.8755", "5082123")), listing("CVE-3", s19, update("5094123", "10.0.17763.8880"))},
			[]string{"CVE-2 reboot-needed", "CVE-3"}},
		{"of two builds of one update the lower has to run", server(s19, "10.0.17763.8755", "5087538"),
			[]vuln.Record{listing("CVE-1", s19, update("5087538", "10.0.17763.8755")), listing("CVE-2", s19, update("5087538", "10.0.17763.8757"))}, nil},
		{"Server Core has names of its own, written in two ways", func() *host.Inventory {
			inv := server("Windows Server, version 1803", "10.0.17134.1", "1")
			inv.Windows.Core = true
			return inv
		}(), []vuln.Record{listing("CVE-1", "Windows Server, version 1803 (Server Core Installation)", update("2", "")), listing("CVE-2", "Windows Server, version 1803 (Server Core installation)", update("2", "")), listing("CVE-3", "Windows Server, version 1803", update("2", ""))},
			[]string{"CVE-1", "CVE-2"}},
		{"a build of another version proves nothing", server(s19, "10.0.20348.9999"), []vuln.Record{listing("CVE-1", s19, update("5087538", "10.0.17763.8755"))}, []string{"CVE-1"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := stateOf(scan(t, test.inv, test.records...)); !slices.Equal(got, test.want) {
				t.Errorf("findings %q, want %q", got, test.want)
			}
		})
	}
}

func TestCumulativeUpdatesHoldWhatWasReleasedBeforeThem(t *testing.T) {
	const product = "Windows Server 2019"
	on := func(day int, id, kb string, supersedes ...string) vuln.Record {
		r := listing(id, product, vuln.Fix{KB: kb, Supersedes: supersedes, Kind: "Security Update"})
		r.Published = time.Date(2019, 1, day, 8, 0, 0, 0, time.UTC)
		return r
	}
	records := []vuln.Record{
		on(8, "CVE-2019-0001", "4480116"), on(8, "CVE-2019-0002", "4480116"), on(8, "CVE-2019-0003", "4480116"),
		on(8, "CVE-2019-0004", "4470000"),             // beside the cumulative update of that day
		on(15, "CVE-2019-0005", "4480900", "4480899"), // out of the ordinary
		on(22, "CVE-2019-0006", "4487044"), on(22, "CVE-2019-0007", "4487044"),
		on(8, "CVE-2019-0008", "4551853", "4549949"), // repaired again a year later
		on(29, "CVE-2019-0009", "4489899"),
		on(8, "CVE-2019-0010", "4489899"), // published before its update was
	}
	for _, test := range []struct {
		installed string
		want      []string
	}{
		{"4480116", []string{"CVE-2019-0004", "CVE-2019-0005", "CVE-2019-0006", "CVE-2019-0007", "CVE-2019-0008", "CVE-2019-0009", "CVE-2019-0010"}},
		{"4487044", []string{"CVE-2019-0004", "CVE-2019-0008", "CVE-2019-0009", "CVE-2019-0010"}},
		{"4470000", []string{"CVE-2019-0001", "CVE-2019-0002", "CVE-2019-0003", "CVE-2019-0005", "CVE-2019-0006", "CVE-2019-0007", "CVE-2019-0008", "CVE-2019-0009", "CVE-2019-0010"}},
	} {
		if got := stateOf(scan(t, server(product, "10.0.17763", test.installed), records...)); !slices.Equal(got, test.want) {
			t.Errorf("KB%s installed: %q missing, want %q", test.installed, got, test.want)
		}
	}
}

func TestAWaitingRebootNamesBothBuilds(t *testing.T) {
	s := scan(t, server("Windows Server 2019", "10.0.17763.8644", "5087538"),
		listing("CVE-1", "Windows Server 2019", vuln.Fix{KB: "5087538", Build: "10.0.17763.8755"}))
	if len(s.Findings) != 1 {
		t.Fatalf("findings %+v", s.Findings)
	}
	f := s.Findings[0]
	if f.SourceVersion != "10.0.17763.8644" || f.FixedVersion != "10.0.17763.8755" || !slices.ContainsFunc(f.Reasons, func(r Reason) bool {
		return r.Code == CodeReboot && slices.Equal(r.Args, []string{"10.0.17763.8644", "10.0.17763.8755"})
	}) {
		t.Errorf("finding %+v", f)
	}
	if s.Totals.SourcePackages != 1 {
		t.Errorf("%d systems counted, want 1", s.Totals.SourcePackages)
	}
}
