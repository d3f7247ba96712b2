// Package identity proves who asks. So far it holds tokens: an operator signs one on his
// own machine, and it lets an administrator's session relax the guard of one host, once,
// for a while. It promises that a token in which any byte was changed is refused, that one
// is good once, on one host and until its end, however often agents are killed and
// whatever way the clock is turned after it was used, and that a refusal says what is
// wrong and what to do. Keys are Ed25519, all cryptography is the standard library's.
package identity

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/host"
)

// Action is what a token lets be asked of an agent.
type Action string

// The actions.
const (
	Observe   Action = "observe"   // controls go to observe mode, until somebody enforces again
	Apply     Action = "apply"     // a policy that relaxes something is put in force
	Unlock    Action = "unlock"    // controls go to observe mode for a while
	Uninstall Action = "uninstall" // the agent is stopped and taken off
)

// Actions are all there are.
func Actions() []Action { return []Action{Observe, Apply, Unlock, Uninstall} }

// Bounds of a token.
const (
	// MaxLife is the longest a token is good for: used ones are remembered that long.
	MaxLife = 7 * 24 * time.Hour
	// Skew is how far the clocks of the operator's machine and of the host may be apart.
	Skew = 5 * time.Minute
	// MaxText bounds a token's text in bytes.
	MaxText = 4096
	// maxReason bounds the reason in bytes.
	maxReason = 512
)

// Token is what an operator signs.
type Token struct {
	ID       string         `json:"id"`                 // 32 hexadecimal digits, another one each time
	Key      string         `json:"key"`                // ID of the key it was signed with
	Host     string         `json:"host"`               // host.Host.ID of the only host it is good on
	May      []Action       `json:"may"`                // at least one
	Controls []host.Control `json:"controls,omitempty"` // the only ones it relaxes; none: all
	// Longest is the longest unlock it is good for, in seconds; 0: as long as the agent allows.
	Longest int       `json:"longest,omitempty"`
	From    time.Time `json:"from"`
	Until   time.Time `json:"until"`
	Reason  string    `json:"reason,omitempty"`
}

// prefix begins every token's text; what is signed is domain and the payload, so that no
// signature made for something else is ever one of a token.
const (
	prefix = "kannuki-token1."
	domain = "kannuki token 1\n"
)

// encoding has one text for every value.
var encoding = base64.RawURLEncoding.Strict()

// Sign returns the text of t, signed with k. ID and Key are filled in; times are cut to
// seconds, in UTC. random is where the ID comes from.
func (t Token) Sign(k PrivateKey, random io.Reader) (string, error) {
	id := make([]byte, 16)
	if _, err := io.ReadFull(random, id); err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	t.ID, t.Key = hex.EncodeToString(id), k.Public().ID()
	t.From, t.Until = t.From.UTC().Truncate(time.Second), t.Until.UTC().Truncate(time.Second)
	if fault := t.fault(); fault != "" {
		return "", errors.New("sign a token: " + fault)
	}
	payload, err := json.Marshal(t)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return text(payload, k.sign(append([]byte(domain), payload...))), nil
}

func text(payload, signature []byte) string {
	return prefix + encoding.EncodeToString(payload) + "." + encoding.EncodeToString(signature)
}

// Signed is a token as it was read, before anybody has asked whether it is genuine.
type Signed struct {
	Token
	payload, signature []byte
}

// Parse reads the text of a token; white space around it is no part of it. An error is
// an *Error.
func Parse(from string) (Signed, error) {
	from = strings.TrimSpace(from)
	rest, ok := strings.CutPrefix(from, prefix)
	first, second, parted := strings.Cut(rest, ".")
	switch {
	case from == "":
		return Signed{}, malformed("it is empty")
	case len(from) > MaxText:
		return Signed{}, malformed(fmt.Sprintf("it is longer than %d bytes", MaxText))
	case !ok:
		return Signed{}, malformed("it does not begin with " + prefix)
	case !parted:
		return Signed{}, malformed("its second half is missing: it was cut")
	}
	payload, err := encoding.DecodeString(first)
	signature, err2 := encoding.DecodeString(second)
	if err = errors.Join(err, err2); err != nil {
		return Signed{}, malformed("it has characters that no token has")
	}
	s := Signed{payload: payload, signature: signature}
	// The decoder passes over line ends; a token has none.
	if text(payload, signature) != from {
		return Signed{}, malformed("it has line ends or other characters in it")
	}
	d := json.NewDecoder(bytes.NewReader(payload))
	d.DisallowUnknownFields()
	if err := d.Decode(&s.Token); err != nil {
		return Signed{}, malformed("what it says cannot be read; it may be of a newer version")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Signed{}, malformed("something follows what it says")
	}
	if fault := s.fault(); fault != "" {
		return Signed{}, malformed(fault)
	}
	return s, nil
}

