package triage

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/vuln"
)

func TestWhatWindowsReportsCountsForNoMoreThanItProves(t *testing.T) {
	launch := func(mode string) host.ControlStatus {
		return host.ControlStatus{Control: host.Launch, Mode: mode, Gaps: []string{gapWhichPolicy, gapScripts}}
	}
	kernel := func(mode string) host.ControlStatus {
		return host.ControlStatus{Control: host.KernelCtl, Mode: mode, Gaps: []string{gapWhichPolicy, gapDrivers}}
	}
	all := []host.ReductionRule{{ID: "9e6c4e1f-7d60-472f-ba1a-a39ef669e4b2", Mode: host.Enforce}, {ID: "e6db77e5-3df2-4cf1-b95a-636979351e5b", Mode: host.Enforce}}
	tests := []struct {
		name     string
		windows  host.Windows
		controls []host.ControlStatus
		surfaces []string
	}{
		{"nothing said", host.Windows{}, nil, nil},
		{"user mode enforced", host.Windows{CodeIntegrity: &host.CodeIntegrity{User: host.Enforce}}, []host.ControlStatus{launch(host.Enforce)}, nil},
		{"user mode audited", host.Windows{CodeIntegrity: &host.CodeIntegrity{User: host.Observe}}, []host.ControlStatus{launch(host.Observe)}, nil},
		{"user mode off", host.Windows{CodeIntegrity: &host.CodeIntegrity{User: host.Off, Kernel: host.Off}}, nil, nil},
		{"drivers enforced, memory integrity running", host.Windows{CodeIntegrity: &host.CodeIntegrity{Kernel: host.Enforce, Services: []string{"memory-integrity"}}},
			[]host.ControlStatus{kernel(host.Enforce)}, []string{"module"}},
		{"drivers enforced by the kernel that is attacked", host.Windows{CodeIntegrity: &host.CodeIntegrity{Kernel: host.Enforce, Services: []string{"secure-launch"}}}, nil, nil},
		{"credentials guarded", host.Windows{CodeIntegrity: &host.CodeIntegrity{Services: []string{"credential-guard"}}}, nil, nil},
		{"every reduction rule", host.Windows{Defender: &host.Defender{Realtime: "on", ReductionRules: all, ControlledFolders: host.Enforce}}, nil, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.windows.Build = "10.0.17763.8755"
			want := host.Protection{Controls: test.controls, Surfaces: test.surfaces}
			if test.name != "nothing said" {
				want.Tier, want.Kernel, want.Reported = TierAppControl, "10.0.17763.8755", now
			}
			if d := cmp.Diff(want, WindowsProtection(&test.windows, now)); d != "" {
				t.Errorf("protection (-want +got):\n%s", d)
			}
		})
	}
}

// Nothing Windows reports holds a service, so no vulnerability of it is covered but one
// that loads an outside file as code: Windows' own hosts ask App Control for programs,
// libraries and scripts. And who came in launches nothing more that the policy does not
// allow.
func TestOnlyLoadingAnOutsideFileIsCoveredByWhatWindowsReports(t *testing.T) {
	w := &host.Windows{CodeIntegrity: &host.CodeIntegrity{User: host.Enforce, Kernel: host.Enforce, Services: []string{"credential-guard", "memory-integrity"}},
		Defender: &host.Defender{Realtime: "on", ControlledFolders: host.Enforce}}
	p := WindowsProtection(w, now)
	component := Component{Source: "Windows Server 2019", System: true}
	for _, typ := range vuln.Types {
		want := None
		if typ == vuln.Inclusion {
			want = Contained // would be prevented; no drill runs there
		}
		cov := Cover(component, []vuln.Typing{{Type: typ, Source: "vendor", Confidence: "high"}}, vuln.Severity{}, p, now)
		if cov.Effect != want || cov.Proven {
			t.Errorf("%s: %s by %v, proven %v; want %s", typ, cov.Effect, cov.Controls, cov.Proven, want)
		}
	}
	cov := Cover(component, []vuln.Typing{{Type: vuln.Exec, Source: "vendor", Confidence: "high"}}, vuln.Severity{}, p, now)
	for _, s := range cov.Stages {
		if s.Proven || s.State == StageRefused || s.State == StagePartly && s.Stage != StageExecution {
			t.Errorf("stage %+v: only launching is refused, and nothing proves it", s)
		}
	}
}

func TestWindowsStatesAreListedWithTheControlTheyCountFor(t *testing.T) {
	got := WindowsStates(&host.Windows{
		CodeIntegrity: &host.CodeIntegrity{User: host.Enforce, Kernel: host.Enforce, Services: []string{"credential-guard", "memory-integrity"}},
		Defender:      &host.Defender{Realtime: "on", ControlledFolders: host.Off, ReductionRules: []host.ReductionRule{{ID: "a", Mode: host.Enforce}, {ID: "b", Mode: host.Enforce}, {ID: "c", Mode: "warn"}, {ID: "d", Mode: host.Off}}},
	})
	want := []WindowsState{
		{What: "user-code", Mode: host.Enforce, Control: host.Launch}, {What: "kernel-code", Mode: host.Enforce, Control: host.KernelCtl},
		{What: "credential-guard", Mode: "on"}, {What: "memory-integrity", Mode: "on"},
		{What: "realtime", Mode: "on"}, {What: "reduction-rules", Mode: host.Enforce, Count: 2}, {What: "reduction-rules", Mode: "warn", Count: 1},
		{What: "controlled-folders", Mode: host.Off},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("states (-want +got):\n%s", d)
	}
}
