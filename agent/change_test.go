package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/policyfile"
)

const (
	other     = "version: 1\nname: other\nbase: strict\n"
	bare      = "version: 1\nname: web\nmode: enforce\nspaces: {system: [{path: /usr, seal: sealed}]}\nprograms: [{path: /usr/bin}]\n" // quick to read
	malformed = "version: 1\nname: web\nbase: standrad\n"
)

func TestAnAppliedPolicyIsInForceAndKept(t *testing.T) {
	r := newRig(t)
	r.start()
	c := must(r.client.ApplyPolicy(t.Context(), Apply{Source: source(web)}))(t)
	if c.Policy != "web" || c.Pending != nil || c.Generation != 2 || len(c.Changes) != 1 {
		t.Errorf("changed %+v", c)
	}
	r.restart()
	if s := r.status(); s.Policy.Name != "web" || s.Policy.Source != r.cfg.Policy || r.fake.name() != "web" {
		t.Errorf("after a restart %+v", s.Policy)
	}
	p := must(r.client.Policy(t.Context()))(t)
	if p.Text != web || !strings.Contains(p.Effective, "path: /usr") {
		t.Errorf("policy show: %q, effective %.200s", p.Text, p.Effective)
	}
}

func TestAMalformedPolicyLeavesTheLastGoodInForce(t *testing.T) {
	const place = "3:7"
	for name, step := range map[string]func(*rig){
		"applied": func(r *rig) {
			_, err := r.client.ApplyPolicy(r.t.Context(), Apply{Source: source(malformed)})
			refusedWith(r.t, err, 422, "new.yaml:"+place, "standrad", `did you mean "standard"`)
			var e *Error
			if errors.As(err, &e); len(e.Mistakes) != 1 || e.Mistakes[0].Line != 3 {
				r.t.Errorf("mistakes %+v", e.Mistakes)
			}
		},
		"read again": func(r *rig) {
			r.write(r.cfg.Policy, malformed)
			_, err := r.client.Reload(r.t.Context(), Reload{})
			refusedWith(r.t, err, 422, "policy.yaml:"+place, "standrad")
			r.loudly(place)
		},
		"found at the start": func(r *rig) {
			r.write(r.cfg.Policy, malformed)
			r.restart()
			r.loudly(place)
		},
		"found at the start, unreadable": func(r *rig) {
			if err := errors.Join(os.Remove(r.cfg.Policy), os.Mkdir(r.cfg.Policy, 0o700)); err != nil {
				r.t.Fatal(err)
			}
			r.restart()
			r.loudly("is a directory")
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.t = t
			r.write(r.cfg.Policy, web)
			r.start()
			step(r)
			if got := r.fake.name(); got != "web" {
				t.Errorf("in force is %q", got)
			}
			if s := r.status(); s.Policy.Name != "web" || !s.Enforcing {
				t.Errorf("status %+v", s.Policy)
			}
		})
	}
}

// loudly fails unless status and log say what is wrong with the policy file.
func (r *rig) loudly(part string) {
	r.t.Helper()
	s := r.status()
	if s.Policy.Good || !strings.Contains(s.Policy.Fault, part) || len(s.Faults) == 0 || !strings.Contains(r.log.String(), "malformed") {
		r.t.Errorf("policy %+v, faults %q", s.Policy, s.Faults)
	}
}

func TestAMalformedPolicyOnAnUntouchedHostGivesTheStandardOne(t *testing.T) {
	r := newRig(t)
	r.write(r.cfg.Policy, malformed)
	r.start()
	if r.loudly("3:7"); r.fake.name() != policyfile.Default {
		t.Errorf("in force is %q", r.fake.name())
	}
}

func TestAPolicyTheKernelDoesNotTakeLeavesEverythingAsItWas(t *testing.T) {
	r := newRig(t)
	r.write(r.cfg.Policy, web)
	r.start()
	r.fake.fail = func(p policy.Policy) error {
		if p.Name == "other" {
			return errors.New("513 lineages")
		}
		return nil
	}
	_, err := r.client.ApplyPolicy(t.Context(), Apply{Source: source(other), Confirm: Span(time.Minute)})
	refusedWith(t, err, 500, "policy other cannot be put in force: 513 lineages", "what was in force stays")
	s := r.status()
	if s.Policy.Name != "web" || s.Pending != nil || len(s.Faults) > 0 {
		t.Errorf("status %+v", s)
	}
	if text, _ := os.ReadFile(r.cfg.Policy); string(text) != web {
		t.Errorf("the policy file says %q", text)
	}
	r.write(r.cfg.Policy, other)
	r.restart()
	if s := r.status(); s.Policy.Name != "web" || s.Policy.Good || !strings.Contains(s.Policy.Fault, "513 lineages") {
		t.Errorf("at the start: %+v", s.Policy)
	}
}

