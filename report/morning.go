package report

import (
	"cmp"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kannuki/kannuki/feed"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/lang"
	"github.com/kannuki/kannuki/textpage"
	"github.com/kannuki/kannuki/triage"
	"github.com/kannuki/kannuki/vuln"
)

// MorningOptions say what the morning report tells besides the scan.
type MorningOptions struct {
	Page
	All   bool                // every package, and every vulnerability under its package
	Feeds []feed.SourceStatus // what the store holds; their age is told
}

// How much the report shows before it folds, so that a host with thousands of
// findings still reads in a minute.
const (
	fullEntries    = 20 // urgent packages told with their reasons; further ones in short
	regularEntries = 10 // packages of each regular decision
	waitingEntries = 5  // of them, packages that wait for a fix
	noFixNames     = 8  // packages named among those that cannot be fixed yet
	examples       = 3  // examples of what could not be judged, per reason

	// A source is old when it was not imported for three days, or when its newest
	// record is a month old: some publishers are silent for a week, none for that long.
	staleImport = 72 * time.Hour
	staleRecord = 30 * 24 * time.Hour
)

// Morning writes the report an administrator starts the day with: what to do on this
// host, package by package, most urgent first, and what the report could not tell.
func Morning(w io.Writer, scan triage.Scan, p lang.Printer, opt MorningOptions) error {
	pg := newPage(w, p, opt.Page)
	list := groups(scan.Findings)
	pg.morningHead(scan, opt.Feeds)
	pg.summary(scan.Findings, list)
	pg.entries(list, opt.All)
	pg.pending(list)
	pg.noFix(list)
	pg.notJudged(scan.NotJudged, opt.All)
	pg.coverageLimits(scan)
	pg.totals(scan)
	pg.next(list, opt.All)
	return pg.Err()
}

func (p *page) morningHead(scan triage.Scan, feeds []feed.SourceStatus) {
	p.Sides(bold, p.T("morning.title"), p.DateTime(scan.At))
	p.Line(plain, strings.Join(notEmpty(hostName(scan.Host), osName(scan.Host.OS), scan.Host.Arch), " / "))
	if scan.Host.Importance != "" {
		p.Line(plain, p.T("morning.importance", p.T("importance."+scan.Host.Importance)))
	}
	if len(feeds) == 0 {
		p.Item(0, p.T("morning.feeds"), p.T("morning.feeds.none"))
		return
	}
	var names []string
	stale := false
	for _, f := range sortedFeeds(feeds) {
		stale = stale || old(f, scan.At)
		names = append(names, p.T("morning.feed", f.Source, p.Age(scan.At.Sub(newest(f)))))
	}
	p.Item(0, p.T("morning.feeds"), p.List(names))
	if stale {
		p.Item(0, "! ", p.T("morning.feeds.stale"))
	}
}

// newest is the best that is known of how fresh a source is: the newest date in it,
// else when it was imported.
func newest(f feed.SourceStatus) time.Time {
	if f.Newest.IsZero() {
		return f.Imported
	}
	return f.Newest
}

func old(f feed.SourceStatus, now time.Time) bool {
	return now.Sub(f.Imported) > staleImport || now.Sub(newest(f)) > staleRecord
}

func sortedFeeds(feeds []feed.SourceStatus) []feed.SourceStatus {
	list := slices.Clone(feeds)
	slices.SortFunc(list, func(a, b feed.SourceStatus) int { return cmp.Compare(a.Source, b.Source) })
	return list
}

func hostName(h host.Host) string { return cmp.Or(h.Name, h.ID) }

func osName(os host.OS) string {
	return cmp.Or(os.Name, strings.TrimSpace(os.ID+" "+os.VersionID))
}

func notEmpty(items ...string) []string {
	return slices.DeleteFunc(items, func(s string) bool { return s == "" })
}

