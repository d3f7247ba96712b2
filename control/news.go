package control

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/kannuki/kannuki/store"
	"github.com/kannuki/kannuki/triage"
	"github.com/kannuki/kannuki/vuln"
)

// Item is one changed vulnerability that concerns inventoried hosts.
type Item struct {
	Vulnerability string        `json:"vulnerability"`
	Title         string        `json:"title,omitempty"`
	TitleJA       string        `json:"title_ja,omitempty"`
	Changes       []vuln.Change `json:"changes"`
	Hosts         []Concern     `json:"hosts"`
	Decision      triage.Action `json:"decision"` // the most urgent of the hosts'
	KEV           bool          `json:"kev,omitempty"`
}

// Concern is one host a changed vulnerability concerns, and through what.
type Concern struct {
	Host          string        `json:"host"`
	SourcePackage string        `json:"source_package"`
	SourceVersion string        `json:"source_version"`
	FixedVersion  string        `json:"fixed_version"`
	Decision      triage.Action `json:"decision"`
}

// News is what imports since a time changed that concerns the inventoried hosts.
type News struct {
	Since   time.Time `json:"since"`
	Hosts   int       `json:"hosts"`   // inventoried
	Changed int       `json:"changed"` // vulnerabilities that changed at all
	Items   []Item    `json:"items"`
	// Returned are the hosts whose guard has stopped standing behind decisions.
	Returned []Returned `json:"returned"`
}

// WhatsNew holds the changes since a time against every inventoried host as it is
// guarded now, and tells where a guard has stopped.
func WhatsNew(ctx context.Context, s store.Store, table *triage.Table, since, now time.Time) (News, error) {
	news := News{Since: since, Items: []Item{}, Returned: []Returned{}}
	changes, err := s.Changes(ctx, since)
	if err != nil {
		return news, err
	}
	byID := map[string]*Item{}
	for _, c := range changes {
		if byID[c.Vulnerability] == nil {
			byID[c.Vulnerability] = &Item{Vulnerability: c.Vulnerability}
		}
		byID[c.Vulnerability].Changes = append(byID[c.Vulnerability].Changes, c)
	}
	news.Changed = len(byID)
	e, err := triage.NewEngine(ctx, s, table, now)
	if err != nil {
		return news, err
	}
	back := returning{store: s, engine: e, since: since, now: now}
	err = EachHost(ctx, s, nil, now, func(h *Inventoried) error {
		news.Hosts++
		v, err := e.Judge(ctx, &h.Inventory, h.Protection)
		for _, f := range v.Findings {
			if item := byID[f.ID]; item != nil {
				item.concern(h.Host.Name, f)
			}
		}
		return errors.Join(err, back.ask(ctx, h, &news.Returned))
	})
	if err != nil {
		return news, err
	}
	news.take(byID)
	return news, news.title(ctx, s)
}

func (it *Item) concern(name string, f *triage.Finding) {
	it.Hosts = append(it.Hosts, Concern{name, f.SourcePackage, f.SourceVersion, f.FixedVersion, f.Decision})
	if it.Decision == "" || triage.Urgency(f.Decision) > triage.Urgency(it.Decision) {
		it.Decision = f.Decision
	}
	it.KEV = it.KEV || f.KEV
}

// take keeps what concerns a host, most urgent first. Rejections concern nobody any
// more and are told only where a host was concerned, which Judge no longer says.
func (n *News) take(byID map[string]*Item) {
	for _, it := range byID {
		if len(it.Hosts) > 0 {
			n.Items = append(n.Items, *it)
		}
	}
	slices.SortFunc(n.Items, func(a, b Item) int {
		return cmp.Or(-cmp.Compare(triage.Urgency(a.Decision), triage.Urgency(b.Decision)),
			-cmp.Compare(len(a.Hosts), len(b.Hosts)), cmp.Compare(a.Vulnerability, b.Vulnerability))
	})
}

func (n *News) title(ctx context.Context, s store.Store) error {
	ids := make([]string, len(n.Items))
	for i := range n.Items {
		ids[i] = n.Items[i].Vulnerability
	}
	digests, err := s.Digests(ctx, ids)
	if err != nil {
		return err
	}
	for i := range n.Items {
		if d := digests[n.Items[i].Vulnerability]; d != nil {
			n.Items[i].Title, n.Items[i].TitleJA = d.Title, d.TitleJA
		}
	}
	return nil
}
