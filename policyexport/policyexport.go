// Package policyexport turns a policy into what Windows offers of its own: App Control
// for Business (code integrity policies, once WDAC) and the attack surface reduction
// rules of Microsoft Defender. It promises that every rule of the policy is either
// expressed in the result or named in a gap with its reason, that nothing is allowed
// which the policy does not let launch, but for what its gaps say, and that the files
// are valid by Microsoft's published schema.
//
// It stands apart from policyfile, which is how a policy of ours is written: the agent
// links that one, and has no use for the files of another system.
package policyexport

import (
	"slices"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// Targets are the words for what a policy can be exported to.
var Targets = []string{"appcontrol", "asr"}

// Options are what an export needs to know beside the policy.
type Options struct {
	// Places says which folder of the server stands for a place the policy names:
	// "/srv/shop" → `D:\shop`. See CheckPlaces.
	Places map[string]string
	// NoWriteCheck lets path rules hold where others than administrators may write.
	NoWriteCheck bool
	// Now becomes the version of the result: Windows replaces a policy by a later one.
	Now time.Time
}

// Gap is something the policy asks for and the target cannot express, or does otherwise.
type Gap struct {
	Rules []string `json:"rules"` // ids of the rules it is about; none: the whole policy
	Code  string   `json:"code"`  // names a message of the catalogue, see GapCodes
	Args  []string `json:"args,omitempty"`
	Text  string   `json:"text,omitempty"` // filled by whoever prints
}

// said returns the gaps with their words.
func (w Words) said(gaps []Gap) []Gap {
	out := slices.Clone(gaps)
	for i := range out {
		out[i].Text = w.Gap(out[i])
	}
	return out
}

// rules of a policy by list, and which of them something has been said about.
type rules struct {
	all  []policy.Rule
	gaps []Gap
}

func rulesOf(p policy.Policy) *rules { return &rules{all: p.Rules()} }

// in are the ids of the rules of a list that keep is true for; nil keeps all.
func (r *rules) in(list string, keep func(id string) bool) []string {
	var ids []string
	for _, rule := range r.all {
		if rule.List == list && (keep == nil || keep(rule.ID)) {
			ids = append(ids, rule.ID)
		}
	}
	return ids
}

// gap notes a gap of rules; where there are none there is no gap.
func (r *rules) gap(code string, ids []string, args ...string) {
	if len(ids) > 0 {
		r.gaps = append(r.gaps, Gap{Rules: ids, Code: code, Args: args})
	}
}

// note notes a gap of the whole policy.
func (r *rules) note(code string, args ...string) {
	r.gaps = append(r.gaps, Gap{Rules: []string{}, Code: code, Args: args})
}

// lists notes the same gap for all rules of some lists.
func (r *rules) lists(code string, lists ...string) {
	var ids []string
	for _, l := range lists {
		ids = append(ids, r.in(l, nil)...)
	}
	r.gap(code, ids)
}

func enforced(p policy.Policy, c host.Control) bool { return p.ModeOf(c) == policy.Enforce }
