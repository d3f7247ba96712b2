package report

import (
	"fmt"
	"io"
	"time"

	"github.com/kannuki/kannuki/control"
	"github.com/kannuki/kannuki/feed"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/lang"
	"github.com/kannuki/kannuki/triage"
	"github.com/kannuki/kannuki/vuln"
)

type write = func(io.Writer, lang.Printer, Page) error

var pages = []pageCase{
	{"morning", morningPage(smallScan(), false), morningPage(nastyScan(), true)},
	{"morning-all", morningPage(smallScan(), true), morningPage(nastyScan(), false)},
	{"morning-clean", morningPage(cleanScan(), false), morningPage(triage.Scan{}, false)},
	{"types", typePage(oneTable()), typePage(yearsTable(longWord, 999), yearsTable(wideTitle, 9), yearsTable(hostile, 1), triage.TypeTable{})},
	{"types-years", typePage(yearsTable("Gate Server", 3)), typePage(yearsTable(combining, 123456))},
	{"show", showPage(smallVulnerability()), showPage(nastyVulnerability())},
	{"show-little", showPage(vuln.Vulnerability{ID: "CVE-2030-0001", Rejected: true, Details: vuln.Value[string]{Value: "Withdrawn by its CNA.", Source: "cve5"}}), showPage(vuln.Vulnerability{})},
	{"new", newPageOf(smallNews()), newPageOf(nastyNews())},
	{"new-none", newPageOf(control.News{Since: morning, Hosts: 3, Changed: 12}), newPageOf(control.News{})},
	{"feeds", feedsPage(smallFeeds()), feedsPage([]feed.SourceStatus{{Source: longWord, Records: 123456789}, {Source: wideTitle}, {Source: hostile, Imported: morning}})},
	{"feeds-none", feedsPage(nil), feedsPage([]feed.SourceStatus{{}})},
	{"rejects", rejectsPage(smallRejects()), rejectsPage([]feed.Reject{{Path: longWord, Entry: wideTitle, Offset: 1 << 60, Source: combining, ID: hostile, Reason: longWord + wideTitle + hostile}, {}})},
	{"import", importPage(smallOutcomes()), importPage([]feed.Outcome{{File: feed.File{Path: longWord}, Status: "imported", Formats: map[feed.Format]int{longWord: 1}, Records: 1e9, Rejected: 1e9, Left: map[string]int{wideTitle: 1, hostile: 2}, Err: combining}, {Status: hostile}})},
	{"inventory", inventoryPage(smallInventory()), inventoryPage(nastyInventory())},
	{"inventory-windows", inventoryPage(windowsInventory()), inventoryPage(host.Inventory{})},
	{"new-returned", newPageOf(returnedNews()), newPageOf(nastyReturned())},
	{"coverage-product", coveragePage(productCoverage()), coveragePage(nastyCoverage()...)},
	{"coverage-products", coveragePage(productCoverage(), asOnHost()), coveragePage(CoverageOf{})},
	{"coverage-hosts", coveragePage(hostsCoverage()), coveragePage(nastyHosts())},
	{"coverage-host", coveragePage(hostCoverage()), coveragePage(CoverageOf{Guards: []control.HostGuard{{}}, Table: triage.CoverageTable{Hosts: 1}})},
	{"what-if", whatIfPage(smallWhatIf(), false), whatIfPage(nastyWhatIf(), true)},
	{"what-if-all", whatIfPage(smallWhatIf(), true), whatIfPage(control.WhatIf{}, false)},
	{"evidence", evidencePage(smallEvidence()), evidencePage(nastyEvidence())},
	{"evidence-none", evidencePage(freeEvidence()), evidencePage(control.Evidence{})},
}

func morningPage(scan triage.Scan, all bool) write {
	return func(w io.Writer, p lang.Printer, layout Page) error {
		return Morning(w, scan, p, MorningOptions{Page: layout, Feeds: smallFeeds(), All: all})
	}
}

func cleanScan() triage.Scan {
	scan := smallScan()
	scan.Findings, scan.Protection = nil, host.Protection{}
	scan.Totals = triage.Totals{Packages: 412, SourcePackages: 301, NotJudged: 3}
	return scan
}

func showPage(v vuln.Vulnerability) write {
	return func(w io.Writer, p lang.Printer, layout Page) error {
		typings := []vuln.Typing{{Type: vuln.Exec, Source: "text", Confidence: "high", Why: "execute arbitrary code"}, {Type: vuln.Overflow, Source: "cwe", Confidence: "low", Why: v.ID}}
		if v.Rejected {
			typings = nil
		}
		return Vulnerability(w, v, typings, p, layout)
	}
}

