package triage

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

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
	silent  bool   // of a whole host: nothing on it listens
}

// wider returns the farther-reaching of two exposures; of equal ones that which says more.
func (x exposure) wider(y exposure) exposure {
	if slices.Index(exposureOrder, y.level) > slices.Index(exposureOrder, x.level) {
		return y
	}
	if x.level == y.level && (x.process == "" || x.address == "" && y.address != "") {
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
	case x.silent:
		return Reason{Step: "exposure", Code: CodeExposureSilent}
	}
	return Reason{Step: "exposure", Code: CodeExposureIdle}
}

// reach is the exposure of every package of one host: by binary package name, and of
// the host as a whole (what can talk to its kernel's network stack).
type reach struct {
	known    bool
	packages map[string]exposure
	host     exposure
	units    map[string][]string // package → systemd services that run it
	loose    map[string]bool     // packages that processes outside every service run
}

// reachOf reads a host's processes. A package is as exposed as the processes that
// run its program or have its libraries mapped.
func reachOf(inv *host.Inventory) reach {
	r := reach{known: inv.Processes != nil, packages: map[string]exposure{}, units: map[string][]string{}, loose: map[string]bool{}}
	if !r.known {
		return r
	}
	r.host = exposure{level: Small, silent: true}
	for i := range inv.Processes {
		p := &inv.Processes[i]
		x := exposureOf(p, inv.Host.Addresses)
		if x.address != "" {
			r.host = r.host.wider(x)
		}
		r.note(p.Package, p.Unit, x)
		for _, name := range p.Libraries {
			r.note(name, p.Unit, x)
		}
	}
	return r
}

// exposureOf is the exposure of one process: that of its widest listener.
func exposureOf(p *host.Process, addresses []string) exposure {
	x := exposure{level: Small, process: p.Name}
	for _, l := range p.Listeners {
		x = x.wider(exposure{level: listenerLevel(l, addresses), process: p.Name, address: netAddress(l)})
	}
	return x
}

// note adds that a process of a unit, which may have none, runs code of a package.
func (r *reach) note(name, unit string, x exposure) {
	if name == "" {
		return
	}
	r.packages[name] = r.packages[name].wider(x)
	switch {
	case !strings.HasSuffix(unit, ".service"): // scopes are sessions and containers: nobody names them
		r.loose[name] = true
	case !slices.Contains(r.units[name], unit):
		r.units[name] = append(r.units[name], unit)
	}
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

// outside tells whether processes outside every service run code of u.
func (r reach) outside(u *unit) bool {
	return slices.ContainsFunc(u.binaries, func(b binary) bool { return r.loose[b.name] })
}

func netAddress(l host.Listener) string {
	port := strconv.Itoa(l.Port)
	if a, err := netip.ParseAddr(l.Address); err == nil && a.Is6() {
		return "[" + l.Address + "]:" + port
	}
	return l.Address + ":" + port
}

// listenerLevel is how far one listener reaches. An address that is none, and a
// listener on all addresses of a host whose addresses are unknown, are taken as open:
// the cautious reading.
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
		own, err := netip.ParseAddr(s)
		if err != nil {
			return Open
		}
		if sameFamily(a, own) {
			level = exposure{level: level}.wider(exposure{level: addressLevel(own.Unmap().WithZone(""))}).level
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
