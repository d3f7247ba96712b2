package triage

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/kannuki/kannuki/host"
)

// Exposure levels of SSVC's "system exposure", as TRIAGE.md section 4 reads them.
const (
	Small      = "small"      // not listening, or not running
	Controlled = "controlled" // reachable from the private network
	Open       = "open"       // reachable from beyond it
)

var exposureOrder = []string{Small, Controlled, Open}

// exposure is how far a component of a host can be reached, and through what.
type exposure struct {
	level   string // "" when unknown
	process string // that listens, or runs
	address string // it listens on, "0.0.0.0:80"
}

// wider returns the farther-reaching of two exposures.
func (x exposure) wider(y exposure) exposure {
	if slices.Index(exposureOrder, y.level) > slices.Index(exposureOrder, x.level) {
		return y
	}
	if x.level == y.level && x.process == "" {
		return y
	}
	return x
}

// reason says how the exposure was found.
func (x exposure) reason() Reason {
	switch {
	case x.level == "":
		return Reason{Step: "exposure", Code: CodeExposureUnknown}
	case x.address != "" && x.level == Small:
		return Reason{Step: "exposure", Code: CodeExposureLoopback, Args: []string{x.process, x.address}}
	case x.address != "":
		return Reason{Step: "exposure", Code: CodeExposureListens, Args: []string{x.process, x.address, x.level}}
	case x.process != "":
		return Reason{Step: "exposure", Code: CodeExposureRuns, Args: []string{x.process}}
	}
	return Reason{Step: "exposure", Code: CodeExposureIdle}
}

// reach is the exposure of every package of one host: by binary package name, and of
// the host as a whole (what can talk to its kernel's network stack).
type reach struct {
	known    bool
	packages map[string]exposure
	host     exposure
	units    map[string][]string // package → systemd units and process names that run it
}

// reachOf reads a host's processes. A package is as exposed as the processes that
// run its program or have its libraries mapped.
func reachOf(inv *host.Inventory) reach {
	r := reach{known: inv.Processes != nil, packages: map[string]exposure{}, units: map[string][]string{}}
	if !r.known {
		return r
	}
	r.host = exposure{level: Small}
	for i := range inv.Processes {
		p := &inv.Processes[i]
		x := exposure{level: Small, process: p.Name}
		for _, l := range p.Listeners {
			x = x.wider(exposure{listenerLevel(l, inv.Host.Addresses), p.Name, netAddress(l)})
		}
		r.host = r.host.wider(x)
		for _, name := range append([]string{p.Package}, p.Libraries...) {
			if name == "" {
				continue
			}
			r.packages[name] = r.packages[name].wider(x)
			if p.Unit != "" && !slices.Contains(r.units[name], p.Unit) {
				r.units[name] = append(r.units[name], p.Unit)
			}
		}
	}
	return r
}

// of is the exposure of a unit: that of its widest binary package.
func (r reach) of(u *unit) exposure {
	if !r.known {
		return exposure{}
	}
	x := exposure{level: Small}
	for _, b := range u.binaries {
		if y, ok := r.packages[b.name]; ok {
			x = x.wider(y)
		}
	}
	return x
}

// running are the systemd units that run code of u, sorted.
func (r reach) running(u *unit) []string {
	var out []string
	for _, b := range u.binaries {
		out = append(out, r.units[b.name]...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func netAddress(l host.Listener) string {
	port := strconv.Itoa(l.Port)
	if a, err := netip.ParseAddr(l.Address); err == nil && a.Is6() {
		return "[" + l.Address + "]:" + port
	}
	return l.Address + ":" + port
}

// listenerLevel is how far one listener reaches. A listener on all addresses of a
// host whose addresses are unknown is taken as open: the cautious reading.
func listenerLevel(l host.Listener, addresses []string) string {
	a, err := netip.ParseAddr(l.Address)
	if err != nil {
		return Open
	}
	a = a.Unmap().WithZone("")
	if !a.IsUnspecified() {
		return addressLevel(a)
	}
	if addresses == nil {
		return Open
	}
	level := Small
	for _, s := range addresses {
		if own, err := netip.ParseAddr(s); err == nil && sameFamily(a, own) {
			if x := addressLevel(own.Unmap().WithZone("")); slices.Index(exposureOrder, x) > slices.Index(exposureOrder, level) {
				level = x
			}
		}
	}
	return level
}

// sameFamily tells whether a listener on "all addresses" of a's family takes traffic
// to own. Linux's "::" takes IPv4 too unless told otherwise, so it is read that way.
func sameFamily(a, own netip.Addr) bool { return a.Is6() || own.Unmap().Is4() }

// carrierGrade is RFC 6598's shared address space: not reachable from the Internet.
var carrierGrade = netip.MustParsePrefix("100.64.0.0/10")

func addressLevel(a netip.Addr) string {
	switch {
	case a.IsLoopback():
		return Small
	case a.IsPrivate(), a.IsLinkLocalUnicast(), a.IsLinkLocalMulticast(), a.IsMulticast(), carrierGrade.Contains(a):
		return Controlled
	}
	return Open
}
