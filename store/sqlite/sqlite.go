// Package sqlite keeps the store in one SQLite file: no server, good for one control
// machine with up to some ten thousand hosts. Writers are one at a time, readers are
// never blocked (WAL). A commit survives kill -9 of the process at any point.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/kannuki/kannuki/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// DB is an open store.
type DB struct {
	read  *sql.DB
	write *sql.DB // one connection: SQLite has one writer
	now   func() time.Time
}

var _ store.Store = (*DB)(nil)

// Open opens or creates the store at path and brings its schema up to date. now is
// the clock that stamps imports and changes. Another process may have it open too;
// its imports are waited for up to ten seconds.
func Open(ctx context.Context, path string, now func() time.Time) (*DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("store: create folder for %s: %w", path, err)
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, fmt.Errorf("store %s is a folder: name a file in it, such as --db %s", path, filepath.Join(path, "kannuki.db"))
	}
	db := &DB{now: now}
	var err error
	if db.write, err = open(path, "immediate", 1); err != nil {
		return nil, err
	}
	if err := db.migrate(ctx); err != nil {
		db.write.Close()
		return nil, fmt.Errorf("store %s: %w (another file with --db, or move this one away)", path, err)
	}
	if db.read, err = open(path, "deferred", 4); err != nil {
		db.write.Close()
		return nil, err
	}
	if err := db.rederive(ctx); err != nil {
		db.Close()
		return nil, fmt.Errorf("store %s: recompute digests: %w", path, err)
	}
	return db, nil
}

// open opens one pool. The page cache is bounded so that a big store stays within
// the memory budget (64 MiB for the writer, 16 MiB for each reader).
func open(path, lock string, conns int) (*sql.DB, error) {
	query := url.Values{"_txlock": {lock}, "_pragma": {
		"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(NORMAL)", "foreign_keys(OFF)",
		"temp_store(MEMORY)", fmt.Sprintf("cache_size(-%d)", 65536/conns), "mmap_size(268435456)",
	}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+query.Encode())
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", path, err)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

func (db *DB) migrate(ctx context.Context) error {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	// The schema is up to date on nearly every start: ask before the migration
	// library reads its tables, which costs more than a whole scan's queries.
	var version int
	newest, err := newestMigration(dir)
	if err != nil {
		return err
	}
	row := db.write.QueryRowContext(ctx, `SELECT max(version_id) FROM goose_db_version WHERE is_applied`)
	switch err := row.Scan(&version); {
	case err == nil && version == newest:
		return nil
	case err == nil && version > newest:
		// What a later schema means is not known here: writing could spoil it.
		return fmt.Errorf("written by a newer kannuki (schema %d, this one knows %d): use that one", version, newest)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db.write, dir)
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

func newestMigration(dir fs.FS) (int, error) {
	names, err := fs.Glob(dir, "*.sql")
	newest := 0
	for _, name := range names {
		var n int
		if _, err := fmt.Sscanf(name, "%05d_", &n); err != nil {
			return 0, fmt.Errorf("migration %s has no number: %w", name, err)
		}
		newest = max(newest, n)
	}
	return newest, err
}

// Close closes the store.
func (db *DB) Close() error {
	var first error
	for _, pool := range []*sql.DB{db.read, db.write} {
		if pool == nil {
			continue
		}
		if err := pool.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}
