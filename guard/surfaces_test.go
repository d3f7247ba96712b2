package guard

import (
	"slices"
	"strings"
	"testing"

	"github.com/kannuki/kannuki/guard/bpf"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/policyfile"
)

func TestASurfaceThatAMissingHookWouldAskForIsAGapOfItsRule(t *testing.T) {
	p, err := policyfile.Builtin("standard")
	if err != nil {
		t.Fatal(err)
	}
	all := len(p.Kernel.Refuse)
	for _, c := range []struct {
		missing []string
		want    string
	}{
		{nil, ""},
		{[]string{"file_truncate", "userns_create"}, "kernel:userns"},
		{[]string{"kernel_load_data"}, "kernel:module kernel:kexec"},
		{[]string{"key_alloc", "key_permission"}, "kernel:keyctl"},
		{[]string{TierLSM + ", " + TierModRet}, ""}, // of the third tier: it has no control kernel at all
	} {
		var missing []Missing
		for _, hook := range c.missing {
			missing = append(missing, Missing{hook, "this kernel has no bpf_lsm_" + hook})
		}
		var rules []string
		for _, g := range unasked(p, missing) {
			rules = append(rules, g.Rule)
			if g.Control != string(host.KernelCtl) || g.Subject == "" || !strings.Contains(g.Why, c.missing[len(c.missing)-1]) {
				t.Errorf("%v: %+v", c.missing, g)
			}
		}
		if got := strings.Join(rules, " "); got != c.want {
			t.Errorf("without %v: gaps of %q, want %q", c.missing, got, c.want)
		}
	}
	if len(p.Kernel.Refuse) != all {
		t.Error("the policy has changed")
	}
}

// Each surface has a hook that asks for it, each of these hooks has a program in both
// tiers, and no hook that serves the control asks for nothing.
func TestEverySurfaceIsAskedForByHooksThatThereArePrograms(t *testing.T) {
	spec, err := bpf.LoadGuard() // reads the object; the kernel is not asked
	if err != nil {
		t.Fatal(err)
	}
	left := policy.Surfaces()
	for hook, surfaces := range askedBy {
		for _, name := range []string{"lsm_" + hook, "mod_" + hook} {
			if spec.Programs[name] == nil {
				t.Errorf("%s: there is no such program", name)
			}
			if hook != "inode_setattr" && !slices.Contains(controlsOf(name), host.KernelCtl) {
				t.Errorf("%s is said to serve %v", name, controlsOf(name))
			}
		}
		for _, s := range surfaces {
			if !slices.Contains(policy.Surfaces(), s) {
				t.Errorf("%s: the policy has no surface %s", hook, s)
			}
			left = slices.DeleteFunc(left, func(l policy.Surface) bool { return l == s })
		}
	}
	if len(left) > 0 {
		t.Errorf("nothing asks for %v", left)
	}
	for hook, controls := range served {
		if slices.Contains(controls, host.KernelCtl) && askedBy[hook] == nil {
			t.Errorf("%s serves the control kernel, and asks for nothing", hook)
		}
	}
}

func TestWhatASystemCallReachesIsAskedForWithItsCapability(t *testing.T) {
	names := policy.Surfaces()
	for _, table := range []map[uint32]bpf.GuardSurface{native, compatible} {
		for number, s := range table {
			// Keys have hooks of their own, which look what call they are in.
			if name := names[s]; !slices.Contains(askedBy["capable"], name) && name != "keyctl" {
				t.Errorf("system call %d reaches %s, and the hook capable is not said to ask for it", number, name)
			}
		}
	}
}
