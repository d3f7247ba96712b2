package report

import (
	"io"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/control"
	"github.com/kannuki/kannuki/lang"
	"github.com/kannuki/kannuki/triage"
	"github.com/kannuki/kannuki/vuln"
)

const shownHosts = 6 // hosts named per changed vulnerability

// Changes writes what imports changed about vulnerabilities that concern inventoried
// hosts, most urgent first: what changed, for which hosts, through which package.
func Changes(w io.Writer, news control.News, now time.Time, p lang.Printer, layout Page) error {
	pg := newPage(w, p, layout)
	pg.Sides(bold, p.T("new.title"), p.T("new.since", p.DateTime(news.Since.In(now.Location()))))
	pg.Text(0, p.T("new.summary", news.Changed, news.Hosts, len(news.Items)))
	pg.returned(news.Returned)
	switch {
	case news.Hosts == 0:
		pg.Text(0, p.T("new.no-hosts"))
	case len(news.Items) == 0:
		pg.Text(0, p.T("new.none"))
	}
	var decision triage.Action
	for _, it := range news.Items {
		if it.Decision != decision {
			decision = it.Decision
			pg.Heading(pg.decision(decision))
		}
		pg.newsItem(it)
	}
	return pg.Err()
}

// NewsJSON writes what changed, with every reason in p's language.
func NewsJSON(w io.Writer, news control.News, p lang.Printer) error {
	news.Returned = slices.Clone(news.Returned)
	for i := range news.Returned {
		news.Returned[i].Why = spokenReasons(p, news.Returned[i].Why)
	}
	return JSON(w, news)
}

// returned tells first where a guard has stopped: what could wait no longer may.
func (p *page) returned(hosts []control.Returned) {
	if len(hosts) == 0 {
		return
	}
	p.Heading("!! " + p.T("new.returned"))
	for _, r := range hosts {
		said := p.T("new.returned.still", r.Host)
		if len(r.Moves) > 0 {
			said = p.T("new.returned.host", r.Host, len(r.Moves))
		}
		p.Line(red, said)
		for _, why := range r.Why {
			p.Item(3, "- ", ReasonText(p.Printer, why))
		}
		shown := r.Moves[:min(len(r.Moves), shownMoves)]
		for _, m := range shown {
			p.Sides(plain, "   "+mark(m.After.Decision)+" "+m.ID+"  "+m.SourcePackage, p.T("whatif.from-to", p.decision(m.Before.Decision), p.decision(m.After.Decision)))
		}
		if n := len(r.Moves) - len(shown); n > 0 {
			p.Text(3, p.T("new.returned.more", n))
		}
	}
}

func (p *page) newsItem(it control.Item) {
	id := it.Vulnerability
	if it.KEV {
		id += " [KEV]"
	}
	var kinds []string
	for _, c := range it.Changes {
		if word := p.word("change.", string(c.Kind)); !slices.Contains(kinds, word) {
			kinds = append(kinds, word)
		}
	}
	p.Sides(actionStyle(it.Decision), mark(it.Decision)+" "+id, p.List(kinds))
	title, marked := p.native(vuln.Value[string]{Value: it.TitleJA}, vuln.Value[string]{Value: it.Title})
	if title.Value != "" {
		p.Text(3, title.Value+marked)
	}
	for _, c := range it.Changes {
		if text := p.change(c); text != "" {
			p.Item(3, "- ", text)
		}
	}
	p.concerns(it.Hosts)
}

// change says what changed, where the kind alone does not.
func (p *page) change(c vuln.Change) string {
	switch {
	case c.Old != "" && c.New != "":
		return p.T("change.from-to", p.word("change.", string(c.Kind)), c.Old, c.New, c.Source)
	case c.New != "":
		return p.T("change.to", p.word("change.", string(c.Kind)), c.New, c.Source)
	}
	return ""
}

// concerns lists hosts by what they have installed: the same package and version on
// many hosts is one line.
func (p *page) concerns(list []control.Concern) {
	type unit struct{ name, version, fixed string }
	hosts := map[unit][]string{}
	var units []unit
	for _, c := range list {
		u := unit{c.SourcePackage, c.SourceVersion, c.FixedVersion}
		if hosts[u] == nil {
			units = append(units, u)
		}
		if !slices.Contains(hosts[u], c.Host) {
			hosts[u] = append(hosts[u], c.Host)
		}
	}
	for _, u := range units {
		slices.Sort(hosts[u])
		fixed := u.fixed
		if fixed == "" {
			fixed = p.T("fix.none")
		}
		p.Text(3, strings.TrimSpace(u.name+" "+u.version)+" -> "+fixed)
		p.Item(5, p.T("new.hosts", len(hosts[u])), p.Folded(hosts[u], shownHosts))
	}
}