func smallVulnerability() vuln.Vulnerability {
	v := vuln.Merge("CVE-2030-0101", []vuln.Record{
		{Source: "nvd", ID: "CVE-2030-0101", Vulnerabilities: []string{"CVE-2030-0101"}, Published: morning.AddDate(0, 0, -9), Modified: morning.AddDate(0, 0, -1),
			Texts:      []vuln.Text{{Lang: "en", Details: "A heap-based buffer overflow in gatehttp before 2.4.2 lets remote attackers execute arbitrary code with a crafted chunk header."}},
			Severities: []vuln.Severity{{Source: "nvd", Version: "3.1", Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Score: 9.8}},
			Weaknesses: []vuln.Weakness{{CWE: "CWE-122", Source: "nvd"}, {CWE: "CWE-787", Source: "nvd"}},
			References: []vuln.Reference{{URL: "https://gate.example/advisory/7", Kind: "ADVISORY"}, {URL: "https://exploits.example/1", Kind: "EXPLOIT"}},
			Configurations: []vuln.Configuration{{Nodes: []vuln.Node{{Matches: []vuln.CPEMatch{{CPE: "cpe:2.3:a:gate:gatehttp:*:*:*:*:*:*:*:*", Vulnerable: true, StartIncluding: "2.0", EndExcluding: "2.4.2"},
				{CPE: "cpe:2.3:o:gate:gateos:-:*:*:*:*:*:*:*"}}}}}}},
		{Source: "jvn", ID: "JVNDB-2030-000123", Vulnerabilities: []string{"CVE-2030-0101"}, Modified: morning,
			Texts: []vuln.Text{{Lang: "ja", Title: "gatehttp におけるヒープベースのバッファオーバーフローの脆弱性", Details: "gatehttp には、ヒープベースのバッファオーバーフローの脆弱性が存在します。"}}},
		{Source: "cisa-adp", ID: "CVE-2030-0101", Severities: []vuln.Severity{{Source: "cisa-adp", Version: "3.1", Vector: "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:H", Score: 8.1}},
			SSVC: &vuln.SSVC{Source: "cisa-adp", Exploitation: "active", Automatable: "yes", Impact: "total", At: morning}},
		{Source: "kev", ID: "CVE-2030-0101", KEV: &vuln.KEV{Added: morning.AddDate(0, 0, -3), Due: morning.AddDate(0, 0, 18), Name: "Gate HTTP Heap Overflow", Action: "Apply updates per vendor instructions.", Ransomware: true}},
		{Source: "osv/debian", ID: "DSA-9001-1", Vulnerabilities: []string{"CVE-2030-0101"}, Affected: affectedIn("Debian:12", 2)},
		{Source: "osv/almalinux", ID: "ALSA-2030:1", Vulnerabilities: []string{"CVE-2030-0101"}, Affected: affectedIn("AlmaLinux:9", 7)},
		{Source: "msrc", ID: "CVE-2030-0101", Impacts: []vuln.Impact{{Word: "Remote Code Execution", Source: "msrc"}},
			Products: []vuln.Product{{ID: "1", Name: "Gate Server 2019", Fixes: []vuln.Fix{{KB: "9000001"}}}}},
	})
	v.EPSS = &vuln.EPSS{Score: 0.9123, Percentile: 0.997, Date: morning}
	return v
}

func affectedIn(ecosystem string, n int) []vuln.Affected {
	var list []vuln.Affected
	for i := range n {
		list = append(list, vuln.Affected{Ecosystem: ecosystem, Package: fmt.Sprintf("gatehttp-%d", i),
			Ranges: []vuln.Range{{Events: []vuln.Event{{Introduced: "0"}, {Fixed: "2.4.1-3+deb12u2"}}}}})
	}
	list[0].Ranges = []vuln.Range{{Events: []vuln.Event{{Introduced: "2.0"}, {LastAffected: "2.4.1"}}}, {Events: []vuln.Event{{Introduced: "0"}}}}
	list[0].Status = "will_not_fix"
	return list
}