func TestUnreadableStateIsToldAndStopsNothing(t *testing.T) {
	for name, text := range map[string]string{modesFile: `{"lunch": "observe"}`, pendingFile: `{"deadline": 5}`, grantsFile: "[", protectionFile: "\x00"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.t = t
			r.write(filepath.Join(r.cfg.State, name), text)
			r.start()
			s := r.status()
			if !s.Enforcing {
				t.Error("not enforcing")
			}
			if told := strings.Join(s.Faults, "\n"); (name == modesFile || name == pendingFile) != strings.Contains(told, name) {
				t.Errorf("faults %q", told)
			}
		})
	}
}

func TestModesSetByHandOutliveTheAgent(t *testing.T) {
	r := newRig(t)
	r.start()
	c := must(r.client.SetMode(t.Context(), SetMode{Mode: policy.Observe, Controls: []host.Control{host.Write}}))(t)
	if len(c.Changes) != 1 || c.Changes[0].Rule != "controls.write" || !c.Changes[0].Loosens {
		t.Errorf("changes %+v", c.Changes)
	}
	must(r.client.ApplyPolicy(t.Context(), Apply{Source: source(other)}))(t)
	r.restart()
	if got := r.fake.modeOf(host.Write); got != policy.Observe || r.fake.modeOf(host.Launch) != policy.Enforce {
		t.Errorf("write is in mode %s", got)
	}
	for _, c := range r.status().Controls {
		if c.Overridden != (c.Control == host.Write) {
			t.Errorf("%s overridden: %v", c.Control, c.Overridden)
		}
	}
	must(r.client.SetMode(t.Context(), SetMode{Mode: policy.Enforce}))(t)
	if text, _ := os.ReadFile(filepath.Join(r.cfg.State, modesFile)); strings.TrimSpace(string(text)) != "{}" {
		t.Errorf("what the policy says anyway is kept as an override: %s", text)
	}
}

func TestModesThereAreNotAreRefused(t *testing.T) {
	r := newRig(t)
	r.start()
	for want, m := range map[string]SetMode{
		`did you mean "launch"?`:    {Mode: policy.Enforce, Controls: []host.Control{"lunch"}},
		"say observe or enforce":    {Mode: "off"},
		"the longest time is 24h0m": {Mode: policy.Enforce, Confirm: Span(25 * time.Hour)},
	} {
		_, err := r.client.SetMode(t.Context(), m)
		refusedWith(t, err, 400, want)
	}
}

func TestAChangeNobodyConfirmsFallsBack(t *testing.T) {
	r := newRig(t)
	r.write(r.cfg.Policy, web)
	r.start()
	c := must(r.client.ApplyPolicy(t.Context(), Apply{Source: source(other), Confirm: Span(10 * time.Minute)}))(t)
	if c.Pending == nil || !c.Pending.Deadline.Equal(begin.Add(10*time.Minute)) || c.Pending.FallsBack != "policy web" || r.fake.name() != "other" {
		t.Fatalf("changed %+v", c)
	}
	r.drain()
	r.clock.advance(10*time.Minute - time.Second)
	r.agent.wake()
	if s := r.status(); s.Pending == nil || r.fake.name() != "other" {
		t.Fatalf("fell back before its time: %+v", s)
	}
	if p := r.pass(time.Second); p.Name != "web" {
		t.Errorf("fell back to %s", p.Name)
	}
	r.untilStatus(func(s Status) bool { return s.Pending == nil })
	if text, _ := os.ReadFile(r.cfg.Policy); string(text) != web {
		t.Errorf("the policy file says %q", text)
	}
	_, err := r.client.Confirm(t.Context())
	refusedWith(t, err, 409, "nothing is to be confirmed")
}

func TestAConfirmedChangeStays(t *testing.T) {
	r := newRig(t)
	r.write(r.cfg.Policy, web)
	r.start()
	must(r.client.ApplyPolicy(t.Context(), Apply{Source: source(other), ConfirmDefault: true}))(t)
	if p := must(r.client.Confirm(t.Context()))(t); p.What != "policy other" {
		t.Errorf("confirmed %+v", p)
	}
	r.clock.advance(48 * time.Hour)
	r.restart()
	if r.fake.name() != "other" {
		t.Errorf("in force is %s", r.fake.name())
	}
	r.write(r.cfg.Policy, malformed)
	r.restart()
	if r.fake.name() != "other" {
		t.Errorf("the last good policy is %s", r.fake.name())
	}
}

