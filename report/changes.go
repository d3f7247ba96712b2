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
	pg.sides(bold, p.T("new.title"), p.T("new.since", p.DateTime(news.Since.In(now.Location()))))
	pg.text(0, p.T("new.summary", news.Changed, news.Hosts, len(news.Items)))
	switch {
	case news.Hosts == 0:
		pg.text(0, p.T("new.no-hosts"))
	case len(news.Items) == 0:
		pg.text(0, p.T("new.none"))
	}
	var decision triage.Action
	for _, it := range news.Items {
		if it.Decision != decision {
			decision = it.Decision
			pg.heading(pg.decision(decision))
		}
		pg.newsItem(it)
	}
	return pg.err
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
	p.sides(actionStyle(it.Decision), mark(it.Decision)+" "+id, p.list(kinds))
	title, marked := p.native(vuln.Value[string]{Value: it.TitleJA}, vuln.Value[string]{Value: it.Title})
	if title.Value != "" {
		p.text(3, title.Value+marked)
	}
	for _, c := range it.Changes {
		if text := p.change(c); text != "" {
			p.item(3, "- ", text)
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
		p.text(3, strings.TrimSpace(u.name+" "+u.version)+" -> "+fixed)
		p.item(5, p.T("new.hosts", len(hosts[u])), p.folded(hosts[u], shownHosts))
	}
}
