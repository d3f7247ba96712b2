package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/store"
	"github.com/kannuki/kannuki/triage"
	"github.com/kannuki/kannuki/vuln"
)

// perQuery bounds the parameters of one IN list.
const perQuery = 400

// Affected implements triage.Records.
func (db *DB) Affected(ctx context.Context, ecosystems, packages []string) (map[string][]triage.Statement, error) {
	out := make(map[string][]triage.Statement, len(packages))
	for _, eco := range ecosystems {
		err := db.eachStatement(ctx, eco, packages, func(name string, r vuln.Record, body []byte) error {
			s := triage.Statement{Source: r.Source, Record: r.ID, Vulnerabilities: r.Vulnerabilities}
			if err := unpackAffected(body, &s.Affected); err != nil {
				return err
			}
			s.Ecosystem, s.Package = eco, name
			out[name] = append(out[name], s)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Products implements triage.Records.
func (db *DB) Products(ctx context.Context, names []string) ([]triage.Listing, error) {
	var out []triage.Listing
	err := db.eachStatement(ctx, kindProduct, names, func(name string, r vuln.Record, body []byte) error {
		l := triage.Listing{Source: r.Source, Record: r.ID, Vulnerabilities: r.Vulnerabilities}
		if err := unpack(body, &l.Product); err != nil {
			return err
		}
		l.Name = name
		out = append(out, l)
		return nil
	})
	return out, err
}

// eachStatement visits the statements of one kind with these names, those of one record
// about one name together. Of the record only source, id and vulnerabilities are filled.
func (db *DB) eachStatement(ctx context.Context, kind string, names []string, visit func(name string, r vuln.Record, body []byte) error) error {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	for part := range slices.Chunk(names, perQuery) {
		rows, err := db.read.QueryContext(ctx, `SELECT s.name, s.body, r.source, r.name, r.vulnerabilities
			FROM statements s CROSS JOIN records r ON r.id = s.record
			WHERE s.kind = ? AND s.name IN (`+marks(len(part))+`) AND r.withdrawn = 0`, append([]any{kind}, anys(part)...)...)
		if err != nil {
			return fmt.Errorf("store: statements of %s: %w", kind, err)
		}
		if err := scanEach(rows, visit); err != nil {
			return fmt.Errorf("store: statements of %s: %w", kind, err)
		}
	}
	return nil
}

func scanEach(rows *sql.Rows, visit func(name string, r vuln.Record, body []byte) error) error {
	defer rows.Close()
	var name, source, record, vulns string
	var body sql.RawBytes
	for rows.Next() {
		if err := rows.Scan(&name, &body, &source, &record, &vulns); err != nil {
			return err
		}
		r := vuln.Record{Source: source, ID: record}
		if vulns == record {
			r.Vulnerabilities = []string{record}
		} else {
			r.Vulnerabilities = strings.Fields(vulns)
		}
		if err := visit(name, r, body); err != nil {
			return fmt.Errorf("%s: %w", record, err)
		}
	}
	return rows.Err()
}

// Configured implements triage.Records.
func (db *DB) Configured(ctx context.Context, products []string) ([]vuln.Record, error) {
	var out []vuln.Record
	err := db.RecordsOf(ctx, "", products, func(r vuln.Record) error {
		if len(r.Configurations) > 0 {
			out = append(out, r)
		}
		return nil
	})
	return out, err
}

// RecordsOf implements store.Store; an empty source means all.
func (db *DB) RecordsOf(ctx context.Context, source string, products []string, visit func(vuln.Record) error) error {
	seen := map[int64]bool{}
	for part := range slices.Chunk(products, perQuery) {
		args := append([]any{kindCPE, kindProduct}, anys(part)...)
		rows, err := db.read.QueryContext(ctx, `SELECT DISTINCT s.record FROM statements s JOIN records r ON r.id = s.record
			WHERE s.kind IN (?, ?) AND s.name IN (`+marks(len(part))+`) AND r.withdrawn = 0 AND (? = '' OR r.source = ?)
			ORDER BY s.record`, append(args, source, source)...)
		if err != nil {
			return fmt.Errorf("store: records of %v: %w", part, err)
		}
		ids, err := scanInts(rows)
		if err != nil {
			return fmt.Errorf("store: records of %v: %w", part, err)
		}
		for _, id := range ids {
			if seen[id] {
				continue
			}
			seen[id] = true
			r, err := db.record(ctx, id)
			if err == nil {
				err = visit(r)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func scanInts(rows *sql.Rows) ([]int64, error) {
	defer rows.Close()
	var out []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, rows.Err()
}

// record reads one whole record.
func (db *DB) record(ctx context.Context, id int64) (vuln.Record, error) {
	var r vuln.Record
	var body []byte
	if err := db.read.QueryRowContext(ctx, `SELECT body FROM bodies WHERE record = ?`, id).Scan(&body); err != nil {
		return r, fmt.Errorf("store: record %d: %w", id, err)
	}
	if err := unpack(body, &r); err != nil {
		return r, fmt.Errorf("store: record %d: %w", id, err)
	}
	rows, err := db.read.QueryContext(ctx, `SELECT kind, name, body FROM statements WHERE record = ? ORDER BY seq`, id)
	if err != nil {
		return r, fmt.Errorf("store: statements of record %d: %w", id, err)
	}
	statements, err := scanStatements(rows)
	for _, s := range statements {
		if err == nil {
			err = join(&r, s)
		}
	}
	return r, err
}

// ProductNames implements store.Store.
func (db *DB) ProductNames(ctx context.Context, source string) ([]string, error) {
	kind := kindCPE
	if source == "msrc" {
		kind = kindProduct
	}
	rows, err := db.read.QueryContext(ctx, `SELECT DISTINCT name FROM statements WHERE kind = ? ORDER BY name`, kind)
	if err != nil {
		return nil, fmt.Errorf("store: product names: %w", err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, fmt.Errorf("store: product names: %w", err)
		}
		out = append(out, name)
	}
	return out, rows.Err()
}

// Digests implements triage.Records.
func (db *DB) Digests(ctx context.Context, ids []string) (map[string]*triage.Digest, error) {
	out := make(map[string]*triage.Digest, len(ids))
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	for part := range slices.Chunk(ids, perQuery) {
		rows, err := db.read.QueryContext(ctx, `SELECT d.vulnerability, d.known, d.body, coalesce(e.score, 0)
			FROM digests d LEFT JOIN epss e ON e.cve = d.vulnerability
			WHERE d.vulnerability IN (`+marks(len(part))+`)`, anys(part)...)
		if err != nil {
			return nil, fmt.Errorf("store: digests: %w", err)
		}
		if err := scanDigests(rows, out); err != nil {
			return nil, fmt.Errorf("store: digests: %w", err)
		}
	}
	return out, nil
}

func scanDigests(rows *sql.Rows, out map[string]*triage.Digest) error {
	defer rows.Close()
	for rows.Next() {
		var id string
		var known int64
		var body sql.RawBytes
		d := new(triage.Digest)
		if err := rows.Scan(&id, &known, &body, &d.EPSS); err != nil {
			return err
		}
		score := d.EPSS
		if err := unpack(body, d); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		d.ID, d.Known, d.EPSS = id, unstamp(known), score
		out[id] = d
	}
	return rows.Err()
}

// Ecosystems implements triage.Records.
func (db *DB) Ecosystems(ctx context.Context) (map[string]bool, error) {
	out := map[string]bool{}
	// From each kind to the next by the key: DISTINCT would read the whole table.
	rows, err := db.read.QueryContext(ctx, `WITH RECURSIVE k (kind) AS (SELECT min(kind) FROM statements
		UNION ALL SELECT (SELECT min(s.kind) FROM statements s WHERE s.kind > k.kind) FROM k WHERE k.kind IS NOT NULL)
		SELECT kind FROM k WHERE kind IS NOT NULL`)
	if err != nil {
		return nil, fmt.Errorf("store: ecosystems: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var kind string
		if err := rows.Scan(&kind); err != nil {
			return nil, fmt.Errorf("store: ecosystems: %w", err)
		}
		out[kind] = kind != kindProduct && kind != kindCPE
	}
	return out, rows.Err()
}

// Vulnerability implements store.Store.
func (db *DB) Vulnerability(ctx context.Context, id string) (vuln.Vulnerability, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT record FROM mentions WHERE vulnerability = ?
		UNION SELECT id FROM records WHERE name = ?`, id, id)
	if err != nil {
		return vuln.Vulnerability{}, fmt.Errorf("store: %s: %w", id, err)
	}
	ids, err := scanInts(rows)
	if err != nil {
		return vuln.Vulnerability{}, fmt.Errorf("store: %s: %w", id, err)
	}
	if len(ids) == 0 {
		return vuln.Vulnerability{}, fmt.Errorf("%s: %w", id, store.ErrUnknown)
	}
	records := make([]vuln.Record, len(ids))
	for i, n := range ids {
		if records[i], err = db.record(ctx, n); err != nil {
			return vuln.Vulnerability{}, err
		}
	}
	v := vuln.Merge(id, records)
	v.EPSS, err = db.epss(ctx, id)
	return v, err
}

func (db *DB) epss(ctx context.Context, cve string) (*vuln.EPSS, error) {
	e := vuln.EPSS{CVE: cve}
	var day int64
	err := db.read.QueryRowContext(ctx, `SELECT score, percentile, day, model FROM epss WHERE cve = ?`, cve).
		Scan(&e.Score, &e.Percentile, &day, &e.Model)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	e.Date = unstamp(day)
	return &e, err
}

// Sources implements store.Store.
func (db *DB) Sources(ctx context.Context) ([]vuln.SourceStatus, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT s.name, s.files, s.imported,
		CASE s.name WHEN 'epss' THEN (SELECT count(*) FROM epss) ELSE (SELECT count(*) FROM records r WHERE r.source = s.name) END,
		(SELECT count(*) FROM rejects j WHERE j.source = s.name),
		CASE s.name WHEN 'epss' THEN (SELECT coalesce(max(day), 0) FROM epss) ELSE (SELECT coalesce(max(modified), 0) FROM records r WHERE r.source = s.name) END
		FROM sources s ORDER BY s.name`)
	if err != nil {
		return nil, fmt.Errorf("store: sources: %w", err)
	}
	defer rows.Close()
	out := []vuln.SourceStatus{}
	for rows.Next() {
		var s vuln.SourceStatus
		var imported, newest int64
		if err := rows.Scan(&s.Source, &s.Files, &imported, &s.Records, &s.Rejected, &newest); err != nil {
			return nil, fmt.Errorf("store: sources: %w", err)
		}
		s.Imported, s.Newest = unstamp(imported), unstamp(newest)
		out = append(out, s)
	}
	return out, rows.Err()
}

// Rejects implements store.Store.
func (db *DB) Rejects(ctx context.Context) ([]vuln.Reject, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT path, entry, offset, source, name, reason FROM rejects ORDER BY rowid`)
	if err != nil {
		return nil, fmt.Errorf("store: rejects: %w", err)
	}
	defer rows.Close()
	out := []vuln.Reject{}
	for rows.Next() {
		var r vuln.Reject
		if err := rows.Scan(&r.Path, &r.Entry, &r.Offset, &r.Source, &r.ID, &r.Reason); err != nil {
			return nil, fmt.Errorf("store: rejects: %w", err)
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// Changes implements store.Store.
func (db *DB) Changes(ctx context.Context, since time.Time) ([]vuln.Change, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT at, vulnerability, kind, source, old, new FROM changes WHERE at >= ? ORDER BY id`, stamp(since))
	if err != nil {
		return nil, fmt.Errorf("store: changes: %w", err)
	}
	defer rows.Close()
	out := []vuln.Change{}
	for rows.Next() {
		var c vuln.Change
		var at int64
		if err := rows.Scan(&at, &c.Vulnerability, &c.Kind, &c.Source, &c.Old, &c.New); err != nil {
			return nil, fmt.Errorf("store: changes: %w", err)
		}
		c.At = unstamp(at)
		out = append(out, c)
	}
	return out, rows.Err()
}

func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?,", n), ",") }

func anys(ss []string) []any {
	out := make([]any, len(ss))
	for i, s := range ss {
		out[i] = s
	}
	return out
}
