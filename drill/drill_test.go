package drill

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/policyfile"
)

func standard(t *testing.T) policy.Policy {
	t.Helper()
	p, err := policyfile.Builtin("standard")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestEveryControlHasStepsAndEveryStepSaysWhatItIs(t *testing.T) {
	all := Steps()
	if len(all) < 25 {
		t.Fatalf("%d steps", len(all))
	}
	technique := regexp.MustCompile(`^T\d{4}(\.\d{3})?$`)
	name := regexp.MustCompile(`^[a-z]+(-[a-z0-9]+)+$`)
	seen := map[string]bool{}
	for _, s := range all {
		if !technique.MatchString(s.Technique) || !name.MatchString(s.Name) || s.Op == "" || s.Does == "" || s.do == nil {
			t.Errorf("%+v says too little", s)
		}
		if prefix, _, _ := strings.Cut(s.Name, "-"); prefix != string(s.Control) {
			t.Errorf("%s is of the control %s", s.Name, s.Control)
		}
		if seen[s.Name] {
			t.Errorf("there are two steps %s", s.Name)
		}
		seen[s.Name] = true
		if len(s.Name) > 22 {
			t.Errorf("%s is too long for a column of a table", s.Name)
		}
	}
	for _, c := range policy.Controls() {
		if !slices.ContainsFunc(all, func(s Step) bool { return s.Control == c }) {
			t.Errorf("no step proves %s", c)
		}
	}
}

// A step about a surface the policy language knows is a proof of coverage by that
// surface; what none can be made for without harm is named here.
func TestEverySurfaceHasAStepOrAReason(t *testing.T) {
	without := map[policy.Surface]string{
		"module-autoload": "asking for a module that is there would load it, and one that is not starts modprobe",
		"binfmt":          "its files are mounted by whoever looks for them",
	}
	for _, s := range policy.Surfaces() {
		has := slices.ContainsFunc(kernel, func(step Step) bool { return step.Surface == s })
		if has == (without[s] != "") {
			t.Errorf("%s: has a step: %v, has a reason for none: %q", s, has, without[s])
		}
	}
}

func told(kind event.Kind, change ...func(*event.Event)) event.Event {
	e := event.Event{Kind: kind, Control: "launch", Op: "exec", Rule: "user-space", Actor: event.Actor{PID: 7, Contained: true}}
	for _, c := range change {
		c(&e)
	}
	return e
}

func TestAStepIsProvenByItsErrorAndTheGuardsEventTogetherAndByNothingElse(t *testing.T) {
	other := func(e *event.Event) { e.Actor.PID = 8 }
	uncontained := func(e *event.Event) { e.Actor.Contained = false }
	utility := func(e *event.Event) { e.Control, e.Op, e.Rule = "utility", "utility", "utility:shell" }
	for _, c := range []struct {
		name string
		went Went
		told []event.Event
		rule string
		want Verdict
		why  string
	}{
		{"refused and told", WentRefused, []event.Event{told(event.Refused)}, "", Refused, ""},
		{"refused and told by the rule that has to", WentRefused, []event.Event{told(event.Refused)}, "user-space", Refused, ""},
		{"an error alone", WentRefused, nil, "", Unproven, NoEvent},
		{"told of another process", WentRefused, []event.Event{told(event.Refused, other)}, "", Unproven, NoEvent},
		{"told of one that was not contained", WentRefused, []event.Event{told(event.Refused, uncontained)}, "", Unproven, OtherEvent},
		{"refused by another control", WentRefused, []event.Event{told(event.Refused, utility)}, "", Unproven, OtherEvent},
		{"refused by another rule", WentRefused, []event.Event{told(event.Refused)}, "kernel:bpf", Unproven, OtherEvent},
		{"told, and it came off all the same", WentThrough, []event.Event{told(event.Refused)}, "", CameOff, NotRefused},
		{"came off unseen", WentThrough, nil, "", CameOff, NotRefused},
		{"recorded only", WentThrough, []event.Event{told(event.Observed)}, "", Observed, OnlyTold},
		{"recorded, and refused by something else", WentRefused, []event.Event{told(event.Observed)}, "", Unproven, NoEvent},
		{"a note is no refusal", WentRefused, []event.Event{told(event.Note)}, "", Unproven, NoEvent},
		{"nothing of the kind", WentAbsent, nil, "", Skipped, NotHere},
		{"another error", WentWrong, nil, "", Unproven, Failed},
		{"another error, although told", WentWrong, []event.Event{told(event.Refused)}, "", Unproven, Failed},
	} {
		s, _ := Find("launch-program")
		got := s.Judge(Attempt{Step: s.Name, PID: 7, Went: c.went, Error: "operation not permitted"}, "/var/tmp/x", c.rule, c.told)
		code := ""
		if got.Why != nil {
			code = got.Why.Code
		}
		if got.Verdict != c.want || code != c.why || (c.why != "" && strings.ContainsAny(got.Reason, "{}")) {
			t.Errorf("%s: %s because %q (%s), want %s because %q", c.name, got.Verdict, code, got.Reason, c.want, c.why)
		}
	}
}

func TestAControlIsProvenOnlyByStepsThatWereAllRefused(t *testing.T) {
	of := func(c host.Control, v ...Verdict) (all []Outcome) {
		for _, verdict := range v {
			all = append(all, Outcome{Control: c, Verdict: verdict})
		}
		return all
	}
	for _, c := range []struct {
		name        string
		all         []Outcome
		proven      bool
		steps, done int
	}{
		{"all refused", of("launch", Refused, Refused), true, 2, 2},
		{"some skipped", of("launch", Refused, Skipped), true, 1, 1},
		{"one came off", of("launch", Refused, CameOff), false, 1, 2},
		{"one only recorded", of("launch", Refused, Observed), false, 1, 2},
		{"one unproven", of("launch", Refused, Unproven), false, 1, 2},
		{"all skipped", of("launch", Skipped, Skipped), false, 0, 0},
		{"another control's", append(of("launch", Refused), of("write", CameOff)...), true, 1, 1},
		{"nothing", nil, false, 0, 0},
	} {
		proven, steps, done := Proven("launch", c.all)
		if proven != c.proven || steps != c.steps || done != c.done {
			t.Errorf("%s: %v, %d of %d, want %v, %d of %d", c.name, proven, steps, done, c.proven, c.steps, c.done)
		}
	}
}

func TestErrorsAreSortedByWhatTheyShow(t *testing.T) {
	kexec, _ := Find("kernel-kexec")
	program, _ := Find("launch-program")
	for _, c := range []struct {
		s    Step
		err  error
		want Went
	}{
		{program, nil, WentThrough}, {program, unix.EPERM, WentRefused}, {program, unix.EACCES, WentRefused}, {program, unix.EINVAL, WentWrong},
		{kexec, unix.EINVAL, WentThrough}, {kexec, unix.ENOSYS, WentAbsent}, {program, fmt.Errorf("x: %w", unix.EPERM), WentRefused},
		{program, errors.Join(errPrepare, unix.EPERM), WentWrong},
	} {
		if got := c.s.went(c.err); got != c.want {
			t.Errorf("%s, %v: %s, want %s", c.s.Name, c.err, got, c.want)
		}
	}
}

func TestWhereAControlObservesOnlyStepsWithoutAnEffectAreDone(t *testing.T) {
	for _, s := range Steps() {
		if w := s.Stands(host.Observe); (w.Code == Observes) != s.Effect {
			t.Errorf("%s, effect %v: %q", s.Name, s.Effect, w.Code)
		}
		if s.Stands(host.Enforce).Code != "" || s.Stands("none").Code != NotInForce {
			t.Errorf("%s: %v, %v", s.Name, s.Stands(host.Enforce), s.Stands("none"))
		}
	}
}

// tree is a host's root with what the steps look for.
func tree(t *testing.T) Places {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"usr/lib", "etc/cron.d", "etc/systemd/system", "var/tmp", "dev/shm", "root"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"etc/passwd", "etc/shadow"} {
		if err := os.WriteFile(filepath.Join(root, file), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Places{Root: root}
}

func TestWhatADrillMakesIsClearedWhateverItsStepsDid(t *testing.T) {
	p := tree(t)
	s, err := Plan(p, standard(t), Prefix+"1")
	if err != nil {
		t.Fatal(err)
	}
	if left := s.Left(); len(left) > 0 {
		t.Fatalf("a plan has made %v", left)
	}
	if err := s.Make(strings.NewReader("program")); err != nil {
		t.Fatal(err)
	}
	if s.System != filepath.Join(p.Root, "usr/lib", s.Name) || s.Scratch != filepath.Join(p.Root, "var/tmp", s.Name) {
		t.Errorf("made in %s and %s", s.System, s.Scratch)
	}
	// What steps would have left, had they come off and their processes been killed.
	for _, dir := range []string{"etc/cron.d", "etc/systemd/system"} {
		if err := os.Mkdir(filepath.Join(p.Root, dir, s.Name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(s.System, "write-create"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if left := s.Left(); len(left) != 5 {
		t.Errorf("there are %v", left)
	}
	left, err := s.Clear()
	if err != nil || len(left) > 0 {
		t.Errorf("left %v: %v", left, err)
	}
	if left, err := s.Clear(); err != nil || len(left) > 0 {
		t.Errorf("cleared twice: left %v: %v", left, err)
	}
}

func TestNothingIsClearedThatIsNoDrills(t *testing.T) {
	dir := t.TempDir()
	for _, s := range []Scene{{Name: "", System: dir}, {Name: Prefix, System: dir}, {Name: Prefix + "1", System: dir}, {Name: Prefix + "../..", Scratch: dir}} {
		if _, err := s.Clear(); err == nil {
			t.Errorf("%+v was cleared", s)
		}
		if _, err := os.Stat(dir); err != nil {
			t.Fatalf("%+v: %v", s, err)
		}
	}
}

func TestADrillHasNoPlaceWhereThePolicyOrTheMountsLeaveNone(t *testing.T) {
	p := tree(t)
	for name, c := range map[string]struct {
		places Places
		says   string
	}{
		"no system space":       {Places{Root: p.Root, System: []string{"/var/tmp"}}, "/var/tmp is no system space"},
		"no user space":         {Places{Root: p.Root, Scratch: []string{"/usr/lib"}}, "/usr/lib launches by this policy"},
		"directory not there":   {Places{Root: p.Root, Scratch: []string{"/srv/nowhere"}}, "no such file"},
		"a file":                {Places{Root: p.Root, System: []string{"/etc/passwd"}}, "no directory"},
		"mounted without write": {Places{System: []string{"/proc"}}, "system space"},
	} {
		_, err := Plan(c.places, standard(t), Prefix+"1")
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

func TestAStepThatThePolicyAllowsOrTheHostHasNothingForIsNotAimed(t *testing.T) {
	p := tree(t)
	pol := standard(t)
	s, err := Plan(p, pol, Prefix+"1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = s.Clear() })
	if err := s.Make(strings.NewReader("program")); err != nil {
		t.Fatal(err)
	}
	open := pol
	open.Deputies.Refuse = nil
	open.Kernel.Refuse = slices.DeleteFunc(slices.Clone(pol.Kernel.Refuse), func(r policy.KernelSurface) bool { return r.Surface == "bpf" })
	open.Spaces.Private = nil
	for _, c := range []struct {
		step   string
		pol    policy.Policy
		target string
		rule   string
		code   string
	}{
		{"launch-program", pol, s.Scratch + "/launch-program", "", ""},
		{"write-file", pol, s.System + "/write-file", "", ""},
		{"write-cron", pol, p.Root + "/etc/cron.d/" + s.Name, "", ""},
		{"write-profile", pol, "", "", NotHere},
		{"private-passwords", pol, p.Root + "/etc/shadow", "", ""},
		{"private-passwords", open, p.Root + "/etc/shadow", "", Allowed},
		{"kernel-bpf", pol, "", "kernel:bpf", ""},
		{"kernel-bpf", open, "", "", Allowed},
		{"utility-shell", pol, "", "", NotHere},
		{"contain-agent", pol, "", "", NotHere},
	} {
		step, _ := Find(c.step)
		target, rule, w := s.Aim(step, c.pol)
		if target != c.target || rule != c.rule || w.Code != c.code {
			t.Errorf("%s: %q by %q, %v; want %q by %q, %q", c.step, target, rule, w, c.target, c.rule, c.code)
		}
	}
	if !refusesSocket(pol, "/run/docker.sock") || refusesSocket(pol, "/run/docker.sockets") || refusesSocket(open, "/run/docker.sock") {
		t.Error("which sockets are deputies' is mistaken")
	}
}

// The program that steps start does what it says: nothing.
func TestTheDrillsOwnProgramEndsWithItsStatus(t *testing.T) {
	at := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(at, ownProgram(), 0o700); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "x.sh")
	if err := os.WriteFile(script, ownScript(), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, cmd := range []*exec.Cmd{exec.Command(at), exec.Command(loader(Scene{}), at), exec.Command("/bin/sh", script)} {
		out, err := cmd.CombinedOutput()
		var ended *exec.ExitError
		if !errors.As(err, &ended) || ended.ExitCode() != ranStatus || len(out) > 0 {
			t.Errorf("%v: %v\n%s", cmd.Args, err, out)
		}
	}
}

func TestAStepThatBecameAProgramIsJudgedByHowThatEnded(t *testing.T) {
	for _, c := range []struct {
		step   string
		status int
		want   Went
	}{
		{"launch-program", ranStatus, WentThrough}, {"utility-shell", 0, WentThrough}, {"utility-language", 2, WentThrough},
		{"launch-script", 2, WentRefused}, {"launch-script", ranStatus, WentThrough}, {"launch-loader", 127, WentRefused}, {"launch-loader", ranStatus, WentThrough},
		{"launch-program", -1, WentRefused},
	} {
		if got, _ := became(c.status, c.step, errors.New("ended")); got != c.want {
			t.Errorf("%s ended with %d: %s, want %s", c.step, c.status, got, c.want)
		}
	}
}
