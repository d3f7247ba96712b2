package triage

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/vuln"
)

// engineAt is an engine with a built-in table that judges at the time of all tests.
func engineAt(t testing.TB, table string, records Records) *Engine {
	t.Helper()
	e, err := NewEngine(t.Context(), records, builtin(t, table), now)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// rated is about with a text, a vector and a coordinator's word, which may all be empty.
func rated(id, ecosystem, name, fixed, text, vector string, ssvc *vuln.SSVC) vuln.Record {
	r := about(id, ecosystem, name, fixed)
	if text != "" {
		r.Texts = []vuln.Text{{Lang: "en", Details: text}}
	}
	if vector != "" {
		r.Severities = []vuln.Severity{{Source: "osv/test", Version: "3.1", Vector: vector}}
	}
	r.SSVC = ssvc
	return r
}

// inForce is a protection in full force at the time of all tests.
func inForce(contained ...string) host.Protection {
	p := guarded(contained...)
	p.Reported = now.Add(-time.Minute)
	return changed(p, func(s *host.ControlStatus) {
		proof := *s.Proof
		proof.At, proof.Expires = now.Add(-time.Hour), now.Add(time.Hour)
		s.Proof = &proof
	})
}

const codeExecution = "A remote attacker can execute arbitrary code."

// web is a host whose contained web server is reached from anywhere.
func web() *host.Inventory {
	inv := debian(pkg("demo", "1.0-1", "demo", "1.0-1"))
	inv.Host.Importance = "high"
	inv.Host.Addresses = []string{"203.0.113.5"}
	inv.Processes = []host.Process{{PID: 1, Name: "demod", Unit: "demo.service", Package: "demo", Listeners: []host.Listener{{Protocol: "tcp", Address: "0.0.0.0", Port: 80}}}}
	return inv
}

// stepsOf lists the steps of a chain of reasons in order, each once in a row.
func stepsOf(reasons []Reason) string {
	var steps []string
	for _, r := range reasons {
		steps = append(steps, r.Step)
	}
	return strings.Join(slices.Compact(steps), " ")
}

func single(t *testing.T, s Scan) Finding {
	t.Helper()
	if len(s.Findings) != 1 {
		t.Fatalf("%d findings, want one: %q", len(s.Findings), found(s))
	}
	return s.Findings[0]
}

func TestAFindingCarriesItsWholeChainOfReasonsInOrder(t *testing.T) {
	r := rated("CVE-1", "Debian:12", "demo", "1.1-1", codeExecution, remoteAll, &vuln.SSVC{Source: "cisa-adp", Exploitation: PoC, Automatable: "yes", Impact: "total"})
	r.Affected[0].Urgency = "high"
	f := single(t, scanUnder(t, web(), inForce("demo.service"), r))
	if got := stepsOf(f.Reasons); got != "match type exploitation exposure coverage decision" {
		t.Errorf("steps %q", got)
	}
	want := map[string][]string{
		CodeMatchRange:      {"CVE-1", "demo", "1.0-1", "0 ≤ v < 1.1-1", "source"},
		CodeMatchUrgency:    {"osv/test", "high"},
		CodeType:            {"exec", "text", "high"},
		CodeExploitSSVC:     {"cisa-adp", "poc"},
		CodeExposureListens: {"demod", "0.0.0.0:80", "open"},
		CodeExec:            {"exec", "contained"},
		CodeDecisionRow:     {"ssvc", "exploitation=poc, exposure=open, automatable=yes, human-impact=high", "out-of-cycle"},
		CodeMoved:           {"out-of-cycle", "scheduled", "contained"},
	}
	for _, reason := range f.Reasons {
		if args, ok := want[reason.Code]; ok {
			delete(want, reason.Code)
			if len(reason.Args) < len(args) || !slices.Equal(reason.Args[:len(args)], args) {
				t.Errorf("%s says %q, want %q", reason.Code, reason.Args, args)
			}
		}
	}
	if len(want) > 0 {
		t.Errorf("the chain lacks %v", want)
	}
	if last := f.Reasons[len(f.Reasons)-1]; last.Code != CodeMoved {
		t.Errorf("the chain ends with %s, want the movement", last.Code)
	}
	if f.Decision != Scheduled || f.Unguarded != OutOfCycle || f.Row == "" || f.Table != "ssvc" || f.Coverage != Contained {
		t.Errorf("decision %s (unguarded %s) by %s %q, coverage %s", f.Decision, f.Unguarded, f.Table, f.Row, f.Coverage)
	}
}

func TestDeadlinesCountFromWhatCameLast(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 2, n, 0, 0, 0, 0, time.UTC) }
	exec := &Digest{ID: "CVE-1", Typings: typed("exec"), Severity: vector(remoteAll)}
	for _, c := range []struct {
		name              string
		host, known       time.Time
		kev               time.Time
		decision          Action
		firstSeen, due    time.Time
		exploited, noDate bool
	}{
		{name: "the host is older", host: day(1), known: day(5), decision: Scheduled, firstSeen: day(5), due: day(5).AddDate(0, 0, 60)},
		{name: "the vulnerability is older", host: day(9), known: day(5), decision: Scheduled, firstSeen: day(9), due: day(9).AddDate(0, 0, 60)},
		{name: "exploited before it was seen here", host: day(9), known: day(5), kev: day(2), decision: Immediate, firstSeen: day(9), due: day(12)},
		{name: "exploited later: a clock of its own", host: day(1), known: day(1), kev: day(20), decision: Immediate, firstSeen: day(1), due: day(23)},
		{name: "exploited when the old clock was nearly over: it stands", host: day(1), known: day(1), kev: day(1).AddDate(0, 0, 59), decision: Immediate,
			firstSeen: day(1), due: day(1).AddDate(0, 0, 60)},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := *exec
			d.Known = c.known
			if !c.kev.IsZero() {
				d.KEV = &vuln.KEV{Added: c.kev}
			}
			records := known{fakeRecords{about("CVE-1", "Debian:12", "demo", "")}, map[string]*Digest{"CVE-1": &d}}
			s, err := engineAt(t, "ssvc", records).Scan(t.Context(), web(), host.Protection{}, c.host)
			if err != nil {
				t.Fatal(err)
			}
			f := single(t, s)
			if f.Decision != c.decision || !f.FirstSeen.Equal(c.firstSeen) || f.Deadline == nil || !f.Deadline.Equal(c.due) {
				t.Errorf("%s, first seen %v, due %v; want %s, %v, %v", f.Decision, f.FirstSeen, f.Deadline, c.decision, c.firstSeen, c.due)
			}
		})
	}
}

