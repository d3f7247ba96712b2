package suggest

import (
	"path"
	"slices"
	"strings"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// remedy is a kind of line.
type remedy int

const (
	none        remedy = iota
	systemPlace        // spaces.system: a place programs are deployed to
	writerPlace        // spaces.system: a place one lineage may change
	userPlace          // spaces.user: a place to write to that does not launch
	dataPlace          // spaces.data: a place and its owner
	readerPlace        // spaces.private: a place and its reader
	edge               // containment.edges
	cache              // interpreters.caches
	builder            // builders
	grant              // grants, launch
)

// ruling is what is to be done about a sight.
type ruling struct {
	remedy remedy
	advice Advice
	risk   Risk
	reason reason
}

func add(r remedy, risk Risk, why reason) ruling {
	return ruling{remedy: r, advice: Add, risk: risk, reason: why}
}
func attack(why reason) ruling { return ruling{advice: Refuse, reason: why} }
func unable(why reason) ruling { return ruling{advice: Unable, reason: why} }

// needsWho tells whether the line is for somebody.
func (r ruling) needsWho() bool { return r.remedy != systemPlace && r.remedy != userPlace }

// rule decides about one sight.
func (s *suggester) rule(o *sight) ruling {
	switch {
	case o.op == "make-setuid":
		return attack(reasonMakeSetuid)
	case o.q.Op == "":
		return unable(reasonNoPath)
	case !path.IsAbs(o.q.Path) || path.Clean(o.q.Path) != o.q.Path:
		return unable(reasonCutPath)
	}
	v := s.p.Explain(o.q)
	if v.Allowed && v.Control == host.Containing && slices.Contains(policy.Shells(), path.Base(o.q.Path)) {
		return unable(reasonShell)
	} else if v.Allowed {
		return ruling{advice: Already, reason: reasonAlready}
	}
	switch {
	case v.Control == host.Self || v.Rule == policy.RuleGuard || v.Rule == policy.RuleUnits:
		return attack(reasonGuard)
	case v.Control == host.Launch && o.contained():
		return s.launchContained(o, v)
	case v.Control == host.Launch:
		return launch(o, v)
	case v.Control == host.Write && o.contained():
		return s.writeContained(o, v)
	case v.Control == host.Write:
		return s.writeSealed(o, v)
	case v.Control == host.Utility:
		return s.utility(o, v)
	case v.Control == host.Containing:
		return setuid(o)
	case v.Control == host.Private:
		return s.private(o, v)
	}
	return unable(reasonNoWords)
}

func (s *suggester) launchContained(o *sight, v policy.Verdict) ruling {
	switch {
	case everybodys(o.q.Path):
		return attack(reasonContainedShared)
	case v.Rule != policy.RuleUserSpace:
		return attack(reasonContainedUpload) // user space carved out of system space
	case home(o.q.Path) != "":
		return attack(reasonContainedHome)
	case s.written[path.Dir(o.q.Path)]:
		return attack(reasonContainedWrote)
	case o.op == "library" && working(o.q.Path):
		return add(cache, High, reasonOwnLibraries)
	}
	return add(systemPlace, High, reasonContainedLaunch)
}

func launch(o *sight, v policy.Verdict) ruling {
	switch {
	case v.Rule != policy.RuleUserSpace:
		return unable(reasonUploadsLaunch)
	case o.q.As == policy.AsUpdater:
		return unable(reasonUpdaterScratch)
	case o.tool && o.who != (policy.Who{}):
		return add(builder, Medium, reasonBuilds)
	case everybodys(o.q.Path):
		return unable(reasonShared)
	case home(o.q.Path) != "":
		return add(grant, Medium, reasonHome)
	}
	return add(systemPlace, Medium, reasonDeployed)
}

func (s *suggester) writeContained(o *sight, v policy.Verdict) ruling {
	if slices.ContainsFunc(s.p.Spaces.Persistence, func(r policy.PersistencePath) bool { return r.ID == v.Rule }) {
		return attack(reasonPersistence)
	}
	if d, ok := byID(s.p.Spaces.Data, v.Rule); ok {
		switch {
		case len(d.Owners) > 0 || !d.ByAccount:
			return attack(reasonOthersData)
		case everybodys(o.q.Path):
			return unable(reasonShared)
		case s.launched[path.Dir(o.q.Path)]:
			return attack(reasonContainedWrote)
		case home(o.q.Path) != "":
			return add(dataPlace, Medium, reasonHomes)
		}
		return add(dataPlace, Low, reasonData)
	}
	r, ok := byID(s.p.Spaces.System, v.Rule)
	switch {
	case !ok:
		return unable(reasonNoWords)
	case r.Seal == policy.Sealed:
		return attack(reasonContainedSealed)
	case s.code(o.q.Path):
		return attack(reasonCode)
	case within(o.q.Path, "/usr/local") || within(o.q.Path, "/opt"):
		return attack(reasonContainedSealed)
	case within(o.q.Path, "/etc"):
		return add(writerPlace, High, reasonConfig)
	case strings.Count(strings.TrimPrefix(o.q.Path, r.Place.String()), "/") < 3:
		return unable(reasonBesideCode)
	}
	return add(userPlace, Medium, reasonUploads)
}

// code tells whether an interpreter would take the file for code.
func (s *suggester) code(file string) bool {
	return slices.ContainsFunc(s.p.Interpreters.Programs, func(i policy.Interpreter) bool { return slices.Contains(i.Extensions, path.Ext(file)) })
}

// writeSealed is a change of a sealed place by somebody who is not contained.
func (s *suggester) writeSealed(o *sight, v policy.Verdict) ruling {
	_, system := byID(s.p.Spaces.System, v.Rule)
	switch {
	case !system || within(o.q.Path, "/boot") || within(o.q.Path, "/usr") && !within(o.q.Path, "/usr/local") || within(o.q.Path, "/var/lib/dpkg"):
		return unable(reasonCore)
	case o.who == (policy.Who{}):
		return unable(reasonByHand)
	}
	return add(writerPlace, Medium, reasonDeployer)
}

// exits are categories of utilities that do just what containment is there to prevent.
var exits = []string{"account", "privilege", "secret", "trust", "scheduler", "installer", "kernel", "namespace", "container", "defence", "tracer", "attributes"}

// mild are categories that tell or pack, and start nothing.
var mild = []string{"discovery", "packing"}

func (s *suggester) utility(o *sight, v policy.Verdict) ruling {
	category := ""
	if u, ok := byID(s.p.Utilities.Refuse, v.Rule); ok {
		category = u.Category
	}
	switch {
	case slices.Contains(exits, category):
		return attack(reasonExit)
	case !o.regular():
		return attack(reasonOnce)
	case slices.Contains(mild, category):
		return add(edge, Medium, reasonMildUtility)
	}
	return add(edge, High, reasonUtility)
}

// risers give a process somebody else's rights; no service needs them for its work.
var risers = []string{"sudo", "su", "doas", "pkexec", "newgrp", "sg", "passwd", "chsh", "chfn", "gpasswd", "chage", "mount", "umount", "fusermount", "fusermount3"}

func setuid(o *sight) ruling {
	switch {
	case slices.Contains(risers, path.Base(o.q.Path)):
		return attack(reasonRiser)
	case !o.regular():
		return attack(reasonOnce)
	}
	return add(edge, High, reasonSetuid)
}

// treasures are names below which only thieves read: passwords, keys to other hosts,
// this host's identity.
var treasures = []string{"shadow", "shadow-", "gshadow", "gshadow-", "opasswd", ".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", "gcloud",
	".netrc", ".git-credentials", ".vault-token", ".bash_history", "backups", "credstore", "credstore.encrypted", "credential.secret", "pki"}

func (s *suggester) private(o *sight, v policy.Verdict) ruling {
	r, ok := byID(s.p.Spaces.Private, v.Rule)
	place := r.Place.String()
	switch {
	case !ok:
		return unable(reasonNoWords)
	case slices.ContainsFunc(treasures, func(t string) bool { return slices.Contains(strings.Split(place, "/"), t) }) && place != "/etc/pki/tls/private",
		strings.HasPrefix(path.Base(place), "ssh_host_"):
		return attack(reasonTreasure)
	case len(r.Readers) > 0:
		return add(readerPlace, Medium, reasonKey)
	}
	return add(readerPlace, High, reasonSecret)
}

// byID finds the rule a verdict names.
func byID[T any](list []T, id string) (found T, ok bool) {
	for _, r := range list {
		if ruleID(r) == id {
			return r, true
		}
	}
	return found, false
}

func ruleID(rule any) string {
	id := ""
	switch r := rule.(type) {
	case policy.SystemPath:
		id = r.ID
	case policy.PrivatePath:
		id = r.ID
	case policy.DataPath:
		id = r.ID
	case policy.Utility:
		id = r.ID
	}
	if id == "" {
		id = policy.DefaultID(rule)
	}
	return id
}
