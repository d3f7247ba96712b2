package sqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/store"
	"github.com/kannuki/kannuki/vuln"
)

// decoderVersion is raised when our reading of feed formats changes, so that files
// already imported are read again.
const decoderVersion = 2

// batch is the transaction of one file.
type batch struct {
	ctx  context.Context
	tx   *sql.Tx
	at   int64
	file int64
	stmt map[string]*sql.Stmt
	// dirty are the vulnerabilities whose digest may have changed.
	dirty map[string]bool
	// baseline tells, for each source met, whether its first load was over before
	// this file: what a first load brings is no news.
	baseline map[string]bool
	news     []vuln.Change
}

// Begin starts the import of f.
func (db *DB) Begin(ctx context.Context, f vuln.File) (store.Batch, error) {
	var decoder int
	err := db.read.QueryRowContext(ctx, `SELECT decoder FROM files WHERE sha256 = ?`, f.SHA256).Scan(&decoder)
	if err == nil && decoder == decoderVersion {
		return nil, store.ErrUnchanged
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("store: look up file: %w", err)
	}
	tx, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("store: begin (is another import running?): %w", err)
	}
	b := newBatch(ctx, db, tx)
	if err := b.open(f); err != nil {
		tx.Rollback()
		return nil, fmt.Errorf("store: begin file: %w", err)
	}
	return b, nil
}

func newBatch(ctx context.Context, db *DB, tx *sql.Tx) *batch {
	return &batch{ctx: ctx, tx: tx, at: stamp(db.now()), stmt: map[string]*sql.Stmt{},
		dirty: map[string]bool{}, baseline: map[string]bool{}}
}

// open writes the file's row. A file imported again from the same path takes the
// place of the older content's rejects.
func (b *batch) open(f vuln.File) error {
	if _, err := b.tx.ExecContext(b.ctx, `DELETE FROM rejects WHERE path = ?`, f.Path); err != nil {
		return err
	}
	row := b.tx.QueryRowContext(b.ctx, `INSERT INTO files (path, sha256, size, decoder, imported) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (sha256) DO UPDATE SET path = excluded.path, decoder = excluded.decoder, imported = excluded.imported
		RETURNING id`, f.Path, f.SHA256, f.Size, decoderVersion, b.at)
	return row.Scan(&b.file)
}

// exec runs a prepared statement, prepared once for this transaction.
func (b *batch) exec(query string, args ...any) error {
	s, err := b.prepare(query)
	if err != nil {
		return err
	}
	_, err = s.ExecContext(b.ctx, args...)
	return err
}

func (b *batch) prepare(query string) (*sql.Stmt, error) {
	if s := b.stmt[query]; s != nil {
		return s, nil
	}
	s, err := b.tx.PrepareContext(b.ctx, query)
	if err == nil {
		b.stmt[query] = s
	}
	return s, err
}

func (b *batch) queryRow(query string, args ...any) (*sql.Row, error) {
	s, err := b.prepare(query)
	if err != nil {
		return nil, err
	}
	return s.QueryRowContext(b.ctx, args...), nil
}

// held is the row of a record that is already in the store.
type held struct {
	id              int64
	vulnerabilities string
	modified        int64
	hash            []byte
}

// Record takes one record. The newer of two versions of a record stays: files may
// come in any order.
func (b *batch) Record(r vuln.Record) error {
	if r.ID == "" || r.Source == "" {
		return fmt.Errorf("store: record without id or source: %q of %q", r.ID, r.Source)
	}
	if len(r.Vulnerabilities) == 0 {
		r.Vulnerabilities = []string{r.ID}
	}
	if err := b.meet(r.Source); err != nil {
		return err
	}
	head, statements, err := split(r)
	if err != nil {
		return fmt.Errorf("store: encode %s of %s: %w", r.ID, r.Source, err)
	}
	hash := digestOf(head, statements)
	old, known, err := b.held(r.Source, r.ID)
	if err != nil {
		return err
	}
	if known && (bytes.Equal(old.hash, hash) || (old.modified > stamp(r.Modified) && !r.Modified.IsZero())) {
		return nil
	}
	if b.baseline[r.Source] {
		if err := b.noteFixes(r, old, known); err != nil {
			return err
		}
	}
	if err := b.write(r, head, statements, hash, old, known); err != nil {
		return fmt.Errorf("store: write %s of %s: %w", r.ID, r.Source, err)
	}
	return nil
}