// summary counts packages and findings per decision.
func (p *page) summary(findings []triage.Finding, list []group) {
	p.Heading(p.T("summary.heading"))
	if len(findings) == 0 {
		p.Text(2, p.T("summary.nothing"))
		return
	}
	perFinding, perPackage, repairable := map[triage.Action]int{}, map[triage.Action]int{}, map[triage.Action]int{}
	most := 0
	for _, f := range findings {
		perFinding[f.Decision]++
		most = max(most, perFinding[f.Decision])
	}
	for _, g := range list {
		perPackage[g.worst().Decision]++
		if g.actionable() > 0 {
			repairable[g.worst().Decision]++
		}
	}
	t := table{Indent: 2, Columns: []column{{}, {Head: p.T("head.decision")}, {Head: p.T("head.when"), Flex: true},
		{Head: p.T("head.packages"), Right: true}, {Head: p.T("head.fixable"), Right: true}, {Head: p.T("head.findings"), Right: true}, {}}}
	for _, a := range actions(findings) {
		s := plain
		if perFinding[a] > 0 {
			s = actionStyle(a)
		}
		t.Add(s, mark(a), p.decision(a), p.word("decision.when.", string(a)),
			p.Number(perPackage[a]), p.Number(repairable[a]), p.Number(perFinding[a]), textpage.Bar(perFinding[a], most, 10))
	}
	p.Table(&t)
}

// decision is the word for an action, or the action itself where there is none.
func (p *page) decision(a triage.Action) string { return p.word("decision.", string(a)) }

// word is the message of a value from a closed vocabulary; a value without one is
// printed as it is.
func (p *page) word(prefix, value string) string {
	if p.Has(prefix + value) {
		return p.T(prefix + value)
	}
	return value
}

// entries lists packages under a heading per decision. Urgent ones are all named; of
// the others those come first that something can be done about today.
func (p *page) entries(list []group, all bool) {
	told := 0
	for len(list) > 0 {
		decision := list[0].worst().Decision
		n := 0
		for n < len(list) && list[n].worst().Decision == decision {
			n++
		}
		p.Heading(p.T("entries.heading", p.decision(decision), n))
		show, rest := list[:n], []group(nil)
		if !urgent(decision) && !all {
			show, rest = regular(show)
		}
		for _, g := range show {
			told++
			p.entry(g, all || (urgent(decision) && told <= fullEntries))
			if all {
				p.each(g)
			}
		}
		p.more(rest)
		list = list[n:]
	}
}

// regular splits the packages of a decision that is not urgent into those to show and
// those to fold: shown are the first that an update or a restart repairs, then, while
// there is room, the worst of those that wait for a fix.
func regular(list []group) (show, rest []group) {
	var waiting []group
	for _, g := range list {
		switch {
		case g.actionable() == 0:
			waiting = append(waiting, g)
		case len(show) < regularEntries:
			show = append(show, g)
		default:
			rest = append(rest, g)
		}
	}
	room := min(max(0, regularEntries-len(show)), waitingEntries, len(waiting))
	return append(show, waiting[:room]...), append(rest, waiting[room:]...)
}

// more says how many packages were folded, apart for those that have no fix.
func (p *page) more(rest []group) {
	var fixable, waiting []group
	for _, g := range rest {
		if g.actionable() > 0 {
			fixable = append(fixable, g)
		} else {
			waiting = append(waiting, g)
		}
	}
	if len(fixable) > 0 {
		p.Text(3, p.T("entries.more", len(fixable), findingCount(fixable)))
	}
	if len(waiting) > 0 {
		p.Text(3, p.T("entries.waiting", len(waiting), findingCount(waiting)))
	}
}

func findingCount(list []group) int {
	n := 0
	for _, g := range list {
		n += len(g.findings)
	}
	return n
}

// entry tells one package: what to install, why this decision, and by when.
func (p *page) entry(g group, full bool) {
	f := g.worst()
	p.Sides(actionStyle(f.Decision), mark(f.Decision)+" "+g.name+"  "+g.version+" -> "+p.target(g), p.T("count.vulnerabilities", len(g.findings)))
	p.Flow(3, p.facts(g), " / ")
	if !full {
		return
	}
	if why := p.because(f); why != "" {
		p.Text(3, why)
	}
}

// target is the version to install, or what else has to be done.
func (p *page) target(g group) string {
	if pending := pendingState(g); pending != "" {
		return p.word("state.", pending)
	}
	if fixed := p.fixedVersion(g); fixed != "" {
		return fixed
	}
	return p.T("fix.none")
}