func TestWhatHasNoClockHasNoDeadline(t *testing.T) {
	inv := web()
	inv.Host.Importance, inv.Processes = "low", []host.Process{}
	f := single(t, scan(t, inv, rated("CVE-1", "Debian:12", "demo", "", codeExecution, localAll, nil)))
	if f.Decision != Defer || f.Deadline != nil {
		t.Errorf("%s, due %v", f.Decision, f.Deadline)
	}
	text, err := json.Marshal(f)
	if err != nil || !strings.Contains(string(text), `"deadline":null`) {
		t.Errorf("JSON says %s (%v), want a deadline of null", text, err)
	}
}

// known is Records whose digests are given.
type known struct {
	fakeRecords
	digests map[string]*Digest
}

func (k known) Digests(context.Context, []string) (map[string]*Digest, error) { return k.digests, nil }

func TestOnlyDenialOfServiceIsSentToTheGateway(t *testing.T) {
	s := scan(t, web(), rated("CVE-1", "Debian:12", "demo", "", "It allows a denial of service.", remoteStop, nil),
		rated("CVE-2", "Debian:12", "demo", "", codeExecution, remoteAll, nil))
	for _, f := range s.Findings {
		if want := f.ID == "CVE-1"; (len(f.Advice) == 1 && f.Advice[0].Code == CodeGateway) != want {
			t.Errorf("%s: advice %v", f.ID, f.Advice)
		}
	}
	wantFound(t, s, "CVE-1 demo 1.0-1", "CVE-2 demo 1.0-1")
}

