//go:generate go run ./schema/generate

package policyfile

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/kannuki/kannuki/policy"
)

//go:embed builtin/*.yaml
var builtins embed.FS

// Default is the built-in policy of a host nobody configured.
const Default = "standard"

// UnknownBuiltin is a name no built-in policy has.
type UnknownBuiltin struct {
	Name string
	Near string // the name that comes nearest, or ""
}

func (e *UnknownBuiltin) Error() string {
	return fmt.Sprintf("there is no built-in policy %q; %s", e.Name, e.hint())
}

func (e *UnknownBuiltin) hint() string {
	if e.Near != "" {
		return fmt.Sprintf("did you mean %q?", e.Near)
	}
	return "there are " + strings.Join(BuiltinNames(), ", ")
}

// BuiltinNames are the names of the built-in policies.
func BuiltinNames() []string {
	files, err := builtins.ReadDir("builtin")
	if err != nil {
		return nil
	}
	var out []string
	for _, f := range files {
		out = append(out, strings.TrimSuffix(f.Name(), ".yaml"))
	}
	return out
}

// Builtin returns a built-in policy, joined with its base. A name there is none of
// gives *UnknownBuiltin.
func Builtin(name string) (policy.Policy, error) {
	text, err := BuiltinText(name)
	if err != nil {
		return policy.Policy{}, err
	}
	return Parse(strings.NewReader(text), name+".yaml (built in)")
}

// BuiltinText returns a built-in policy as it is written, with its comments.
func BuiltinText(name string) (string, error) {
	names := BuiltinNames()
	if !slices.Contains(names, name) {
		return "", &UnknownBuiltin{Name: name, Near: policy.Nearest(name, names)}
	}
	text, err := builtins.ReadFile(path.Join("builtin", name+".yaml"))
	return string(text), err
}

func sorted(words []string) []string {
	slices.Sort(words)
	return words
}
