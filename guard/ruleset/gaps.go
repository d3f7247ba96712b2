package ruleset

import (
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// beyond is what the language has and the kernel programs do not do.
func beyond(p policy.Policy) []Gap {
	var out []Gap
	for _, r := range p.Trusted {
		out = append(out, Gap{Control: string(host.Launch), Rule: r.ID, Subject: r.File, Why: "the kernel knows no digests yet: it launches for nobody"})
	}
	if p.Self.Token == policy.On && len(p.Self.Keys) == 0 {
		out = append(out, Gap{Control: string(host.Self), Subject: "self.token", Why: "no key is named in self.keys: an administrator's session is enough (kannuki token key makes one)"})
	}
	return out
}
