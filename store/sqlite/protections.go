package sqlite

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/kannuki/kannuki/host"
)

// PutProtection implements store.Store.
func (db *DB) PutProtection(ctx context.Context, h host.Host, p host.Protection) error {
	id := cmp.Or(h.ID, h.Name)
	if id == "" || p.Reported.IsZero() {
		return errors.New("store: a protection needs a host and the time it was reported")
	}
	at := stamp(p.Reported)
	p.Reported = time.Time{}
	text, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("store: encode protection of %s: %w", id, err)
	}
	body := pack(text)
	tx, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("store: protection of %s: %w", id, err)
	}
	defer tx.Rollback()
	if err := putProtection(ctx, tx, id, at, body); err != nil {
		return fmt.Errorf("store: keep protection of %s: %w", id, err)
	}
	return tx.Commit()
}

func putProtection(ctx context.Context, tx *sql.Tx, id string, at int64, body []byte) error {
	var first, last int64
	var held []byte
	err := tx.QueryRowContext(ctx, `SELECT first, last, body FROM protections WHERE host = ? ORDER BY first DESC LIMIT 1`, id).Scan(&first, &last, &held)
	switch {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return err
	case at <= last:
		return nil
	case bytes.Equal(held, body):
		_, err = tx.ExecContext(ctx, `UPDATE protections SET last = ? WHERE host = ? AND first = ?`, at, id, first)
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO protections (host, first, last, body) VALUES (?, ?, ?, ?)`, id, at, at, body); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM protections WHERE host = ? AND last < ?`, id, at-remembered.Milliseconds())
	return err
}

// remembered is how long it is known what guarded a host: a year and the month a
// report about it takes.
const remembered = 400 * 24 * time.Hour

// Protection implements store.Store.
func (db *DB) Protection(ctx context.Context, h host.Host, at time.Time) (host.Protection, error) {
	list, err := db.Protections(ctx, h, at, at)
	if err != nil || len(list) == 0 {
		return host.Protection{}, err
	}
	return list[len(list)-1], nil
}

// Protections implements store.Store.
func (db *DB) Protections(ctx context.Context, h host.Host, from, to time.Time) ([]host.Protection, error) {
	id := cmp.Or(h.ID, h.Name)
	rows, err := db.read.QueryContext(ctx, `SELECT first, last, body FROM protections WHERE host = ? AND first <= ? AND first >=
		coalesce((SELECT max(first) FROM protections WHERE host = ? AND first <= ?), 0) ORDER BY first`, id, stamp(to), id, stamp(from))
	if err != nil {
		return nil, fmt.Errorf("store: protections of %s: %w", id, err)
	}
	defer rows.Close()
	var list []host.Protection
	for rows.Next() {
		var p host.Protection
		var first, last int64
		var body []byte
		if err := rows.Scan(&first, &last, &body); err != nil {
			return nil, fmt.Errorf("store: protections of %s: %w", id, err)
		}
		if err := unpack(body, &p); err != nil {
			return nil, fmt.Errorf("store: protections of %s: %w", id, err)
		}
		p.Reported = unstamp(min(last, max(first, stamp(from))))
		list = append(list, p)
	}
	return list, rows.Err()
}
