package identity

import "fmt"

// Code is why a token is refused; catalogues translate it.
type Code string

// The codes.
const (
	Malformed   Code = "malformed"
	UnknownKey  Code = "unknown-key"
	Forged      Code = "forged"
	NoHost      Code = "no-host"
	OtherHost   Code = "other-host"
	TooLong     Code = "too-long"
	NotFor      Code = "not-for"
	NotControl  Code = "not-control"
	TooMuch     Code = "too-much"
	AlreadyUsed Code = "used"
	ClockBack   Code = "clock-back"
	NotYet      Code = "not-yet"
	Expired     Code = "expired"
	TooOld      Code = "too-old"
	LedgerFull  Code = "ledger-full"
)

// Error is why a token is refused, and the next step. Args fill the sentences, in the
// order of the catalogues.
type Error struct {
	Code          Code
	Args          []string
	Message, Hint string
}

func (e *Error) Error() string { return e.Message + "; " + e.Hint }

// sentences are the message and the hint of each code, with its arguments.
var sentences = map[Code][2]string{
	Malformed:   {"this is no token: %s", "pass it whole, as kannuki token sign printed it"},
	UnknownKey:  {"the token was signed with key %s, which the policy in force does not name", "sign it with a key of self.keys (kannuki-agent token lists them)"},
	Forged:      {"the token's signature does not fit: it was changed after it was signed", "pass it as kannuki token sign printed it, or have a new one signed"},
	NoHost:      {"this host has no machine id, so no token can be meant for it", "make one: systemd-machine-id-setup"},
	OtherHost:   {"the token is for host %s, and this is %s", "sign one for this host: kannuki token sign --host, with the id that kannuki-agent token shows"},
	TooLong:     {"the token would be good for longer than %s", "sign one with a shorter --valid"},
	NotFor:      {"the token is not for %s but for %s", "sign one with --may for what is to be done"},
	NotControl:  {"the token does not relax control %s, only %s", "ask for those controls, or sign one that names it"},
	TooMuch:     {"the token is good for an unlock of less than %s: %s at most", "ask for less, or sign one with a greater --longest"},
	AlreadyUsed: {"the token was used already, at %s", "a token is good once: sign another one"},
	ClockBack:   {"this host's clock says %s and was at %s when a token was last used: it was turned back", "set the clock (timedatectl), then try again"},
	NotYet:      {"the token is good from %s on, and this host's clock says %s", "wait; or set the clock that is wrong, here (timedatectl) or where it was signed"},
	Expired:     {"the token ended at %s, and this host's clock says %s", "sign another one; if the clock is wrong, set it (timedatectl)"},
	TooOld:      {"the token is from %s, and what was used before %s is not known here any more", "sign another one"},
	LedgerFull:  {"too many tokens were used in the last days to remember another one", "wait until the first of them have ended"},
}

// Codes are all reasons with their English sentences, message and hint, for whoever
// translates them.
func Codes() map[Code][2]string {
	out := map[Code][2]string{}
	for c, s := range sentences {
		out[c] = s
	}
	return out
}

func refuse(c Code, args ...string) *Error {
	s := sentences[c]
	values := make([]any, len(args))
	for i, a := range args {
		values[i] = a
	}
	return &Error{Code: c, Args: args, Message: fmt.Sprintf(s[0], values...), Hint: s[1]}
}

func malformed(why string) *Error { return refuse(Malformed, why) }