func TestImportanceThatIsNotStatedIsSaidAndTakenAsVeryHigh(t *testing.T) {
	r := rated("CVE-1", "Debian:12", "demo", "", codeExecution, remoteAll, &vuln.SSVC{Exploitation: PoC, Automatable: "yes"})
	for importance, want := range map[string]Action{"low": Scheduled, "medium": Scheduled, "high": OutOfCycle, "very-high": OutOfCycle, "": OutOfCycle} {
		inv := web()
		inv.Host.Importance = importance
		f := single(t, scan(t, inv, r))
		said := slices.ContainsFunc(f.Reasons, func(r Reason) bool {
			return r.Code == CodeInputUnknown && slices.Equal(r.Args, []string{"human-impact", "very-high"})
		})
		if f.Decision != want || said != (importance == "") {
			t.Errorf("importance %q: %s (unknown said: %v), want %s", importance, f.Decision, said, want)
		}
	}
}

// underTable is the one finding of a host by a table, under a protection.
func underTable(t *testing.T, table string, inv *host.Inventory, p host.Protection, records ...vuln.Record) Finding {
	t.Helper()
	s, err := engineAt(t, table, fakeRecords(records)).Scan(t.Context(), inv, p, now)
	if err != nil {
		t.Fatal(err)
	}
	return single(t, s)
}

func TestGuardRailsHoldOnAHost(t *testing.T) {
	exec := rated("CVE-1", "Debian:12", "demo", "", codeExecution, remoteAll, &vuln.SSVC{Exploitation: PoC, Automatable: "yes", Impact: "total"})
	sudo := rated("CVE-1", "Debian:12", "sudo", "", "A local user can gain root privileges: privilege escalation.", localAll, &vuln.SSVC{Exploitation: PoC, Automatable: "yes", Impact: "total"})
	withSudo := web()
	withSudo.Packages = append(withSudo.Packages, host.Package{Name: "sudo", Version: "1", Source: "sudo", SourceVersion: "1", Kind: "dpkg"})
	withSudo.Host.Importance = "very-high"
	withSudo.Processes[0].Libraries = []string{"sudo"} // as exposed as the server
	kev := exec
	kev.KEV = &vuln.KEV{Added: now.AddDate(0, 0, -2)}
	info := rated("CVE-1", "Debian:12", "demo", "", "It allows information disclosure.", remoteRead, &vuln.SSVC{Exploitation: Active, Automatable: "no", Impact: "partial"})
	quiet := web()
	quiet.Host.Importance, quiet.Processes[0].Listeners = "low", nil
	full := inForce("demo", "demo.service")
	expired := changed(full, func(s *host.ControlStatus) {
		proof := *s.Proof
		proof.Expires = now
		s.Proof = &proof
	})
	stale := full
	stale.Reported = now.Add(-16 * time.Minute)
	off := full
	off.Reported = time.Time{}
	for _, c := range []struct {
		name       string
		inv        *host.Inventory
		record     vuln.Record
		protection host.Protection
		coverage   Effect
		bare, want Action
		says       string
	}{
		{"prevented is two steps later", withSudo, sudo, full, Prevented, OutOfCycle, Defer, CodeMoved},
		{"contained is one step later", web(), exec, full, Contained, OutOfCycle, Scheduled, CodeMoved},
		{"unproven is one step weaker", web(), exec, changed(full, unproven), Limited, OutOfCycle, OutOfCycle, CodeUnproven},
		{"prevented and unproven is contained", withSudo, sudo, changed(full, unproven), Contained, OutOfCycle, Scheduled, CodeUnproven},
		{"an expired drill proves nothing", web(), exec, expired, Limited, OutOfCycle, OutOfCycle, CodeUnproven},
		{"observing covers nothing", web(), exec, changed(inForce("demo"), observing), None, OutOfCycle, OutOfCycle, CodeNotEnforcing},
		{"exploited, open and total keeps its clock", web(), kev, inForce("demo"), Contained, Immediate, Immediate, CodeKeptClock},
		{"exploited and not covered is raised", quiet, info, inForce("demo"), None, OutOfCycle, OutOfCycle, CodeFloor},
		{"a stale protection counts for nothing", web(), exec, stale, None, OutOfCycle, OutOfCycle, CodeProtectionStale},
		{"a protection nobody reported counts for nothing", web(), exec, off, None, OutOfCycle, OutOfCycle, CodeProtectionStale},
	} {
		t.Run(c.name, func(t *testing.T) {
			bare := underTable(t, "ssvc", c.inv, host.Protection{}, c.record)
			f := underTable(t, "ssvc", c.inv, c.protection, c.record)
			if bare.Decision != c.bare || f.Decision != c.want || f.Coverage != c.coverage {
				t.Errorf("%s, guarded %s by %s; want %s, %s by %s: %v", bare.Decision, f.Decision, f.Coverage, c.bare, c.want, c.coverage, f.Reasons)
			}
			if f.ID != bare.ID || !slices.ContainsFunc(f.Reasons, func(r Reason) bool { return r.Code == c.says }) {
				t.Errorf("%s: nothing says %s", f.ID, c.says)
			}
			if c.coverage == None && f.Stages != nil && (f.Stages.Effect != None || f.Stages.Proven) {
				t.Errorf("covers nothing, and shows %+v", f.Stages)
			}
			if c.want == c.bare && f.Unguarded != "" || c.want != c.bare && f.Unguarded != c.bare {
				t.Errorf("unguarded %q", f.Unguarded)
			}
			if bare.Stages != nil || bare.Coverage != None {
				t.Errorf("without a guard coverage is %s, %+v", bare.Coverage, bare.Stages)
			}
		})
	}
}