func TestAnUnconfirmedPolicyIsNotTheLastGoodOne(t *testing.T) {
	r := newRig(t)
	r.write(r.cfg.Policy, web)
	r.start()
	must(r.client.ApplyPolicy(t.Context(), Apply{Source: source(other), ConfirmDefault: true}))(t)
	r.write(r.cfg.Policy, malformed)
	r.restart()
	if r.fake.name() != "web" {
		t.Errorf("in force is %s", r.fake.name())
	}
}

func TestEnforceUnconfirmedFallsBackToObserve(t *testing.T) {
	r := newRig(t) // the standard policy enforces already
	r.start()
	must(r.client.SetMode(t.Context(), SetMode{Mode: policy.Enforce, Controls: []host.Control{host.Launch}, Confirm: Span(time.Minute)}))(t)
	r.pass(time.Minute)
	if r.fake.modeOf(host.Launch) != policy.Observe || r.fake.modeOf(host.Write) != policy.Enforce {
		t.Errorf("launch %s, write %s", r.fake.modeOf(host.Launch), r.fake.modeOf(host.Write))
	}
}

func TestOneChangeWaitsAtATime(t *testing.T) {
	r := newRig(t)
	r.start()
	must(r.client.SetMode(t.Context(), SetMode{Mode: policy.Observe, ConfirmDefault: true}))(t)
	_, apply := r.client.ApplyPolicy(t.Context(), Apply{Source: source(web)})
	_, mode := r.client.SetMode(t.Context(), SetMode{Mode: policy.Enforce})
	_, reload := r.client.Reload(t.Context(), Reload{})
	for _, err := range []error{apply, mode, reload} {
		refusedWith(t, err, 409, "observe is to be confirmed until 2026-11-23T07:10:00Z", "kannuki-agent confirm")
	}
	if p := must(r.client.FallBack(t.Context()))(t); p.What != "observe" || r.fake.modeOf(host.Launch) != policy.Enforce {
		t.Errorf("fell back from %+v, launch is in mode %s", p, r.fake.modeOf(host.Launch))
	}
	must(r.client.ApplyPolicy(t.Context(), Apply{Source: source(web)}))(t)
}

func TestAnUnconfirmedChangeFallsBackAfterARestart(t *testing.T) {
	for name, c := range map[string]struct {
		off  time.Duration // how long the host was off
		want string
	}{
		"its time was over":                    {11 * time.Minute, "web"},
		"its time is not over":                 {9 * time.Minute, "other"},
		"the clock went back to before it all": {-400 * 24 * time.Hour, "web"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.t = t
			r.write(r.cfg.Policy, web)
			r.start()
			must(r.client.ApplyPolicy(t.Context(), Apply{Source: source(other), Confirm: Span(10 * time.Minute)}))(t)
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
			r.clock.advance(c.off)
			r.start()
			if r.fake.name() != c.want {
				t.Errorf("in force is %s, want %s", r.fake.name(), c.want)
			}
			if c.want == "other" {
				if p := r.pass(time.Minute); p.Name != "web" {
					t.Errorf("and then %s", p.Name)
				}
			}
		})
	}
}

func TestReloadReadsWhatWasEdited(t *testing.T) {
	r := newRig(t)
	reload := make(chan os.Signal)
	r.cfg.Reload = reload
	r.start()
	r.write(r.cfg.Policy, web)
	if r.status(); r.fake.name() != "standard" {
		t.Error("an edit took effect without being asked for")
	}
	r.drain()
	reload <- syscall.SIGHUP
	if p := <-r.fake.applied; p.Name != "web" {
		t.Errorf("in force is %s", p.Name)
	}
}

// crashed is what a test throws where the agent is killed.
type crashed struct{ step string }

