package inventory

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/internal/nearest"
)

// mostProtection is more than what guards one host takes to say: a service of a
// kilobyte's name for every process there can be is far below it.
const mostProtection = 16 << 20

// ReadProtectionFile reads what guards a host from a file, as the agent keeps it
// (protection.json in its state directory).
func ReadProtectionFile(path string) (host.Protection, error) {
	f, err := os.Open(path)
	if err != nil {
		return host.Protection{}, err
	}
	defer f.Close()
	return ReadProtection(f, path)
}

// ReadProtection reads what guards a host as JSON, strictly: an unknown key, control or
// mode is an error that names the place and the nearest word that is known, for a
// misspelt one would otherwise be a control that silently protects nothing.
func ReadProtection(r io.Reader, name string) (host.Protection, error) {
	text, err := io.ReadAll(io.LimitReader(r, mostProtection+1))
	if err != nil {
		return host.Protection{}, fmt.Errorf("%s: %w", name, err)
	}
	if len(text) > mostProtection {
		return host.Protection{}, fmt.Errorf("%s: more than %d MiB: this is no protection of one host", name, mostProtection>>20)
	}
	var p host.Protection
	if err := checkKeys(text, reflect.TypeOf(p), name, "protection"); err != nil {
		return p, err
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return host.Protection{}, located(err, text, name)
	}
	if err := checkProtection(p); err != nil {
		return host.Protection{}, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// controls and modes are the words a protection is made of.
var (
	controls = []string{string(host.Launch), string(host.Write), string(host.ProcessCtl), string(host.Utility), string(host.Containing),
		string(host.KernelCtl), string(host.Private), string(host.Self)}
	modes = []string{host.Observe, host.Enforce}
)

// checkProtection refuses what says nothing, or something twice.
func checkProtection(p host.Protection) error {
	for i, c := range p.Controls {
		place := fmt.Sprintf("controls[%d]", i)
		switch {
		case !slices.Contains(controls, string(c.Control)):
			return unknownWord(place+".control", string(c.Control), controls)
		case !slices.Contains(modes, c.Mode):
			return unknownWord(fmt.Sprintf("%s (%s).mode", place, c.Control), c.Mode, modes)
		case slices.ContainsFunc(p.Controls[:i], func(o host.ControlStatus) bool { return o.Control == c.Control }):
			return fmt.Errorf("%s: the control %q is there twice", place, c.Control)
		case c.Proof != nil && (c.Proof.At.IsZero() || !c.Proof.Expires.After(c.Proof.At)):
			return fmt.Errorf("%s (%s).proof: it needs \"at\" and, after it, \"expires\"", place, c.Control)
		}
	}
	if len(p.Controls) > 0 && p.Reported.IsZero() {
		return fmt.Errorf("no \"reported\": when this was so decides whether it still counts")
	}
	return nil
}

func unknownWord(place, word string, known []string) error {
	return fmt.Errorf("%s: %q is not known: did you mean %q? (one of %s)", place, word, nearest.Word(word, known), strings.Join(known, ", "))
}