func TestWhatIfIsTheSameComputationBothWays(t *testing.T) {
	records := fakeRecords{rated("CVE-1", "Debian:12", "demo", "", codeExecution, remoteAll, &vuln.SSVC{Exploitation: PoC, Automatable: "yes"}),
		rated("CVE-2", "Debian:12", "demo", "", "It allows a denial of service.", remoteStop, nil)}
	e := engineAt(t, "ssvc", records)
	decisions := func(p host.Protection) map[string]Action {
		s, err := e.Scan(t.Context(), web(), p, now)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]Action{}
		for _, f := range s.Findings {
			out[f.ID] = f.Decision
		}
		return out
	}
	on := inForce("demo")
	off := changed(on, observing, host.Utility)
	before := map[string]Action{"CVE-1": OutOfCycle, "CVE-2": Scheduled}
	after := map[string]Action{"CVE-1": Scheduled, "CVE-2": Scheduled}
	for i, step := range []struct {
		p    host.Protection
		want map[string]Action
	}{{off, before}, {on, after}, {off, before}, {on, after}, {host.Protection{}, before}} {
		if diff := cmp.Diff(step.want, decisions(step.p)); diff != "" {
			t.Errorf("step %d (-want +got)\n%s", i, diff)
		}
	}
}

func TestBOD2604DecidesOnAHost(t *testing.T) {
	total := &vuln.SSVC{Exploitation: PoC, Automatable: "yes", Impact: "total"}
	partial := &vuln.SSVC{Exploitation: PoC, Automatable: "no", Impact: "partial"}
	inside := web()
	inside.Host.Addresses = []string{"10.0.0.5"}
	for _, c := range []struct {
		name      string
		inv       *host.Inventory
		ssvc      *vuln.SSVC
		kev       bool
		want      Action
		days      int
		forensics bool
	}{
		{"open, automatable, total", web(), total, false, Days3, 3, false},
		{"inside, automatable, total", inside, total, false, Days60, 60, false},
		{"inside, not automatable, partial", inside, partial, false, OnUpgrade, 0, false},
		{"open, not automatable, partial", web(), partial, false, Days60, 60, false},
		{"known exploited, open, total", web(), total, true, Days3Forensic, 3, true},
		{"known exploited, inside, partial", inside, partial, true, Days14, 14, false},
	} {
		r := rated("CVE-1", "Debian:12", "demo", "", codeExecution, remoteAll, c.ssvc)
		if c.kev {
			r.KEV = &vuln.KEV{Added: now.AddDate(0, 0, -30)}
		}
		f := underTable(t, "bod-26-04", c.inv, host.Protection{}, r)
		due := f.Deadline == nil && c.days == 0 || f.Deadline != nil && f.Deadline.Equal(now.AddDate(0, 0, c.days))
		if f.Decision != c.want || f.Forensics != c.forensics || !due || f.Table != "bod-26-04" {
			t.Errorf("%s: %s of %s, due %v, forensics %v; want %s in %d days", c.name, f.Decision, f.Table, f.Deadline, f.Forensics, c.want, c.days)
		}
	}
}