// facts are the words that place a package: worst vulnerability, types, exposure,
// coverage, deadline.
func (p *page) facts(g group) []string {
	f := g.worst()
	facts := []string{p.identity(f)}
	facts = append(facts, p.types(typesOf(g.findings)), p.T("fact.exposure", p.word("exposure.", f.Exposure)))
	if f.Coverage != "" && f.Coverage != triage.None {
		facts = append(facts, p.T("fact.coverage", p.word("effect.", string(f.Coverage))))
	}
	facts = append(facts, p.decision(f.Decision)+p.due(g))
	if n := g.actionable(); n > 0 && n < len(g.findings) {
		facts = append(facts, p.T("fact.fixes", n, len(g.findings)))
	}
	return facts
}

// types are the short words for types, or the word for having none.
func (p *page) types(types []vuln.Type) string {
	if len(types) == 0 {
		return p.T("type.none")
	}
	words := make([]string, len(types))
	for i, t := range types {
		words[i] = p.word("type.short.", string(t))
	}
	return p.List(words)
}

// identity is the id of a finding with the score and the sign of known exploitation.
func (p *page) identity(f triage.Finding) string {
	s := f.ID
	if f.Score > 0 {
		s += " " + strconv.FormatFloat(f.Score, 'f', 1, 64)
	}
	if f.KEV {
		return s + " [KEV]"
	}
	if f.Exploitation == "poc" || f.Exploitation == "active" {
		s += " [" + p.T("exploitation."+f.Exploitation) + "]"
	}
	return s
}

// due is the earliest deadline of the group's findings, or nothing.
func (p *page) due(g group) string {
	var first *time.Time
	for _, f := range g.findings {
		if f.Deadline != nil && (first == nil || f.Deadline.Before(*first)) {
			first = f.Deadline
		}
	}
	if first == nil {
		return ""
	}
	return p.T("fact.deadline", p.Date(*first))
}

// because joins the reasons that made a finding urgent.
func (p *page) because(f triage.Finding) string {
	var texts []string
	for _, r := range append(slices.Clone(f.Reasons), f.Advice...) {
		if r.Step == "exploitation" || r.Step == "exposure" || r.Step == "coverage" || r.Step == "advice" {
			texts = append(texts, ReasonText(p.Printer, r))
		}
	}
	return strings.Join(notEmpty(texts...), p.T("sentence.separator"))
}

// each lists every vulnerability of a package.
func (p *page) each(g group) {
	for _, f := range g.findings {
		head := "     " + mark(f.Decision) + " " + p.identity(f) + "  " + p.types(f.Types)
		p.Sides(plain, head, f.FixedVersion)
		title, marked := p.native(vuln.Value[string]{Value: f.TitleJA}, vuln.Value[string]{Value: f.Title})
		if title.Value != "" {
			p.Line(faint, strings.Repeat(" ", 8)+marked+title.Value)
		}
	}
}

// typesOf are the types of findings in table order.
func typesOf(findings []triage.Finding) []vuln.Type {
	seen := map[vuln.Type]bool{}
	for _, f := range findings {
		for _, t := range f.Types {
			seen[t] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(vuln.Types), func(t vuln.Type) bool { return !seen[t] })
}

// fixedVersion is the newest version any finding of the group asks for, in the order
// of the ecosystem that matched; where that order is unknown, all of them.
func (p *page) fixedVersion(g group) string {
	var fixes []string
	ecosystem := ""
	for _, f := range g.findings {
		if f.FixedVersion != "" && !slices.Contains(fixes, f.FixedVersion) {
			fixes = append(fixes, f.FixedVersion)
		}
		if len(f.Matches) > 0 && ecosystem == "" {
			ecosystem = f.Matches[0].Ecosystem
		}
	}
	if newest, ok := triage.Newest(ecosystem, fixes); ok {
		return newest
	}
	slices.Sort(fixes)
	if ecosystem == "Windows" {
		slices.Reverse(fixes) // the newest update holds most of them
	}
	return p.Folded(fixes, examples)
}