// firstLoad is how long the first load of a source may take: publishers cut their
// feeds into years and months, and whoever fills a store imports them one after the
// other. It is over before the next morning.
const firstLoad = 12 * time.Hour

// meet registers a source when its first record comes.
func (b *batch) meet(source string) error {
	if _, met := b.baseline[source]; met {
		return nil
	}
	first := b.at
	row, err := b.queryRow(`SELECT first FROM sources WHERE name = ?`, source)
	if err == nil {
		err = row.Scan(&first)
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("store: source %s: %w", source, err)
	}
	b.baseline[source] = unstamp(b.at).Sub(unstamp(first)) >= firstLoad
	return b.exec(`INSERT INTO sources (name, files, imported, first) VALUES (?, 1, ?, ?)
		ON CONFLICT (name) DO UPDATE SET files = files + 1, imported = excluded.imported`, source, b.at, b.at)
}

func (b *batch) held(source, name string) (h held, known bool, err error) {
	row, err := b.queryRow(`SELECT id, vulnerabilities, modified, hash FROM records WHERE source = ? AND name = ?`, source, name)
	if err != nil {
		return h, false, err
	}
	err = row.Scan(&h.id, &h.vulnerabilities, &h.modified, &h.hash)
	if errors.Is(err, sql.ErrNoRows) {
		return h, false, nil
	}
	return h, err == nil, err
}

func (b *batch) write(r vuln.Record, head []byte, statements []statement, hash []byte, old held, known bool) error {
	vulns := strings.Join(r.Vulnerabilities, " ")
	id := old.id
	if known {
		if err := b.forget(old); err != nil {
			return err
		}
		if err := b.exec(`UPDATE records SET vulnerabilities = ?, modified = ?, withdrawn = ?, hash = ?, file = ? WHERE id = ?`,
			vulns, stamp(r.Modified), stamp(r.Withdrawn), hash, b.file, id); err != nil {
			return err
		}
	} else {
		row, err := b.queryRow(`INSERT INTO records (source, name, vulnerabilities, modified, withdrawn, hash, file)
			VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id`,
			r.Source, r.ID, vulns, stamp(r.Modified), stamp(r.Withdrawn), hash, b.file)
		if err != nil {
			return err
		}
		if err := row.Scan(&id); err != nil {
			return err
		}
	}
	if err := b.exec(`INSERT OR REPLACE INTO bodies (record, body) VALUES (?, ?)`, id, pack(head)); err != nil {
		return err
	}
	for _, v := range r.Vulnerabilities {
		b.dirty[v] = true
		if err := b.exec(`INSERT OR IGNORE INTO mentions (vulnerability, record) VALUES (?, ?)`, v, id); err != nil {
			return err
		}
	}
	for seq, s := range statements {
		if err := b.exec(`INSERT INTO statements (kind, name, record, seq, body) VALUES (?, ?, ?, ?, ?)`,
			s.kind, s.name, id, seq, s.body); err != nil {
			return err
		}
	}
	return nil
}

// forget takes away what an older version of a record said.
func (b *batch) forget(old held) error {
	for v := range strings.FieldsSeq(old.vulnerabilities) {
		b.dirty[v] = true
		if err := b.exec(`DELETE FROM mentions WHERE vulnerability = ? AND record = ?`, v, old.id); err != nil {
			return err
		}
	}
	return b.exec(`DELETE FROM statements WHERE record = ?`, old.id)
}

// noteFixes records the packages for which r names a fix that the store did not know.
func (b *batch) noteFixes(r vuln.Record, old held, known bool) error {
	fixes := fixesOf(r.Affected)
	if len(fixes) == 0 {
		return nil
	}
	if known {
		before, err := b.statements(old.id)
		if err != nil {
			return err
		}
		var prior vuln.Record
		for _, s := range before {
			if err := join(&prior, s); err != nil {
				return err
			}
		}
		had := fixesOf(prior.Affected)
		fixes = slices.DeleteFunc(fixes, func(f string) bool { return slices.Contains(had, f) })
	}
	for _, v := range r.Vulnerabilities {
		for _, f := range fixes {
			b.news = append(b.news, vuln.Change{Vulnerability: v, Kind: vuln.ChangeFixed, Source: r.Source, New: f})
		}
	}
	return nil
}