func TestTheKernelThatRunsIsJudgedWhenItsImageWasReplaced(t *testing.T) {
	// An update kept the release name: what is on disk is not what runs.
	inv := debian(pkg("linux-image-6.1.0-21-amd64", "6.1.94-1", "linux-signed-amd64", "6.1.94+1"))
	inv.Kernel = host.Kernel{Running: "6.1.0-21-amd64", RunningVersion: "6.1.90-1", RunningPackage: "linux-image-6.1.0-21-amd64",
		Installed: []host.InstalledKernel{{Release: "6.1.0-21-amd64", Package: "linux-image-6.1.0-21-amd64", Version: "6.1.94-1"}}}
	records := []vuln.Record{about("CVE-1", "Debian:12", "linux", "6.1.90-1"), about("CVE-2", "Debian:12", "linux", "6.1.94-1"), about("CVE-3", "Debian:12", "linux", "")}
	s := scan(t, inv, records...)
	wantFound(t, s, "CVE-2 linux 6.1.90-1 reboot-needed", "CVE-3 linux 6.1.90-1")
	if s.Totals.SourcePackages != 1 {
		t.Errorf("%d source packages, want the installed one", s.Totals.SourcePackages)
	}
	inv.Kernel.RunningVersion = "6.1.94-1"
	wantFound(t, scan(t, inv, records...), "CVE-3 linux 6.1.94-1")
}

func TestEveryFlavourOfTheRunningKernelIsRecognised(t *testing.T) {
	inv := debian(pkg("linux-image-6.1.0-21-amd64", "6.1.90-1", "linux", "6.1.90-1"), pkg("linux-image-6.1.0-21-cloud-amd64", "6.1.90-1", "linux", "6.1.90-1"))
	inv.Kernel.Installed = []host.InstalledKernel{{Release: "6.1.0-21-amd64", Package: "linux-image-6.1.0-21-amd64", Version: "6.1.90-1"},
		{Release: "6.1.0-21-cloud-amd64", Package: "linux-image-6.1.0-21-cloud-amd64", Version: "6.1.90-1"}}
	for _, in := range inv.Kernel.Installed {
		inv.Kernel.Running = in.Release
		s := scan(t, inv, about("CVE-1", "Debian:12", "linux", ""))
		wantFound(t, s, "CVE-1 linux 6.1.90-1")
		if skipped(s, CodeSkipKernel) {
			t.Errorf("%s runs and is told to belong to no package", in.Release)
		}
	}
}

func TestManyProcessesOfAnOldLibraryAreOneFinding(t *testing.T) {
	inv := debian(pkg("libssl3", "3.0.13-1", "openssl", "3.0.13-1"), pkg("openssl", "3.0.13-1", "openssl", "3.0.13-1"))
	for i := range 7 {
		inv.Processes = append(inv.Processes, host.Process{PID: 100 + i, Name: "worker", Replaced: []host.Replaced{
			{Path: "/usr/lib/libssl.so.3", Package: "libssl3", Version: "3.0.11-1"}, {Path: "/usr/lib/libcrypto.so.3", Package: "libssl3", Version: "3.0.11-1"}}})
	}
	inv.Processes[3].Listeners = []host.Listener{{Address: "203.0.113.1", Port: 443}}
	inv.Processes[4].Replaced[1] = host.Replaced{Path: "/usr/bin/openssl", Package: "openssl", Version: "3.0.11-1"}
	f := single(t, scan(t, inv, about("CVE-1", "Debian:12", "openssl", "3.0.12-1")))
	if f.State != RestartNeeded || f.Exposure != Open || !slices.Equal(f.Packages, []string{"libssl3", "openssl"}) {
		t.Errorf("%s, %s, %q", f.State, f.Exposure, f.Packages)
	}
	for _, r := range f.Reasons {
		if r.Code == CodeRestart && !strings.HasSuffix(r.Args[0], "worker (pid 104), +2") {
			t.Errorf("restart of %q", r.Args[0])
		}
	}
}