func nastyVulnerability() vuln.Vulnerability {
	worst := []string{longWord, wideTitle, combining, hostile}
	v := vuln.Vulnerability{ID: longWord, Title: vuln.Value[string]{Value: hostile, Source: longWord}, Details: vuln.Value[string]{Value: longWord + "\n" + wideTitle + hostile, Source: combining},
		KEV: &vuln.KEV{Name: longWord, Action: wideTitle}, EPSS: &vuln.EPSS{}, SSVC: &vuln.SSVC{Source: longWord, Exploitation: hostile}}
	for i := range 40 {
		w := func(n int) string { return worst[(i+n)%len(worst)] }
		v.Severities = append(v.Severities, vuln.Severity{Source: w(0), Version: w(1), Vector: w(2), Word: w(3), Score: 10})
		v.Weaknesses = append(v.Weaknesses, vuln.Weakness{CWE: w(0), Source: w(1)})
		v.Impacts = append(v.Impacts, vuln.Impact{Word: w(0), Source: w(1)})
		v.References = append(v.References, vuln.Reference{URL: w(0), Kind: w(1)})
		v.Records = append(v.Records, vuln.Record{ID: w(0), Products: []vuln.Product{{Name: w(1), Fixes: []vuln.Fix{{KB: w(2)}}}},
			Affected:       []vuln.Affected{{Ecosystem: w(0) + fmt.Sprint(i), Package: w(1), Versions: []string{w(0), w(2)}, Status: w(3)}},
			Configurations: []vuln.Configuration{{Nodes: []vuln.Node{{Matches: []vuln.CPEMatch{{CPE: w(0), Vulnerable: true, EndExcluding: w(1)}}}}}}})
	}
	return v
}

func newPageOf(news control.News) write {
	return func(w io.Writer, p lang.Printer, layout Page) error { return Changes(w, news, morning, p, layout) }
}

