package triage

import (
	"slices"
	"testing"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/vuln"
)

func TestAListenersReachIsThatOfTheAddressesItTakesTrafficOn(t *testing.T) {
	inside, outside := []string{"10.1.2.3"}, []string{"10.1.2.3", "198.51.100.7"}
	for _, c := range []struct {
		listens   string
		addresses []string
		want      string
	}{
		{"127.0.0.1", outside, Small},
		{"127.8.8.8", outside, Small},
		{"::1", outside, Small},
		{"::ffff:127.0.0.1", outside, Small},
		{"10.1.2.3", outside, Controlled},
		{"172.16.0.1", outside, Controlled},
		{"172.32.0.1", outside, Open},
		{"192.168.1.1", nil, Controlled},
		{"169.254.3.4", outside, Controlled},
		{"100.64.0.1", outside, Controlled}, // carrier-grade NAT
		{"100.128.0.1", outside, Open},
		{"fe80::1%eth0", outside, Controlled},
		{"fd00::5", outside, Controlled},
		{"ff02::fb", outside, Controlled},
		{"224.0.0.251", outside, Controlled},
		{"198.51.100.7", inside, Open},
		{"2001:db8::1", inside, Open},
		{"::ffff:198.51.100.7", inside, Open},
		// All addresses: as far as the host's own reach.
		{"0.0.0.0", inside, Controlled},
		{"0.0.0.0", outside, Open},
		{"::", outside, Open},
		{"::", inside, Controlled}, // takes IPv4 too
		{"::", []string{"fe80::1%eth0"}, Controlled},
		{"::", []string{"2001:db8::1", "10.0.0.1"}, Open},
		{"0.0.0.0", []string{"2001:db8::1", "10.0.0.1"}, Controlled}, // takes no IPv6
		{"0.0.0.0", []string{"::ffff:198.51.100.7"}, Open},
		{"0.0.0.0", []string{"100.64.7.7"}, Controlled},
		{"0.0.0.0", []string{}, Small}, // known to have no address but loopback
		// What is not known, or not understood, is taken as open.
		{"0.0.0.0", nil, Open},
		{"::", nil, Open},
		{"0.0.0.0", []string{"10.0.0.1", "eth0"}, Open},
		{"*", inside, Open},
		{"", inside, Open},
	} {
		if got := listenerLevel(host.Listener{Address: c.listens, Port: 80}, c.addresses); got != c.want {
			t.Errorf("a listener on %q of a host with %q is %s, want %s", c.listens, c.addresses, got, c.want)
		}
	}
}

// exposed is the exposure of the one finding, and what is said about it.
func exposed(t *testing.T, inv *host.Inventory, r vuln.Record) (level string, why Reason) {
	t.Helper()
	f := single(t, scan(t, inv, r))
	for _, r := range f.Reasons {
		if r.Step == "exposure" {
			if why.Code != "" {
				t.Errorf("two reasons for the exposure: %v, %v", why, r)
			}
			why = r
		}
	}
	return f.Exposure, why
}

func listening(name, pkg, address string, libraries ...string) host.Process {
	p := host.Process{PID: 9, Name: name, Package: pkg, Libraries: libraries}
	if address != "" {
		p.Listeners = []host.Listener{{Protocol: "tcp", Address: address, Port: 443}}
	}
	return p
}

