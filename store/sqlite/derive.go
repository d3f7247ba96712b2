package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/kannuki/kannuki/triage"
	"github.com/kannuki/kannuki/vuln"
)

// chunk is how many vulnerabilities are recomputed at a time: enough to keep the
// cores busy, few enough to stay small in memory.
const chunk = 512

// pending is one vulnerability being recomputed.
type pending struct {
	id      string
	records []vuln.Record
	source  string // of the first of them: who brought a new one
	old     *triage.Digest
	known   int64
	body    []byte
	digest  triage.Digest
	err     error
}

// derive recomputes the digests of the dirty vulnerabilities and writes the news.
func (b *batch) derive() error {
	ids := make([]string, 0, len(b.dirty))
	for id := range b.dirty {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	fresh := map[string]bool{}
	for part := range slices.Chunk(ids, chunk) {
		work, err := b.load(part)
		if err != nil {
			return err
		}
		compute(work)
		for i := range work {
			if err := b.settle(&work[i], fresh); err != nil {
				return err
			}
		}
	}
	return b.tell(fresh)
}

// load reads the records behind each id.
func (b *batch) load(ids []string) ([]pending, error) {
	query, err := b.prepare(`SELECT b.body FROM mentions m JOIN bodies b ON b.record = m.record WHERE m.vulnerability = ?`)
	if err != nil {
		return nil, err
	}
	work := make([]pending, len(ids))
	for i, id := range ids {
		work[i].id = id
		rows, err := query.QueryContext(b.ctx, id)
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			var body []byte
			if err := rows.Scan(&body); err != nil {
				rows.Close()
				return nil, err
			}
			var r vuln.Record
			if err := unpack(body, &r); err != nil {
				rows.Close()
				return nil, fmt.Errorf("%s: %w", id, err)
			}
			work[i].records = append(work[i].records, r)
		}
		if err := rows.Close(); err != nil {
			return nil, err
		}
		if err := b.loadOld(&work[i]); err != nil {
			return nil, err
		}
	}
	return work, nil
}

func (b *batch) loadOld(p *pending) error {
	row, err := b.queryRow(`SELECT known, body FROM digests WHERE vulnerability = ?`, p.id)
	if err != nil {
		return err
	}
	var body []byte
	if row.Scan(&p.known, &body) != nil {
		p.known = b.at
		return nil
	}
	p.old = new(triage.Digest)
	return unpack(body, p.old)
}

// compute merges and types on all cores: it is the expensive, pure part.
func compute(work []pending) {
	var wg sync.WaitGroup
	cores := runtime.GOMAXPROCS(0)
	for c := range cores {
		wg.Go(func() {
			for i := c; i < len(work); i += cores {
				p := &work[i]
				p.digest = triage.DigestOf(vuln.Merge(p.id, p.records))
				var text []byte
				text, p.err = json.Marshal(p.digest)
				p.body = pack(text)
				if len(p.records) > 0 {
					p.source = p.records[0].Source
				}
				p.records = nil
			}
		})
	}
	wg.Wait()
}

// settle writes one digest and notes what changed.
func (b *batch) settle(p *pending, fresh map[string]bool) error {
	if p.err != nil {
		return p.err
	}
	if p.old == nil {
		fresh[p.id] = true
	}
	b.news = append(b.news, changes(p.old, p.digest, p.source)...)
	return b.exec(`INSERT INTO digests (vulnerability, rules, known, body) VALUES (?, ?, ?, ?)
		ON CONFLICT (vulnerability) DO UPDATE SET rules = excluded.rules, body = excluded.body`,
		p.id, triage.RulesVersion, p.known, p.body)
}

// changes compares two digests of one vulnerability; old is nil for a new one,
// which source brought.
func changes(old *triage.Digest, d triage.Digest, source string) []vuln.Change {
	if old == nil {
		return []vuln.Change{{Vulnerability: d.ID, Kind: vuln.ChangeNew, Source: source, New: d.Title}}
	}
	var out []vuln.Change
	if old.Severity.Vector != d.Severity.Vector && d.Severity.Vector != "" && old.Severity.Vector != "" {
		out = append(out, vuln.Change{Vulnerability: d.ID, Kind: vuln.ChangeScored, Source: d.Severity.Source,
			Old: old.Severity.Vector, New: d.Severity.Vector})
	}
	switch {
	case old.KEV == nil && d.KEV != nil:
		out = append(out, vuln.Change{Vulnerability: d.ID, Kind: vuln.ChangeExploited, Source: "kev", New: d.KEV.Name})
	case !activeIn(old.SSVC) && activeIn(d.SSVC):
		out = append(out, vuln.Change{Vulnerability: d.ID, Kind: vuln.ChangeExploited, Source: d.SSVC.Source, New: "active"})
	}
	if !old.Rejected && d.Rejected {
		out = append(out, vuln.Change{Vulnerability: d.ID, Kind: vuln.ChangeRejected, Source: source})
	}
	return out
}

func activeIn(s *vuln.SSVC) bool { return s != nil && s.Exploitation == "active" }

// tell writes the news, unless it is the first load of every source in this file:
// an administrator who fills an empty store has no last night.
func (b *batch) tell(fresh map[string]bool) error {
	watched := false
	for _, had := range b.baseline {
		watched = watched || had
	}
	if !watched {
		return nil
	}
	for _, c := range b.news {
		if c.Kind == vuln.ChangeFixed && fresh[c.Vulnerability] {
			continue // said by "new"
		}
		if err := b.exec(`INSERT INTO changes (at, vulnerability, kind, source, old, new) VALUES (?, ?, ?, ?, ?, ?)`,
			b.at, c.Vulnerability, string(c.Kind), c.Source, c.Old, c.New); err != nil {
			return err
		}
	}
	return nil
}

// rederive recomputes every digest made by older typing rules.
func (db *DB) rederive(ctx context.Context) error {
	var stale int
	row := db.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM digests WHERE rules < ?1) OR EXISTS (SELECT 1 FROM digests WHERE rules > ?1)`,
		triage.RulesVersion)
	if err := row.Scan(&stale); err != nil || stale == 0 {
		return err
	}
	tx, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	b := newBatch(ctx, db, tx)
	rows, err := tx.QueryContext(ctx, `SELECT vulnerability FROM digests WHERE rules <> ?`, triage.RulesVersion)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		b.dirty[id] = true
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if err := b.derive(); err != nil {
		return err
	}
	return tx.Commit()
}