func TestAComponentNamedByManyRecordsIsOneFindingPerVulnerability(t *testing.T) {
	record := func(source, id, end string) vuln.Record {
		return vuln.Record{Source: source, ID: id, Vulnerabilities: []string{"CVE-2024-0001"}, Configurations: []vuln.Configuration{{Nodes: []vuln.Node{{
			Matches: []vuln.CPEMatch{{CPE: "cpe:2.3:a:acme:demo:*:*:*:*:*:*:*:*", Vulnerable: true, EndExcluding: end}}}}}}}
	}
	inv := debian()
	inv.Packages = []host.Package{{Name: "demo", Version: "1.5", Source: "demo", SourceVersion: "1.5", Kind: "component", CPE: "cpe:2.3:a:acme:demo:1.5:*:*:*:*:*:*:*"}}
	f := single(t, scan(t, inv, record("nvd", "CVE-2024-0001", "1.9"), record("jvn", "JVNDB-2024-000001", "1.10")))
	if len(f.Matches) != 2 || f.FixedVersion != "1.10" {
		t.Errorf("matches %+v, fixed %s; want both, and the later fix", f.Matches, f.FixedVersion)
	}
}

func TestAChannelsRecordThatSparesAPackageBeatsTheNormalRelease(t *testing.T) {
	inv := rpmHost(pkg("demo", "1.0-1.el9_2", "demo", "1.0-1.el9_2"))
	inv.Host.OS = host.OS{ID: "rhel", VersionID: "9.2", Channels: []string{"eus"}}
	spared := about("CVE-1", "Red Hat:rhel_eus:9.2", "demo", "")
	spared.Affected[0].Status, spared.Affected[0].Ranges = "not_affected", nil
	broken := about("CVE-2", "Red Hat:rhel_eus:9.2", "demo", "1")
	broken.Affected[0].Ranges[0].Kind = "PERHAPS"
	s := scan(t, inv, about("CVE-1", "Red Hat:enterprise_linux:9", "demo", ""), spared, about("CVE-2", "Red Hat:enterprise_linux:9", "demo", ""), broken)
	wantFound(t, s, "CVE-2 demo 1.0-1.el9_2")
	if !skipped(s, CodeMatchBroken) {
		t.Error("a broken record is not told")
	}
}

// failing is Records whose answers fail as long as it says so.
type failing struct {
	fakeRecords
	affected, digests bool
}

func (f *failing) Affected(ctx context.Context, eco, names []string) (map[string][]Statement, error) {
	if f.affected {
		return nil, errors.New("disk on fire")
	}
	return f.fakeRecords.Affected(ctx, eco, names)
}

func (f *failing) Digests(ctx context.Context, ids []string) (map[string]*Digest, error) {
	if f.digests {
		return nil, errors.New("disk on fire")
	}
	return f.fakeRecords.Digests(ctx, ids)
}

func TestAnEngineThatFailedOnceForgetsNothing(t *testing.T) {
	f := &failing{fakeRecords: fakeRecords{about("CVE-1", "Debian:12", "demo", "")}}
	e := engineAt(t, "ssvc", f)
	for _, broken := range []*bool{&f.affected, &f.digests} {
		*broken = true
		if _, err := e.Scan(t.Context(), web(), host.Protection{}, now); err == nil || !strings.Contains(err.Error(), "disk on fire") {
			t.Fatalf("error %v", err)
		}
		*broken = false
	}
	s, err := e.Scan(t.Context(), web(), host.Protection{}, now)
	if err != nil {
		t.Fatal(err)
	}
	wantFound(t, s, "CVE-1 demo 1.0-1")
}
