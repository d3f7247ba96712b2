package identity

import (
	"slices"
	"time"
)

// MaxUsed is how many used tokens a ledger holds; they leave it when they have ended.
const MaxUsed = 1000

// Ledger remembers which tokens one host has taken, as long as they would be good. Its
// owner writes it to disk before he acts on a token: then none is good twice, whenever
// he is killed. The zero value is no ledger: see NewLedger.
type Ledger struct {
	// Began is when it was begun. What was used before is not known, so tokens from before
	// are refused.
	Began time.Time `json:"began"`
	// Seen is the latest time at which a token was used. A clock that stands before it was
	// turned back.
	Seen time.Time `json:"seen,omitzero"`
	Used []Used    `json:"used"`
}

// Used is one token that was taken.
type Used struct {
	ID    string    `json:"id"`
	At    time.Time `json:"at"`
	Until time.Time `json:"until"` // when it would have ended
}

// NewLedger is a ledger that knows of nothing before now.
func NewLedger(now time.Time) Ledger { return Ledger{Began: now.UTC(), Used: []Used{}} }

// Check tells whether t could be used at now. An error is an *Error.
func (l Ledger) Check(t Token, now time.Time) error {
	began := l.Began
	if now.Before(began) { // it was begun while the clock stood in the future
		began = now
	}
	i := slices.IndexFunc(l.Used, func(u Used) bool { return u.ID == t.ID })
	switch {
	case i >= 0:
		return refuse(AlreadyUsed, stamp(l.Used[i].At))
	case now.Before(l.Seen.Add(-Skew)):
		return refuse(ClockBack, stamp(now), stamp(l.Seen))
	case now.Before(t.From.Add(-Skew)):
		return refuse(NotYet, stamp(t.From), stamp(now))
	case !now.Before(t.Until):
		return refuse(Expired, stamp(t.Until), stamp(now))
	case t.From.Before(began.Add(-Skew)):
		return refuse(TooOld, stamp(t.From), stamp(l.Began))
	case len(l.live(now)) >= MaxUsed:
		return refuse(LedgerFull)
	}
	return nil
}

// Spend returns the ledger with t used at now, or why t cannot be used.
func (l Ledger) Spend(t Token, now time.Time) (Ledger, error) {
	if err := l.Check(t, now); err != nil {
		return l, err
	}
	now = now.UTC()
	out := Ledger{Began: l.Began, Seen: l.Seen, Used: append(l.live(now), Used{ID: t.ID, At: now, Until: t.Until})}
	if now.After(out.Seen) {
		out.Seen = now
	}
	if now.Before(out.Began) {
		out.Began = now
	}
	return out, nil
}

// live are the used tokens that have not ended by any clock this ledger has seen: those
// that have are refused for their age.
func (l Ledger) live(now time.Time) []Used {
	latest := now
	if l.Seen.After(latest) {
		latest = l.Seen
	}
	return slices.DeleteFunc(slices.Clone(l.Used), func(u Used) bool { return u.Until.Add(Skew).Before(latest) })
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
