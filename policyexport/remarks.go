package policyexport

import (
	"fmt"
	"io"
	"strings"

	"github.com/kannuki/kannuki/internal/jsonout"
)

// Words put what an export says for people into their language.
type Words struct {
	// Head are lines for whoever opens the file, before the gaps.
	Head []string
	Gap  func(Gap) string
	// Wrap breaks a line where it is too long for the reader's page.
	Wrap func(string) []string
}

// remarks are the lines a person reads before the rules: what this is, and the gaps
// with the rules of the policy each is about.
func (w Words) remarks(gaps []Gap) []string {
	var out []string
	for _, line := range w.Head {
		out = append(out, w.Wrap(oneLine(line))...)
	}
	for _, g := range gaps {
		line := w.Gap(g)
		if len(g.Rules) > 0 {
			line = fmt.Sprintf("%s [%s]", line, shortened(g.Rules))
		}
		for i, part := range w.Wrap(oneLine(line)) {
			out = append(out, map[bool]string{true: "* ", false: "  "}[i == 0]+part)
		}
	}
	return out
}

// shortened names the first rules; all of them are in the JSON.
func shortened(ids []string) string {
	const shown = 3
	if len(ids) <= shown+1 {
		return strings.Join(ids, ", ")
	}
	return fmt.Sprintf("%s, … (%d)", strings.Join(ids[:shown], ", "), len(ids))
}

// oneLine keeps what somebody wrote from leaving its comment.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// WriteJSON writes the whole export with its gaps in words.
func (c CodeIntegrity) WriteJSON(w io.Writer, words Words) error {
	c.Gaps = words.said(c.Gaps)
	return jsonout.Write(w, c)
}
