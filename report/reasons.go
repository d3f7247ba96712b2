package report

import (
	"cmp"
	"io"
	"strings"
	"time"

	"github.com/kannuki/kannuki/lang"
	"github.com/kannuki/kannuki/triage"
)

// ReasonText is a reason in p's language. A code without a message keeps the text it
// came with, else the code and its arguments: a reason is never lost.
func ReasonText(p lang.Printer, r triage.Reason) string {
	key := "reason." + r.Code
	if !p.Has(key) {
		return cmp.Or(r.Text, strings.Join(append([]string{r.Code}, r.Args...), " "))
	}
	pg := newPage(io.Discard, p, Page{})
	kinds := argumentKinds[r.Code]
	args := make([]any, len(r.Args))
	for i, a := range r.Args {
		args[i] = a
		if i < len(kinds) {
			args[i] = pg.argument(kinds[i], a)
		}
	}
	if r.Code == triage.CodeSkipUnread && len(r.Args) > 2 {
		args[1] = pg.fault(r.Args[1], r.Args[2], r.Args[3:])
	}
	return p.T(key, args...)
}

// kind says what vocabulary a reason's argument is from.
type kind string

const (
	asIs         kind = ""
	aText        kind = "text"     // a whole sentence in English, perhaps one the catalogue has
	aList        kind = "list"     // of anything, joined by ", "
	anAction     kind = "decision" // the rest are also the prefix of their words' keys
	anEffect     kind = "effect"
	anExposure   kind = "exposure"
	anExploit    kind = "exploitation"
	anInput      kind = "input"
	someTypes    kind = "type.label"
	someControls kind = "control"
	aSource      kind = "typing"
	aConfidence  kind = "confidence"
	aMethod      kind = "method"
	aStatus      kind = "status"
	aRow         kind = "row"  // "exploitation=active, exposure=open"
	aTime        kind = "time" // RFC 3339, a day, or "never"
	aDuration    kind = "duration"
)

// argumentKinds are the kinds of a code's arguments, as far as they are words that
// change with the language. Without an entry an argument is printed as it is.
var argumentKinds = map[string][]kind{
	triage.CodeDecisionRow:     {asIs, aRow, anAction},
	triage.CodeInputUnknown:    {anInput, aRow},
	triage.CodeInputWord:       {anInput, asIs, aRow},
	triage.CodeMoved:           {anAction, anAction, anEffect},
	triage.CodeKeptClock:       {anEffect},
	triage.CodeFloor:           {anAction, anAction},
	triage.CodeProtectionStale: {aTime, aDuration},
	triage.CodePartlyContained: {aList},
	triage.CodeControl:         {someControls, aTime, asIs},
	triage.CodeUnproven:        {someControls, anEffect, anEffect},
	triage.CodeMissing:         {someControls, anEffect},
	triage.CodeGap:             {someControls, aText},
	triage.CodeSurfaceAllowed:  {asIs, aList},
	triage.CodeSkipUnread:      {aText, aText},
	triage.CodeReturnControl:   {someControls},
	triage.CodeReturnProof:     {someControls},
	triage.CodeReturnContained: {aList},
	triage.CodeReturnSurface:   {aList},
	triage.CodeInsideExec:      {someTypes},
	triage.CodeInferred:        {anEffect, anEffect},
	triage.CodeKernelSurface:   {someTypes, anEffect, aList},
	triage.CodeMatchRange:      {asIs, asIs, asIs, asIs, aMethod},
	triage.CodeMatchStatus:     {asIs, aStatus},
	triage.CodeType:            {someTypes, aSource, aConfidence, asIs},
	triage.CodeExploitKEV:      {aTime},
	triage.CodeExploitSSVC:     {asIs, anExploit},
	triage.CodeExposureListens: {asIs, asIs, anExposure},
	triage.CodeSkipEnded:       {asIs, aTime},
	triage.CodeExec:            typesAndEffect,
	triage.CodeMemory:          typesAndEffect,
	triage.CodeOverRead:        typesAndEffect,
	triage.CodePrivSetuid:      typesAndEffect,
	triage.CodePrivDeputy:      typesAndEffect,
	triage.CodePrivDaemon:      typesAndEffect,
	triage.CodePrivApplication: typesAndEffect,
	triage.CodeInfoFiles:       typesAndEffect,
	triage.CodeInfoProcess:     typesAndEffect,
	triage.CodeInfoInside:      typesAndEffect,
	triage.CodeBypassOS:        typesAndEffect,
	triage.CodeBypassApp:       typesAndEffect,
	triage.CodeTraversalWrite:  typesAndEffect,
	triage.CodeTraversalRead:   typesAndEffect,
	triage.CodeInclusion:       typesAndEffect,
	triage.CodeSQLi:            typesAndEffect,
	triage.CodeSQLiExec:        typesAndEffect,
	triage.CodeBrowser:         typesAndEffect,
	triage.CodeDoS:             typesAndEffect,
	triage.CodeKernelNetwork:   typesAndEffect,
	triage.CodeKernelLocal:     typesAndEffect,
	triage.CodeKernelPageCache: typesAndEffect,
	triage.CodeKernelOther:     typesAndEffect,
}

var typesAndEffect = []kind{someTypes, anEffect}

// argument is a reason's argument in words. Lists are translated item by item; what is
// in no vocabulary stays as it is.
func (p *page) argument(k kind, value string) string {
	switch k {
	case asIs:
		return value
	case aText:
		return p.word("text.", value)
	case aTime:
		return p.time(value)
	case aDuration:
		if d, err := time.ParseDuration(value); err == nil {
			return p.duration(d)
		}
		return value
	}
	items := strings.Split(value, ", ")
	for i, item := range items {
		switch k {
		case aList:
		case aRow:
			items[i] = p.row(item)
		default:
			items[i] = p.word(string(k)+".", item)
		}
	}
	return p.List(items)
}

// fault is why a collector could not read something. Without a code that the catalogue
// knows it is the English it came with, or that in words of the catalogue.
func (p *page) fault(why, code string, args []string) string {
	key := "unread." + code
	if !p.Has(key) {
		return p.word("text.", why)
	}
	words := make([]any, len(args))
	for i, a := range args {
		words[i] = a
	}
	return p.T(key, words...)
}

// row is one input of a decision's row, "exposure=open", or a value alone.
func (p *page) row(pair string) string {
	name, value, ok := strings.Cut(pair, "=")
	if !ok {
		return p.word("value.", pair)
	}
	vocabulary := map[string]string{"exploitation": "exploitation.", "exposure": "exposure.", "human-impact": "importance."}
	return p.word("input.", name) + "=" + p.word(cmp.Or(vocabulary[name], "value."), value)
}

// time rewrites a time or day the way the language writes them.
func (p *page) time(value string) string {
	if t, err := time.Parse(time.RFC3339, value); err == nil {
		return p.DateTime(t)
	}
	if t, err := time.Parse(time.DateOnly, value); err == nil {
		return p.Date(t)
	}
	return p.word("time.", value)
}

// duration is a period in the largest unit that says it exactly.
func (p *page) duration(d time.Duration) string {
	switch {
	case d >= 24*time.Hour && d%(24*time.Hour) == 0:
		return p.T("duration.days", int(d/(24*time.Hour)))
	case d%time.Hour == 0:
		return p.T("duration.hours", int(d/time.Hour))
	case d%time.Minute == 0:
		return p.T("duration.minutes", int(d/time.Minute))
	}
	return d.String()
}