// fixesOf lists "ecosystem package version" of every fix named.
func fixesOf(affected []vuln.Affected) []string {
	var out []string
	for _, a := range affected {
		for _, rg := range a.Ranges {
			for _, e := range rg.Events {
				if e.Fixed != "" && rg.Kind != "GIT" {
					out = append(out, a.Ecosystem+" "+a.Package+" "+e.Fixed)
				}
			}
		}
	}
	return out
}

func (b *batch) statements(record int64) ([]statement, error) {
	s, err := b.prepare(`SELECT kind, name, body FROM statements WHERE record = ? ORDER BY seq`)
	if err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(b.ctx, record)
	if err != nil {
		return nil, err
	}
	return scanStatements(rows)
}

func scanStatements(rows *sql.Rows) ([]statement, error) {
	defer rows.Close()
	var out []statement
	for rows.Next() {
		var s statement
		if err := rows.Scan(&s.kind, &s.name, &s.body); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

// EPSS takes one score. The newest day's score stays.
func (b *batch) EPSS(e vuln.EPSS) error {
	if err := b.meet("epss"); err != nil {
		return err
	}
	row, err := b.queryRow(`SELECT score, day FROM epss WHERE cve = ?`, e.CVE)
	if err != nil {
		return err
	}
	var score float64
	var day int64
	err = row.Scan(&score, &day)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("store: epss of %s: %w", e.CVE, err)
	}
	if err == nil && day > stamp(e.Date) {
		return nil
	}
	if err == nil && e.Score-score >= scoreJump {
		b.news = append(b.news, vuln.Change{Vulnerability: e.CVE, Kind: vuln.ChangeScored, Source: "epss",
			Old: fmt.Sprintf("EPSS %.3f", score), New: fmt.Sprintf("EPSS %.3f", e.Score)})
	}
	return b.exec(`INSERT INTO epss (cve, score, percentile, day, model) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (cve) DO UPDATE SET score = excluded.score, percentile = excluded.percentile, day = excluded.day, model = excluded.model`,
		e.CVE, e.Score, e.Percentile, stamp(e.Date), e.Model)
}

// scoreJump is the rise of an EPSS score worth telling an administrator: daily noise
// is mostly below it.
const scoreJump = 0.1

// Reject keeps the reason why a record was not taken.
func (b *batch) Reject(r vuln.Reject) error {
	if r.Source != "" {
		if err := b.meet(r.Source); err != nil {
			return err
		}
	}
	return b.exec(`INSERT INTO rejects (file, path, entry, offset, source, name, reason) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		b.file, r.Path, r.Entry, r.Offset, r.Source, r.ID, r.Reason)
}

// hushSample takes out what the built-in sample says about an ecosystem, and about
// vendor and CPE products, as soon as a real source speaks about it: the sample is
// small and old, and would name vulnerabilities the real source knows to be fixed.
func (b *batch) hushSample() error {
	return b.exec(`DELETE FROM statements WHERE record IN (SELECT id FROM records WHERE source = ?1) AND EXISTS (
		SELECT 1 FROM statements s JOIN records r ON r.id = s.record WHERE s.kind = statements.kind AND r.source <> ?1)`, store.Sample)
}

// Commit recomputes what the file touched and makes everything visible at once.
func (b *batch) Commit() error {
	if err := b.hushSample(); err != nil {
		b.tx.Rollback()
		return fmt.Errorf("store: built-in sample: %w", err)
	}
	if err := b.derive(); err != nil {
		b.tx.Rollback()
		return fmt.Errorf("store: digests: %w", err)
	}
	if err := b.tx.Commit(); err != nil {
		return fmt.Errorf("store: commit: %w", err)
	}
	return nil
}

// Rollback leaves the store as it was before Begin.
func (b *batch) Rollback() error { return b.tx.Rollback() }

func digestOf(head []byte, statements []statement) []byte {
	h := sha256.New()
	h.Write(head)
	for _, s := range statements {
		fmt.Fprintf(h, "\x00%s\x00%s\x00", s.kind, s.name)
		h.Write(s.body)
	}
	return h.Sum(nil)
}
