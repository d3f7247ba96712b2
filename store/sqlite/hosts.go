package sqlite

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/kannuki/kannuki/host"
)

// PutHost implements store.Store. An older inventory never replaces a newer one.
func (db *DB) PutHost(ctx context.Context, inv host.Inventory) (time.Time, error) {
	id := cmp.Or(inv.Host.ID, inv.Host.Name)
	if id == "" {
		return time.Time{}, fmt.Errorf("store: inventory has neither host id nor name")
	}
	text, err := json.Marshal(inv)
	if err != nil {
		return time.Time{}, fmt.Errorf("store: encode inventory of %s: %w", id, err)
	}
	var first int64
	row := db.write.QueryRowContext(ctx, `INSERT INTO hosts (id, name, first, collected, body) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET
			name = CASE WHEN excluded.collected >= collected THEN excluded.name ELSE name END,
			body = CASE WHEN excluded.collected >= collected THEN excluded.body ELSE body END,
			collected = max(collected, excluded.collected)
		RETURNING first`, id, inv.Host.Name, stamp(db.now()), stamp(inv.Collected), pack(text))
	if err := row.Scan(&first); err != nil {
		return time.Time{}, fmt.Errorf("store: keep inventory of %s: %w", id, err)
	}
	return unstamp(first), nil
}

// Hosts implements store.Store.
func (db *DB) Hosts(ctx context.Context, visit func(inv host.Inventory, first time.Time) error) error {
	rows, err := db.read.QueryContext(ctx, `SELECT first, body FROM hosts ORDER BY name, id`)
	if err != nil {
		return fmt.Errorf("store: hosts: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var first int64
		var body []byte
		var inv host.Inventory
		if err := rows.Scan(&first, &body); err != nil {
			return fmt.Errorf("store: hosts: %w", err)
		}
		if err := unpack(body, &inv); err != nil {
			return fmt.Errorf("store: inventory: %w", err)
		}
		if err := visit(inv, unstamp(first)); err != nil {
			return err
		}
	}
	return rows.Err()
}