func smallNews() control.News {
	var hosts []control.Concern
	for i := range 9 {
		hosts = append(hosts, control.Concern{Host: fmt.Sprintf("web%02d", 9-i), SourcePackage: "gatehttp", SourceVersion: "2.4.1-3", FixedVersion: "2.4.1-3+deb12u2", Decision: triage.Immediate})
	}
	hosts = append(hosts, control.Concern{Host: "db01", SourcePackage: "gatehttp", SourceVersion: "2.4.0-1", Decision: triage.Scheduled})
	return control.News{Since: morning.Add(-24 * time.Hour), Hosts: 120, Changed: 310, Items: []control.Item{
		{Vulnerability: "CVE-2030-0101", Title: "gatehttp heap overflow", TitleJA: "gatehttp におけるヒープオーバーフローの脆弱性", Decision: triage.Immediate, KEV: true, Hosts: hosts, Changes: []vuln.Change{
			{At: morning, Vulnerability: "CVE-2030-0101", Kind: vuln.ChangeExploited, Source: "kev"},
			{At: morning, Vulnerability: "CVE-2030-0101", Kind: vuln.ChangeScored, Source: "nvd", Old: "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:H (8.1)", New: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H (9.8)"}}},
		{Vulnerability: "CVE-2030-0200", Title: "libkeys leaks memory", Decision: triage.Scheduled, Hosts: hosts[9:], Changes: []vuln.Change{
			{At: morning, Vulnerability: "CVE-2030-0200", Kind: vuln.ChangeNew, Source: "osv/debian"},
			{At: morning, Vulnerability: "CVE-2030-0200", Kind: vuln.ChangeFixed, Source: "osv/debian", New: "Debian:12 libkeys 3.0.2-2"}}},
	}}
}

func nastyNews() control.News {
	item := control.Item{Vulnerability: longWord, Title: hostile, TitleJA: wideTitle, Decision: hostile,
		Changes: []vuln.Change{{Kind: longWord, Old: wideTitle, New: combining, Source: hostile}}}
	for range 5 {
		item.Hosts = append(item.Hosts, control.Concern{Host: longWord, SourcePackage: wideTitle, SourceVersion: longWord, FixedVersion: hostile}, control.Concern{Host: wideTitle, SourcePackage: hostile})
	}
	return control.News{Items: []control.Item{item, item}, Hosts: 1, Changed: 1}
}

func feedsPage(sources []feed.SourceStatus) write {
	return func(w io.Writer, p lang.Printer, layout Page) error {
		return FeedStatus(w, sources, morning, p, layout)
	}
}

func rejectsPage(rejects []feed.Reject) write {
	return func(w io.Writer, p lang.Printer, layout Page) error { return Rejects(w, rejects, p, layout) }
}

func smallRejects() []feed.Reject {
	return []feed.Reject{
		{Path: "/var/lib/feeds/debian.zip", Entry: "DSA-9003-1.json", Offset: 1024, Source: "osv/debian", ID: "DSA-9003-1", Reason: "affected[0]: no package name"},
		{Path: "/var/lib/feeds/kev.csv", Source: "kev", Reason: `line 7: dateAdded "yesterday" is no date`},
	}
}

func importPage(outcomes []feed.Outcome) write {
	return func(w io.Writer, p lang.Printer, layout Page) error { return Outcomes(w, outcomes, p, layout) }
}

func smallOutcomes() []feed.Outcome {
	return []feed.Outcome{
		{File: feed.File{Path: "/var/lib/feeds/debian.zip"}, Status: feed.Imported, Formats: map[feed.Format]int{feed.OSV: 43942}, Records: 43942, Rejected: 3, Left: map[string]int{"not JSON": 1}},
		{File: feed.File{Path: "/var/lib/feeds/kev.json"}, Status: feed.Unchanged},
		{File: feed.File{Path: "/var/lib/feeds/README"}, Status: feed.LeftAlone, Left: map[string]int{"no feed format we know": 1}},
		{File: feed.File{Path: "/var/lib/feeds/nvd.json.gz"}, Status: feed.Failed, Err: "nvd.json.gz: byte 81920: the file ends in the middle of a record; download it again"},
	}
}

func inventoryPage(inv host.Inventory) write {
	return func(w io.Writer, p lang.Printer, layout Page) error { return Inventory(w, inv, p, layout) }
}

func smallInventory() host.Inventory {
	return host.Inventory{
		Host: smallScan().Host, Collected: morning, Origin: "live",
		Packages: []host.Package{{Name: "gatehttp", Source: "gatehttp", SourceVersion: "2.4.1-3", Kind: "dpkg"}, {Name: "gatehttp-common", Source: "gatehttp", SourceVersion: "2.4.1-3", Kind: "dpkg"}, {Name: "agent", Source: "agent", Kind: "component"}},
		Kernel:   host.Kernel{Running: "6.1.0-20-amd64", RunningPackage: "linux-image-6.1.0-20-amd64", Installed: []host.InstalledKernel{{Release: "6.1.0-21-amd64", Version: "6.1.90-1"}}},
		Processes: []host.Process{
			{PID: 812, Name: "gatehttp", Unit: "gatehttp.service", User: "gate", Package: "gatehttp", Listeners: []host.Listener{{Protocol: "tcp6", Address: "::", Port: 443}, {Protocol: "tcp", Address: "0.0.0.0", Port: 80}},
				Replaced: []host.Replaced{{Path: "/usr/lib/libkeys.so.3", Package: "libkeys3"}, {Path: "/usr/lib/libkeys2.so.3", Package: "libkeys3"}}},
			{PID: 900, Name: "keysd", User: "root", Listeners: []host.Listener{{Protocol: "udp", Address: "127.0.0.1", Port: 53}}},
		},
		Unread: []host.Unread{host.NotRead("processes", host.NewFault("processes-denied", 2, 80)), host.NotRead("/var/lib/dpkg/status:812 gatehttp", host.NewFault("no-field", "Version")),
			host.NotRead("/var/lib/dpkg/status:830 agent", host.NewFault("no-field", "Version"))},
	}
}

func windowsInventory() host.Inventory {
	return host.Inventory{Host: host.Host{Name: "ad01", OS: host.OS{ID: "windows", Name: "Windows Server 2019"}}, Collected: morning, Origin: "file", Processes: []host.Process{},
		Windows: &host.Windows{Product: "Windows Server 2019", Build: "10.0.17763.1217", KBs: []string{"4525237"}}}
}

func nastyInventory() host.Inventory {
	return host.Inventory{Host: host.Host{Name: longWord, OS: host.OS{Name: wideTitle}, Arch: hostile}, Origin: combining,
		Packages: []host.Package{{Kind: hostile}, {Kind: longWord}},
		Kernel:   host.Kernel{Running: longWord, Installed: []host.InstalledKernel{{Release: wideTitle, Version: hostile}}},
		Windows:  &host.Windows{Product: hostile, Build: longWord},
		Processes: []host.Process{{Name: longWord, Unit: wideTitle, User: hostile, Package: longWord, Listeners: []host.Listener{{Protocol: longWord, Address: "::" + wideTitle, Port: 65535}, {Address: combining}},
			Replaced: []host.Replaced{{Path: longWord}, {Package: hostile}}}},
		Unread: []host.Unread{{What: longWord, Why: wideTitle}, {What: hostile, Why: hostile}}}
}
