//go:build guest && linux

package guard

import (
	"errors"
	"regexp"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/kannuki/kannuki/internal/vm/guest"
)

var processed = regexp.MustCompile(`processed (\d+) insns.*`)

// What the kernel's verifier has to go through decides how long a server is without
// protection after its start.
func TestTheVerifierAcceptsEveryProgram(t *testing.T) {
	guest.Require(t)
	all, err := readObject()
	if err != nil {
		t.Fatal(err)
	}
	for _, tier := range []string{TierLSM, TierModRet} {
		whole, _, err := choose(all, tier)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for name := range whole.spec.Programs {
			names = append(names, name)
		}
		sort.Strings(names)
		for _, name := range names {
			t.Run(tier+"/"+name, func(t *testing.T) {
				spec := whole.with(func(other string) bool { return other == name }).spec
				began := time.Now()
				c, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{Programs: ebpf.ProgramOptions{LogLevel: ebpf.LogLevelStats}})
				if err != nil {
					t.Fatal(whyNot(spec))
				}
				defer c.Close()
				for _, p := range c.Programs {
					stack := ""
					for line := range strings.Lines(p.VerifierLog) {
						if strings.HasPrefix(line, "stack depth") {
							stack = strings.TrimSpace(line)
						}
					}
					t.Logf("%s %s; %.2f s", processed.FindString(p.VerifierLog), stack, time.Since(began).Seconds())
				}
			})
		}
	}
}

// whyNot loads once more and returns the end of what the verifier says.
func whyNot(spec *ebpf.CollectionSpec) string {
	c, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{Programs: ebpf.ProgramOptions{LogLevel: ebpf.LogLevelBranch, LogSizeStart: 1 << 24}})
	if err == nil {
		c.Close()
		return "refused once, accepted now"
	}
	var said *ebpf.VerifierError
	if !errors.As(err, &said) {
		return err.Error()
	}
	return err.Error() + "\n" + strings.Join(said.Log[max(0, len(said.Log)-30):], "\n")
}