var (
	idForm   = regexp.MustCompile(`^[0-9a-f]{32}$`)
	keyForm  = regexp.MustCompile(`^[0-9a-f]{16}$`)
	hostForm = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)
)

// HostForm tells whether text can be a host's id.
func HostForm(text string) bool { return hostForm.MatchString(text) }

// fault is what is wrong with a token whoever signed it; "" where nothing is.
func (t Token) fault() string {
	unknown := func(a Action) bool { return !slices.Contains(Actions(), a) }
	switch {
	case !idForm.MatchString(t.ID):
		return "its id is none"
	case !keyForm.MatchString(t.Key):
		return "it names no key"
	case !hostForm.MatchString(t.Host):
		return "it names no host"
	case len(t.May) == 0:
		return "it is for nothing"
	case slices.ContainsFunc(t.May, unknown):
		return fmt.Sprintf("it is for something unknown; it may be of a newer version: %q", t.May)
	case slices.Contains(t.Controls, ""):
		return "it names a control without a name"
	case t.Longest < 0 || t.Longest > int(MaxLife/time.Second):
		return "the longest unlock is no length of time, or too long"
	case t.From.IsZero() || !t.Until.After(t.From):
		return "it ends before it begins"
	case len(t.Reason) > maxReason:
		return fmt.Sprintf("its reason is longer than %d bytes", maxReason)
	}
	return ""
}

// Ask is what somebody wants to do with a token.
type Ask struct {
	Action   Action
	Controls []host.Control // that would be relaxed; nil: any of them
	For      time.Duration  // of an unlock
}

// Verifier is one host: its id, and whose signatures it takes.
type Verifier struct {
	Host string
	Keys []PublicKey
}

// Verify tells whether s is genuine, meant for this host and good for what is asked. Its
// time, and whether it was used, is the Ledger's to say. An error is an *Error.
func (v Verifier) Verify(s Signed, a Ask) error {
	i := slices.IndexFunc(v.Keys, func(k PublicKey) bool { return k.ID() == s.Key })
	switch {
	case i < 0:
		return refuse(UnknownKey, s.Key)
	case !v.Keys[i].verifies(append([]byte(domain), s.payload...), s.signature):
		return refuse(Forged)
	case v.Host == "":
		return refuse(NoHost)
	case s.Host != v.Host:
		return refuse(OtherHost, s.Host, v.Host)
	case s.Until.Sub(s.From) > MaxLife:
		return refuse(TooLong, MaxLife.String())
	case !slices.Contains(s.May, a.Action):
		return refuse(NotFor, string(a.Action), joined(s.May))
	}
	if c, ok := beyond(s.Controls, a.Controls); ok {
		return refuse(NotControl, c, joined(s.Controls))
	}
	if longest := time.Duration(s.Longest) * time.Second; s.Longest > 0 && a.For > longest {
		return refuse(TooMuch, a.For.String(), longest.String())
	}
	return nil
}

// beyond is the first of the asked controls that is none of the allowed ones.
func beyond(allowed, asked []host.Control) (string, bool) {
	if len(allowed) == 0 {
		return "", false
	}
	if len(asked) == 0 {
		return "any", true
	}
	i := slices.IndexFunc(asked, func(c host.Control) bool { return !slices.Contains(allowed, c) })
	if i < 0 {
		return "", false
	}
	return string(asked[i]), true
}

func joined[T ~string](words []T) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = string(w)
	}
	return strings.Join(out, ", ")
}