func TestAPackageIsAsExposedAsWhatRunsItsCode(t *testing.T) {
	for _, c := range []struct {
		name      string
		processes []host.Process
		level     string
		code      string
		args      []string
	}{
		{"nothing is known", nil, Open, CodeExposureUnknown, nil},
		{"nothing runs", []host.Process{}, Small, CodeExposureIdle, nil},
		{"others run", []host.Process{listening("other", "other", "0.0.0.0")}, Small, CodeExposureIdle, nil},
		{"it runs and does not listen", []host.Process{listening("demod", "demo", "")}, Small, CodeExposureRuns, []string{"demod"}},
		{"it listens on loopback", []host.Process{listening("demod", "demo", "127.0.0.1")}, Small, CodeExposureLoopback, []string{"demod", "127.0.0.1:443"}},
		{"it listens inside", []host.Process{listening("demod", "demo", "10.0.0.9")}, Controlled, CodeExposureListens, []string{"demod", "10.0.0.9:443", Controlled}},
		{"it listens everywhere", []host.Process{listening("demod", "demo", "::")}, Open, CodeExposureListens, []string{"demod", "[::]:443", Open}},
		{"a listening process has its library mapped", []host.Process{listening("demod", "demo", ""), listening("webd", "web", "0.0.0.0", "libdemo")},
			Open, CodeExposureListens, []string{"webd", "0.0.0.0:443", Open}},
		{"the widest of several counts", []host.Process{listening("a", "demo", "127.0.0.1"), listening("b", "demo", "10.0.0.9"), listening("c", "demo", "")},
			Controlled, CodeExposureListens, []string{"b", "10.0.0.9:443", Controlled}},
		{"a listener says more than a process", []host.Process{listening("a", "demo", ""), listening("b", "demo", "127.0.0.1")},
			Small, CodeExposureLoopback, []string{"b", "127.0.0.1:443"}},
	} {
		inv := debian(pkg("demo", "1", "demo", "1"), pkg("libdemo", "1", "demo", "1"))
		inv.Host.Addresses, inv.Processes = []string{"203.0.113.5", "10.0.0.9"}, c.processes
		level, why := exposed(t, inv, about("CVE-1", "Debian:12", "demo", ""))
		if level != c.level || why.Code != c.code || !slices.Equal(why.Args, c.args) {
			t.Errorf("%s: %s by %s %q, want %s by %s %q", c.name, level, why.Code, why.Args, c.level, c.code, c.args)
		}
	}
}

func TestAnUnknownExposureIsSaidWhereItDecides(t *testing.T) {
	inv := debian(pkg("demo", "1", "demo", "1"))
	inv.Processes = nil
	f := single(t, scan(t, inv, about("CVE-1", "Debian:12", "demo", "")))
	if !slices.ContainsFunc(f.Reasons, func(r Reason) bool {
		return r.Code == CodeInputUnknown && slices.Equal(r.Args, []string{"exposure", Open})
	}) {
		t.Errorf("the decision does not say that the exposure is unknown: %v", f.Reasons)
	}
}

func TestTheKernelIsReachedThroughWhateverListensOrFromInside(t *testing.T) {
	host1 := func(processes []host.Process) *host.Inventory {
		inv := debian(pkg("linux-image-a", "1", "linux", "1"))
		inv.Kernel = host.Kernel{Running: "a", Installed: []host.InstalledKernel{{Release: "a", Package: "linux-image-a", Version: "1"}}}
		inv.Host.Addresses, inv.Processes = []string{"203.0.113.5"}, processes
		return inv
	}
	open := []host.Process{listening("cron", "cron", ""), listening("sshd", "openssh-server", "0.0.0.0")}
	for _, c := range []struct {
		name, vector string
		processes    []host.Process
		level, code  string
	}{
		{"from the network, something listens", remoteAll, open, Open, CodeExposureListens},
		{"from the network, only loopback listens", remoteAll, []host.Process{listening("db", "db", "127.0.0.1")}, Small, CodeExposureLoopback},
		{"from the network, nothing listens", remoteAll, open[:1], Small, CodeExposureSilent},
		{"from the network, nothing is known", remoteAll, nil, Open, CodeExposureUnknown},
		{"without a vector it may be from the network", "", open, Open, CodeExposureListens},
		{"from the neighbourhood", "CVSS:3.1/AV:A/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", open, Open, CodeExposureListens},
		{"locally, something listens", localAll, open, Small, CodeExposureLocal},
		{"locally, only loopback listens", localAll, []host.Process{listening("db", "db", "127.0.0.1")}, Small, CodeExposureLocal},
		{"locally, nothing is known", localAll, nil, Open, CodeExposureUnknown},
	} {
		level, why := exposed(t, host1(c.processes), rated("CVE-1", "Debian:12", "linux", "", "", c.vector, nil))
		if level != c.level || why.Code != c.code {
			t.Errorf("%s: %s by %v, want %s by %s", c.name, level, why, c.level, c.code)
		}
	}
}
