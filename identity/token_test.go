package identity

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/host"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const (
	here  = "0123456789abcdef0123456789abcdef"
	there = "ffffffffffffffffffffffffffffffff"
)

func key(t testing.TB) PrivateKey {
	t.Helper()
	k, err := NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// good is a token for an unlock, good for an hour from noon on.
func good() Token {
	return Token{Host: here, May: []Action{Unlock}, From: noon, Until: noon.Add(time.Hour), Reason: "INC-4711"}
}

func signed(t testing.TB, k PrivateKey, from Token) string {
	t.Helper()
	s, err := from.Sign(k, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func parsed(t testing.TB, text string) Signed {
	t.Helper()
	s, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// refusedFor fails unless err is an *Error of this code that has a next step.
func refusedFor(t *testing.T, err error, want Code, parts ...string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want %s", err, want)
	}
	if e.Code != want || e.Hint == "" || strings.Contains(e.Error(), "%!") {
		t.Errorf("%s: %v, want %s", e.Code, e, want)
	}
	for _, p := range parts {
		if !strings.Contains(e.Error(), p) {
			t.Errorf("%q does not say %q", e, p)
		}
	}
}

func TestATokenIsReadBackAsItWasSigned(t *testing.T) {
	k := key(t)
	want := good()
	want.Controls, want.Longest = []host.Control{host.Launch, host.Write}, 900
	text := signed(t, k, want)
	s := parsed(t, "\n  "+text+"\n")
	want.ID, want.Key = s.ID, k.Public().ID()
	one, _ := json.Marshal(want)
	two, _ := json.Marshal(s.Token)
	if string(one) != string(two) || len(s.ID) != 32 {
		t.Errorf("%s\n%s", one, two)
	}
	if strings.ContainsAny(text, " \n\"'\\$`") || len(text) > 1000 {
		t.Errorf("%d bytes, not fit for a line or a shell: %s", len(text), text)
	}
	if other := signed(t, k, good()); parsed(t, other).ID == s.ID {
		t.Error("two tokens have one id")
	}
}

// accept is what an agent does with a text.
func accept(v Verifier, l Ledger, text string, a Ask, now time.Time) (Ledger, error) {
	s, err := Parse(text)
	if err == nil {
		err = v.Verify(s, a)
	}
	if err != nil {
		return l, err
	}
	return l.Spend(s.Token, now)
}

func TestAnyChangedByteIsRefused(t *testing.T) {
	k := key(t)
	v, l, ask := Verifier{here, []PublicKey{k.Public()}}, NewLedger(noon), Ask{Action: Unlock}
	text := signed(t, k, good())
	if _, err := accept(v, l, text, ask, noon); err != nil {
		t.Fatalf("unchanged: %v", err)
	}
	try := func(changed string) {
		if _, err := accept(v, l, changed, ask, noon); err == nil {
			t.Fatalf("taken:\n%s\nfrom\n%s", changed, text)
		} else if e := (*Error)(nil); !errors.As(err, &e) {
			t.Fatalf("%T %v", err, err)
		}
	}
	for i := range len(text) {
		for b := range 256 {
			if byte(b) != text[i] {
				try(text[:i] + string([]byte{byte(b)}) + text[i+1:])
			}
		}
		try(text[:i] + text[i+1:])
		try(text[:i] + "\n" + text[i:] + "x")
		if i > 0 {
			try(text[:i])
			try(text[:i] + "A" + text[i:])
			try(text[:i] + "\n" + text[i:])
		}
	}
	for _, tail := range []string{"=", ".", "A", ".AAAA", "\nx"} {
		try(text + tail)
	}
}

// The signature is of the bytes, not of what they mean: the halves of two tokens do not
// fit, and neither does what the key signed for something else.
func TestOnlyWhatTheKeySignedAsATokenIsOne(t *testing.T) {
	k := key(t)
	v := Verifier{here, []PublicKey{k.Public()}}
	other := good()
	other.Host = there
	one, two := signed(t, k, good()), signed(t, k, other)
	mixed := one[:strings.LastIndex(one, ".")] + two[strings.LastIndex(two, "."):]
	refusedFor(t, v.Verify(parsed(t, mixed), Ask{Action: Unlock}), Forged)
	payload := parsed(t, one).payload
	refusedFor(t, v.Verify(parsed(t, text(payload, k.sign(payload))), Ask{Action: Unlock}), Forged)
}

func TestATokenIsForWhatItSaysAndNothingElse(t *testing.T) {
	k, stranger := key(t), key(t)
	v := Verifier{here, []PublicKey{stranger.Public(), k.Public()}}
	narrow := good()
	narrow.May, narrow.Controls, narrow.Longest = []Action{Unlock, Observe}, []host.Control{host.Launch}, 600
	long := good()
	long.Until = noon.Add(MaxLife + time.Second)
	elsewhere := good()
	elsewhere.Host = there
	for name, c := range map[string]struct {
		token Token
		by    Verifier
		ask   Ask
		want  Code
		says  []string
	}{
		"as asked":                {narrow, v, Ask{Unlock, []host.Control{host.Launch}, 10 * time.Minute}, "", nil},
		"another key":             {good(), Verifier{here, []PublicKey{stranger.Public()}}, Ask{Action: Unlock}, UnknownKey, []string{k.Public().ID(), "self.keys"}},
		"no key at all":           {good(), Verifier{Host: here}, Ask{Action: Unlock}, UnknownKey, nil},
		"another host":            {elsewhere, v, Ask{Action: Unlock}, OtherHost, []string{here, there}},
		"a host without an id":    {good(), Verifier{"", v.Keys}, Ask{Action: Unlock}, NoHost, []string{"systemd-machine-id-setup"}},
		"another action":          {narrow, v, Ask{Action: Uninstall}, NotFor, []string{"uninstall", "unlock, observe"}},
		"another control":         {narrow, v, Ask{Action: Observe, Controls: []host.Control{host.Launch, host.Write}}, NotControl, []string{"write", "launch"}},
		"every control":           {narrow, v, Ask{Action: Observe}, NotControl, []string{"any", "launch"}},
		"a longer unlock":         {narrow, v, Ask{Unlock, []host.Control{host.Launch}, 11 * time.Minute}, TooMuch, []string{"11m0s", "10m0s"}},
		"for longer than allowed": {long, v, Ask{Action: Unlock}, TooLong, []string{"168h"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.by.Verify(parsed(t, signed(t, k, c.token)), c.ask)
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			refusedFor(t, err, c.want, c.says...)
		})
	}
}

func TestWhatIsNoTokenIsToldFromOne(t *testing.T) {
	k := key(t)
	text := signed(t, k, good())
	for from, says := range map[string]string{
		"":                                 "empty",
		" \n":                              "empty",
		"hello":                            "does not begin with kannuki-token1.",
		"kannuki-token2." + text[15:]:      "does not begin",
		text[:40]:                          "second half is missing",
		"kannuki-token1.!!!.AAAA":          "characters that no token has",
		prefix + strings.Repeat("A", 5000): "longer than 4096 bytes",
	} {
		_, err := Parse(from)
		refusedFor(t, err, Malformed, says)
	}
	sign := func(payload string) string { return textOf(k, payload) }
	for payload, says := range map[string]string{
		`{"id":"x"}`:              "its id is none",
		`[]`:                      "cannot be read",
		`{"more":1}`:              "newer version",
		`{}{}`:                    "something follows",
		`{"may":["everything"]}`:  "its id is none",
		`{"from":"yesterday"}`:    "cannot be read",
		`{"longest":9e99}`:        "cannot be read",
		`{"until":{"nested":[]}}`: "cannot be read",
	} {
		_, err := Parse(sign(payload))
		refusedFor(t, err, Malformed, says)
	}
}

func textOf(k PrivateKey, payload string) string {
	return text([]byte(payload), k.sign([]byte(domain+payload)))
}

func TestWhatNobodyCouldUseIsNotSigned(t *testing.T) {
	k := key(t)
	for says, spoil := range map[string]func(*Token){
		"names no host":           func(t *Token) { t.Host = "" },
		"it is for nothing":       func(t *Token) { t.May = nil },
		"something unknown":       func(t *Token) { t.May = []Action{"format"} },
		"ends before it begins":   func(t *Token) { t.Until = t.From },
		"the longest unlock":      func(t *Token) { t.Longest = -1 },
		"its reason is longer":    func(t *Token) { t.Reason = strings.Repeat("x", 600) },
		"a control without a nam": func(t *Token) { t.Controls = []host.Control{""} },
	} {
		bad := good()
		spoil(&bad)
		if _, err := bad.Sign(k, rand.Reader); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want %q: %v", says, err)
		}
	}
	if _, err := good().Sign(k, strings.NewReader("short")); err == nil {
		t.Error("signed without an id of its own")
	}
}

func TestEveryRefusalHasANextStepAndTakesItsArguments(t *testing.T) {
	for code, s := range Codes() {
		n := strings.Count(s[0], "%s")
		e := refuse(code, slices.Repeat([]string{"ARG"}, n)...)
		if s[1] == "" || strings.Contains(e.Error(), "%") || strings.Count(e.Message, "ARG") != n {
			t.Errorf("%s: %v", code, e)
		}
	}
}

// A host's whole life with one token, tried at any time on any host: it is taken at most
// once, only there, and only while it lasts.
func TestATokenIsGoodOnceOnOneHostUntilItsEnd(t *testing.T) {
	r := mathrand.New(mathrand.NewPCG(1, 2))
	k := key(t)
	taken := 0
	for range 300 {
		hosts := map[string]Ledger{here: NewLedger(noon.Add(-time.Hour)), there: NewLedger(noon.Add(-time.Hour))}
		mine := good()
		mine.Until = noon.Add(time.Duration(1+r.IntN(120)) * time.Minute)
		text := signed(t, k, mine)
		uses := 0
		for range 30 {
			at, now := []string{here, there}[r.IntN(2)], noon.Add(time.Duration(r.IntN(300)-60)*time.Minute)
			// Other tokens come and go, also such as end sooner and leave the ledger.
			from := now.Add(-time.Minute)
			other := Token{Host: at, May: []Action{Observe}, From: from, Until: from.Add(time.Duration(2+r.IntN(60)) * time.Minute)}
			hosts[at], _ = accept(Verifier{at, []PublicKey{k.Public()}}, hosts[at], signed(t, k, other), Ask{Action: Observe}, now)
			kept, err := json.Marshal(hosts[at]) // as it outlives the agent
			if err != nil {
				t.Fatal(err)
			}
			var ledger Ledger
			if err := json.Unmarshal(kept, &ledger); err != nil {
				t.Fatal(err)
			}
			ledger, err = accept(Verifier{at, []PublicKey{k.Public()}}, ledger, text, Ask{Action: Unlock}, now)
			if hosts[at] = ledger; err != nil {
				continue
			}
			uses++
			if at != here || now.Before(mine.From.Add(-Skew)) || !now.Before(mine.Until) {
				t.Fatalf("taken on %s at %s: %+v", at, now, mine)
			}
		}
		if uses > 1 {
			t.Fatalf("taken %d times", uses)
		}
		taken += uses
	}
	if taken < 50 {
		t.Errorf("only %d of 300 tokens were ever taken: the test tries nothing", taken)
	}
}

func TestTimeSaysWhatIsWrongWithIt(t *testing.T) {
	mine := good()
	mine.ID = here
	l := NewLedger(noon.Add(-time.Hour))
	for name, c := range map[string]struct {
		now  time.Time
		want Code
		says []string
	}{
		"before it begins, as far as clocks differ": {noon.Add(-Skew), "", nil},
		"before it begins":                          {noon.Add(-Skew - time.Second), NotYet, []string{"2026-11-23T12:00:00Z", "2026-11-23T11:54:59Z", "timedatectl"}},
		"in its last second":                        {noon.Add(time.Hour - 1), "", nil},
		"at its end":                                {noon.Add(time.Hour), Expired, []string{"2026-11-23T13:00:00Z", "sign another"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := l.Spend(mine, c.now)
			if c.want != "" {
				refusedFor(t, err, c.want, c.says...)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	used, err := l.Spend(mine, noon)
	if err != nil {
		t.Fatal(err)
	}
	_, err = used.Spend(mine, noon.Add(time.Minute))
	refusedFor(t, err, AlreadyUsed, "2026-11-23T12:00:00Z", "once")
	next := good()
	next.ID, next.From = there, noon.Add(-time.Hour)
	_, err = used.Spend(next, noon.Add(-Skew-time.Second))
	refusedFor(t, err, ClockBack, "turned back")
}

func TestALedgerThatWasLostTakesNoTokenFromBefore(t *testing.T) {
	mine := good()
	mine.ID = here
	_, err := NewLedger(noon.Add(30*time.Minute)).Spend(mine, noon.Add(31*time.Minute))
	refusedFor(t, err, TooOld, "2026-11-23T12:00:00Z", "2026-11-23T12:30:00Z")
	// It was begun while the clock was wrong: the right time is no reason to refuse.
	ahead, err := NewLedger(noon.Add(1000*time.Hour)).Spend(mine, noon)
	if err != nil || !ahead.Began.Equal(noon) {
		t.Errorf("%+v %v", ahead, err)
	}
}

func TestALedgerIsBoundedAndForgetsWhatHasEnded(t *testing.T) {
	l := NewLedger(noon)
	spend := func(now time.Time, n int) error {
		mine := good()
		mine.ID, mine.From, mine.Until = fmt.Sprintf("%032x", n), now, now.Add(time.Hour)
		var err error
		l, err = l.Spend(mine, now)
		return err
	}
	for n := range MaxUsed {
		if err := spend(noon, n); err != nil {
			t.Fatalf("token %d: %v", n, err)
		}
	}
	refusedFor(t, spend(noon, MaxUsed), LedgerFull)
	if err := spend(noon.Add(time.Hour+Skew+time.Second), MaxUsed); err != nil || len(l.Used) != 1 {
		t.Errorf("%d remembered: %v", len(l.Used), err)
	}
	before := len(l.Used)
	if _, err := l.Spend(Token{ID: l.Used[0].ID, From: noon, Until: noon.Add(MaxLife)}, noon.Add(2*time.Hour)); err == nil || len(l.Used) != before {
		t.Error("a refused token changed the ledger")
	}
}

func FuzzParse(f *testing.F) {
	k, err := NewKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	full := good()
	full.Controls, full.Longest, full.May = []host.Control{host.Launch}, 60, Actions()
	for _, t := range []Token{good(), full} {
		text, err := t.Sign(k, rand.Reader)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		f.Add(text[:len(text)/2])
	}
	for _, text := range []string{"", prefix, prefix + ".", prefix + "e30.e30", textOf(k, `{"id":5}`), keyPrefix} {
		f.Add(text)
	}
	v := Verifier{here, []PublicKey{k.Public()}}
	f.Fuzz(func(t *testing.T, from string) {
		s, err := Parse(from)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Code != Malformed || e.Hint == "" {
				t.Fatalf("%q: %v", from, err)
			}
			return
		}
		if text(s.payload, s.signature) != strings.TrimSpace(from) {
			t.Fatalf("%q is read as another text", from)
		}
		if err := v.Verify(s, Ask{Action: Unlock}); err == nil && s.Key != k.Public().ID() {
			t.Fatalf("%q is genuine and names another key", from)
		}
		_, _ = NewLedger(noon).Spend(s.Token, noon)
	})
}
