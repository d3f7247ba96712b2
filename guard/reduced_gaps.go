package guard

import (
	"slices"

	"github.com/kannuki/kannuki/guard/ruleset"
	"github.com/kannuki/kannuki/host"
)

// holes are the ways around the control launch that fanotify leaves open, always.
var holes = []Gap{
	{Subject: "the agent", Why: "it answers itself: when it ends, everything launches until it is back; while it is stopped, nothing starts"},
	{Subject: "libraries", Why: "files that are mapped are not asked about: LD_PRELOAD, dlopen, and a program that is given to the loader (ld.so ./x)"},
	{Subject: "scripts", Why: "only a script that is started itself is asked about: an interpreter reads what it is given (sh x.sh, python3 x.py)"},
	{Subject: "kernel modules", Why: "loading one is not asked about"},
	{Subject: "other mount namespaces", Why: "file systems that are mounted in another mount namespace only are not asked about (unshare -m, then a tmpfs)"},
	{Subject: "file systems mounted since", Why: "they are asked about when the change of mounts was noticed: one or two seconds later"},
	{Subject: "system space", Why: "root can write there, and launches from there then: the control write is not enforced"},
	{Subject: "containers", Why: "layers of an image are not told from what a container has written: everything on its overlay launches for what a runtime started"},
}

// without are the controls that this tier does not have.
var without = []Gap{
	{Control: string(host.Write), Why: "fanotify asks about no change of a file, its name or its mode"},
	{Control: string(host.Containing), Why: "fanotify knows no sockets, and nobody's lineage: no process is contained"},
	{Control: string(host.ProcessCtl), Why: "fanotify asks about files only"},
	{Control: string(host.Utility), Why: "no process is contained: a service runs every tool"},
	{Control: string(host.Private), Why: "no process is contained: a service reads what its account may"},
	{Control: string(host.KernelCtl), Why: "fanotify asks about files only"},
	{Control: string(host.Self), Why: "fanotify asks about files only: root can stop the agent, or relax what it does"},
}

// reducedGaps is what a ruleset asks for and this tier does not do. memory is why files
// in memory are not asked about; nil: they are.
func reducedGaps(rs ruleset.Ruleset, memory error) []Gap {
	var out []Gap
	add := func(subject, why string) {
		out = append(out, Gap{Control: string(host.Launch), Subject: subject, Why: why})
	}
	for _, hole := range holes {
		add(hole.Subject, hole.Why)
	}
	if memory != nil {
		add("memory", "programs in files that have no name are not asked about (memfd_create): "+memory.Error())
	}
	if slices.ContainsFunc(rs.Places, func(p ruleset.Place) bool { return p.Flags&ruleset.Scratch != 0 }) {
		add("updaters", "who is one is not known: what they unpack into user space and start is refused; run such an update under a grant")
	}
	if slices.ContainsFunc(rs.Programs, func(p ruleset.Program) bool { return p.Flags&ruleset.Builder != 0 }) || slices.ContainsFunc(rs.Lineages, func(l ruleset.Lineage) bool { return l.Flags&ruleset.Builder != 0 }) {
		add("builders", "who built what is not known: what they build is refused to them; build under a grant")
	}
	return append(out, without...)
}
