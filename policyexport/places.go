package policyexport

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/kannuki/kannuki/internal/nearest"
	"github.com/kannuki/kannuki/policy"
)

// folder is a folder of Windows below the root of a drive, by its letter or by one of
// the words App Control has for places of the system; no wildcards, no dots.
var folder = regexp.MustCompile(`^([A-Za-z]:|%OSDRIVE%|%WINDIR%|%SYSTEM32%)(\\[^\\/:*?"<>|\x00-\x1f]+)+$`)

// reserved are folders anybody may write to: a path rule for one would launch what
// whoever pleases put there, were it not for the check who may write.
var reserved = []string{`\users`, `\programdata`, `\windows\temp`, `\temp`}

// PlaceError says what is wrong with one place.
type PlaceError struct {
	Place, Folder string
	Wrong         string // "unknown", "unused" by this target, "form", "reserved"
	Near          string // of an unknown place: the one of the policy that comes nearest
}

func (e *PlaceError) Error() string {
	switch e.Wrong {
	case "unknown":
		return fmt.Sprintf("the policy names no place %s; did you mean %s?", e.Place, e.Near)
	case "unused":
		return fmt.Sprintf("%s: App Control is about system and user space, attack surface reduction about data: this place is of the other kind", e.Place)
	case "reserved":
		return fmt.Sprintf("%s: anybody may write into %s: name the one folder inside it that is meant", e.Place, e.Folder)
	}
	return fmt.Sprintf(`%s: %q is no folder of Windows like D:\shop or %%OSDRIVE%%\inetpub\wwwroot`, e.Place, e.Folder)
}

// CheckPlaces checks Options.Places against the policy and the target they are for; a
// mistake is a *PlaceError.
func CheckPlaces(p policy.Policy, target string, places map[string]string) error {
	launching, data := placesOf(p)
	known, used := append(slices.Clone(launching), data...), launching
	if target == "asr" {
		used = data
	}
	for _, place := range sortedKeys(places) {
		e := &PlaceError{Place: place, Folder: places[place]}
		switch {
		case !slices.Contains(known, place):
			e.Wrong, e.Near = "unknown", nearest.Word(place, used)
		case !slices.Contains(used, place):
			e.Wrong = "unused"
		case !folder.MatchString(e.Folder) || strings.Contains(e.Folder+`\`, `..\`) || strings.Contains(e.Folder+`\`, `.\`) || strings.Contains(e.Folder+`\`, ` \`):
			e.Wrong = "form"
		case slices.Contains(reserved, strings.ToLower(e.Folder[strings.Index(e.Folder, `\`):])):
			e.Wrong = "reserved"
		default:
			continue
		}
		return e
	}
	return nil
}

// placesOf are the directories a folder of Windows may stand for: those that launch or
// do not, and those that hold data.
func placesOf(p policy.Policy) (launching, data []string) {
	for _, s := range p.Spaces.System {
		launching = append(launching, s.Path)
	}
	for _, u := range p.Spaces.User {
		launching = append(launching, u.Path)
	}
	for _, d := range p.Spaces.Data {
		data = append(data, d.Path)
	}
	return directories(launching), directories(data)
}

func directories(places []string) []string {
	slices.Sort(places)
	return slices.DeleteFunc(slices.Compact(places), func(place string) bool { return place == "" })
}

func sortedKeys(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
