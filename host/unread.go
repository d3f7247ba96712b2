package host

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strconv"
	"strings"
)

// Unread is something a collector could not read.
type Unread struct {
	What string `json:"what"` // a place or a name
	Why  string `json:"why"`  // in English
	// Code and Args say Why in any language, see FaultCodes; empty in inventories of
	// others, who only wrote Why.
	Code string   `json:"code,omitempty"`
	Args []string `json:"args,omitempty"`
}

// Fault is why something could not be read, as an error.
type Fault struct {
	Code string
	Args []string
}

// NewFault is a Fault of one of FaultCodes.
func NewFault(code string, args ...any) Fault {
	f := Fault{Code: code}
	for _, a := range args {
		f.Args = append(f.Args, fmt.Sprint(a))
	}
	return f
}

// Error says it in English.
func (f Fault) Error() string {
	text, ok := faults[f.Code]
	if !ok {
		return strings.Join(append([]string{f.Code}, f.Args...), " ")
	}
	var pairs []string
	for i, a := range f.Args {
		pairs = append(pairs, "{"+strconv.Itoa(i)+"}", a)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// NotRead says that what could not be read, and why. Of an error of the operating system
// it says the kind, with the system's own words as the argument.
func NotRead(what string, err error) Unread {
	var f Fault
	switch {
	case errors.As(err, &f):
	case errors.Is(err, fs.ErrPermission):
		f = NewFault("denied", err)
	case errors.Is(err, fs.ErrNotExist):
		f = NewFault("missing", err)
	default:
		f = NewFault("error", err)
	}
	return Unread{What: what, Why: f.Error(), Code: f.Code, Args: f.Args}
}

// FaultCodes are the codes of faults with their English; {0} is the first argument.
func FaultCodes() map[string]string { return maps.Clone(faults) }

var faults = map[string]string{
	"denied":     "it may not be read: {0}",
	"missing":    "it is not there: {0}",
	"error":      "{0}",
	"irregular":  "not a regular file",
	"too-large":  "larger than {0} MiB, not read",
	"many-links": "too many symbolic links",

	"processes-denied": "{0} of {1} could not be read in full (permission denied): their listeners and libraries are unknown; run as root (inside a container or under a security module even root may be refused)",
	"other-root":       "{0} processes run from another root (containers): their packages are not part of this inventory; collect one from each image",
	"unclaimed":        "no process was found behind {0}: held by the kernel itself, or by a process that may not be read",

	"kernel-elsewhere": "this kernel runs, but none is installed here (a container, or a virtual machine whose kernel its host brings): its vulnerabilities cannot be told from packages",
	"kernel-unowned":   "this kernel runs, but no package owns its image (self-built?): its vulnerabilities cannot be told from packages",
	"kernel-gone":      "this kernel runs, but is not among the installed ones ({0} is): removed since, or self-built; reboot into an installed one",

	"no-os-release":  "no readable {0}: packages cannot be matched to a release",
	"not-key-value":  "line {0}: {1} is not KEY=value",
	"after-quote":    "line {0}: {1}: text after the closing quote: {2}",
	"open-quote":     "line {0}: {1}: quote is not closed: {2}",
	"pro-unknown":    "whether Ubuntu Pro is in force is unknown: {0}",
	"not-dpkg-log":   "not a log of dpkg: {0}",
	"not-field":      "line {0} is neither a field nor its continuation",
	"long-line":      "line {0} is longer than {1} bytes",
	"not-letter":     "line {0} is not \"X:value\"",
	"twice":          "line {0} gives {1} a second time",
	"no-field":       "no {0} field",
	"half-installed": "half-installed: its files may be on disk in part; finish with apt-get install -f",
	"unknown-status": "unknown Status {0}",
	"odd-source":     "Source {0} is not \"name (version)\"",

	"header-short":   "cut off: {0} bytes",
	"header-size":    "{0} tags and {1} bytes of data do not fit its {2} bytes",
	"header-numbers": "tag {0}: its numbers are outside the header",
	"header-text":    "tag {0}: its text is outside the header",
	"header-endless": "tag {0}: its text does not end within the header",
	"header-no-name": "package {0} has no name, version or release",

	"no-software":          "{0} components of this type: not software that has vulnerability records",
	"component-no-name":    "a component without a name",
	"component-no-version": "a component without a version: cannot be judged",
	"bad-purl":             "its package URL cannot be read: {0}",
}
