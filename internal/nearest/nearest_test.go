package nearest

import "testing"

func TestDistanceCountsChanges(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}} {
		if got := Distance(c.a, c.b); got != c.want || Distance(c.b, c.a) != c.want {
			t.Errorf("Distance(%q, %q) = %d, want %d both ways", c.a, c.b, got, c.want)
		}
	}
}

func TestWordIsTheLeastChanged(t *testing.T) {
	words := []string{"defer", "scheduled", "out-of-cycle", "immediate"}
	for s, want := range map[string]string{"Imediate": "immediate", "schedule": "scheduled", "out of cycle": "out-of-cycle", "": "defer"} {
		if got := Word(s, words); got != want {
			t.Errorf("Word(%q) = %q, want %q", s, got, want)
		}
	}
	if got := Word("x", nil); got != "" {
		t.Errorf("of no words: %q", got)
	}
}