// state is an agent's state without the agent: what a kill can interrupt.
func state(t *testing.T, dir string, clock *clock, f *fake, step func(string)) *inForce {
	t.Helper()
	k := &keep{dir: filepath.Join(dir, "state"), policy: filepath.Join(dir, "policy.yaml"), step: step}
	if err := os.MkdirAll(k.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f.now = clock.now
	return &inForce{enforcer: f, keep: k, now: clock.now, log: slog.New(slog.DiscardHandler)}
}

// killedAt runs do and kills it at its nth step; false where there is none.
func killedAt(n int, do func(step func(string))) (at string, killed bool) {
	defer func() {
		if c, ok := recover().(crashed); ok {
			at, killed = c.step, true
		}
	}()
	do(func(step string) {
		if n--; n < 0 {
			panic(crashed{step})
		}
	})
	return "", false
}

// TestAKillBetweenAnyTwoStepsLeavesTheOldOrTheNewAndFallsBack kills the agent before
// every single write of a change, and once more before every write of its recovery.
func TestAKillBetweenAnyTwoStepsLeavesTheOldOrTheNewAndFallsBack(t *testing.T) {
	observe := SetMode{Mode: policy.Observe, Confirm: Span(10 * time.Minute)}
	for name, do := range map[string]func(*inForce) error{
		"policy apply": func(f *inForce) error {
			_, err := f.applyPolicy(Apply{Source: source(strings.ReplaceAll(bare, "web", "other")), Confirm: Span(10 * time.Minute)}, anybody)
			return err
		},
		"observe": func(f *inForce) error { _, err := f.setMode(observe, anybody); return err },
	} {
		t.Run(name, func(t *testing.T) {
			steps := 0
			for ; ; steps++ {
				if !killAndRecover(t, steps, do) {
					break
				}
			}
			if steps < 3 {
				t.Errorf("only %d steps were seen", steps)
			}
		})
	}
}

func killAndRecover(t *testing.T, n int, do func(*inForce) error) bool {
	t.Helper()
	for m := 0; ; m++ { // the step at which the recovery is killed
		dir, clock := t.TempDir(), &clock{at: begin}
		first := state(t, dir, clock, newFake(), func(string) {})
		if err := os.WriteFile(first.keep.policy, []byte(bare), 0o600); err != nil {
			t.Fatal(err)
		}
		first.start()
		at, killed := killedAt(n, func(step func(string)) { first.keep.step = step; _ = do(first) })
		if !killed {
			return false
		}
		soon := newFake()
		state(t, dir, clock, soon, func(string) {}).start()
		if name, mode := soon.name(), soon.modeOf(host.Launch); !(name == "web" || name == "other" && mode == policy.Enforce) {
			t.Errorf("killed before %q: in force is %s, launch in mode %s", at, name, mode)
		}
		clock.advance(11 * time.Minute)
		recovering, again := killedAt(m, func(step func(string)) { state(t, dir, clock, newFake(), step).start() })
		last := newFake()
		final := state(t, dir, clock, last, func(string) {})
		final.start()
		if last.name() != "web" || last.modeOf(host.Launch) != policy.Enforce || final.pending != nil {
			t.Errorf("killed before %q, then before %q: in force is %s, launch in mode %s, pending %+v",
				at, recovering, last.name(), last.modeOf(host.Launch), final.pending)
		}
		if _, err := os.Stat(final.keep.path(pendingFile)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("killed before %q, then before %q: %s is still there: %v", at, recovering, pendingFile, err)
		}
		if !again {
			return true
		}
	}
}

func TestAFileIsReplacedWholeThroughLinks(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "git", "policy.yaml"), filepath.Join(dir, "policy.yaml")
	if err := errors.Join(os.Mkdir(filepath.Dir(real), 0o700), os.WriteFile(real, []byte("old"), 0o600), os.Symlink(real, link)); err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(link, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(real); string(text) != "new" {
		t.Errorf("the file behind the link says %q", text)
	}
	left, err := os.ReadDir(filepath.Dir(real))
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if err := replaceFile(filepath.Join(dir, "no", "dir"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("into no directory: %v", err)
	}
}

func TestPendingIsReadBackAsItWasWritten(t *testing.T) {
	p := pendingChange{Pending: Pending{What: "policy x", Asked: begin, Deadline: begin.Add(time.Minute), FallsBack: "policy y"},
		To: kept{Policy: &fileState{Text: "a: b\n"}, Modes: modes{host.Launch: policy.Observe}}}
	text, err := json.Marshal(p)
	var back pendingChange
	if err == nil {
		err = json.Unmarshal(text, &back)
	}
	if err != nil || !reflect.DeepEqual(p, back) {
		t.Errorf("%s: %+v %v", text, back, err)
	}
}

func TestSpansAreWrittenAsPeopleDo(t *testing.T) {
	for text, want := range map[string]time.Duration{`"10m"`: 10 * time.Minute, `"1h30m0s"`: 90 * time.Minute} {
		var s Span
		if err := json.Unmarshal([]byte(text), &s); err != nil || time.Duration(s) != want {
			t.Errorf("%s: %v %v", text, s, err)
		}
	}
	for _, text := range []string{`"-5m"`, `"soon"`, `""`} {
		if err := json.Unmarshal([]byte(text), new(Span)); err == nil || !strings.Contains(err.Error(), "write it as 10m") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if text, _ := json.Marshal(Span(10 * time.Minute)); string(text) != `"10m0s"` {
		t.Errorf("%s", text)
	}
	if got := fmt.Sprint(sooner(time.Time{}, begin), sooner(begin, time.Time{}), sooner(begin, begin.Add(1))); strings.Count(got, "07:00:00 ") != 3 {
		t.Error(got)
	}
}
