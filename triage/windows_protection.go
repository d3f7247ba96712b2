package triage

import (
	"slices"
	"time"

	"github.com/kannuki/kannuki/host"
)

// TierAppControl is the host.Protection.Tier of what Windows enforces itself.
const TierAppControl = "app-control"

// WindowsState is one thing an export says of Windows' own protections, and the control
// it counts for.
type WindowsState struct {
	What string // "user-code", "kernel-code", a service, "reduction-rules", "controlled-folders", "realtime"
	Mode string // host.Off, host.Observe, host.Enforce, "on"
	// Count is how many reduction rules are in that mode.
	Count int
	// Control it counts for; empty where it counts for none, because it refuses less
	// than the control promises.
	Control host.Control
}

// WindowsStates lists what an export says of Windows' own protections, in a fixed order.
// Only two of them refuse what a control of ours promises:
//
//   - a code integrity policy of user mode that is enforced: programs and libraries that
//     it does not allow launch for nobody, as Launch says;
//   - one of kernel mode that is enforced while memory integrity runs: drivers it does
//     not allow are no code of the kernel, the surface "module" of KernelCtl.
//
// Credential Guard keeps the secrets of one process, not the memory of all. Attack
// surface reduction rules refuse known patterns, which a list of programs names, not
// what lies where or who asks; controlled folder access refuses unknown programs, and
// the attacked service is a known one. They count for no control, and nothing Windows
// reports holds a service that faces the network.
func WindowsStates(w *host.Windows) []WindowsState {
	var out []WindowsState
	if c := w.CodeIntegrity; c != nil {
		out = append(out, codeStates(c)...)
	}
	if d := w.Defender; d != nil {
		out = append(out, defenderStates(d)...)
	}
	return out
}

func codeStates(c *host.CodeIntegrity) []WindowsState {
	var out []WindowsState
	if c.User != "" {
		s := WindowsState{What: "user-code", Mode: c.User}
		if c.User != host.Off {
			s.Control = host.Launch
		}
		out = append(out, s)
	}
	if c.Kernel != "" {
		s := WindowsState{What: "kernel-code", Mode: c.Kernel}
		if c.Kernel == host.Observe || c.Kernel == host.Enforce && slices.Contains(c.Services, "memory-integrity") {
			s.Control = host.KernelCtl
		}
		out = append(out, s)
	}
	for _, service := range c.Services {
		out = append(out, WindowsState{What: service, Mode: "on"})
	}
	return out
}

func defenderStates(d *host.Defender) []WindowsState {
	var out []WindowsState
	if d.Realtime != "" {
		out = append(out, WindowsState{What: "realtime", Mode: d.Realtime})
	}
	for _, mode := range []string{host.Enforce, "warn", host.Observe} {
		n := 0
		for _, r := range d.ReductionRules {
			if r.Mode == mode {
				n++
			}
		}
		if n > 0 {
			out = append(out, WindowsState{What: "reduction-rules", Mode: mode, Count: n})
		}
	}
	if d.ControlledFolders != "" {
		out = append(out, WindowsState{What: "controlled-folders", Mode: d.ControlledFolders})
	}
	return out
}

// What the controls of a Windows host cannot refuse there.
const (
	gapWhichPolicy = "Windows says that a code integrity policy is in force, not what it allows"
	gapScripts     = "scripts of interpreters that do not ask App Control (cmd, Python, Java, PHP and others) run from anywhere"
	gapDrivers     = "of the kernel's surfaces only the loading of drivers is refused"
)

// WindowsProtection is what the imported state of a Windows host proves, as of at, the
// time of the import: the controls of WindowsStates and no other. No drill runs on
// Windows, so none of it has a proof.
func WindowsProtection(w *host.Windows, at time.Time) host.Protection {
	p := host.Protection{}
	for _, s := range WindowsStates(w) {
		switch s.Control {
		case host.Launch:
			p.Controls = append(p.Controls, host.ControlStatus{Control: host.Launch, Mode: s.Mode, Gaps: []string{gapWhichPolicy, gapScripts}})
		case host.KernelCtl:
			p.Controls = append(p.Controls, host.ControlStatus{Control: host.KernelCtl, Mode: s.Mode, Gaps: []string{gapWhichPolicy, gapDrivers}})
			if s.Mode == host.Enforce {
				p.Surfaces = []string{"module"}
			}
		}
	}
	if w.CodeIntegrity != nil || w.Defender != nil { // that a control is off is a report too
		p.Tier, p.Kernel, p.Reported = TierAppControl, w.Build, at
	}
	return p
}
