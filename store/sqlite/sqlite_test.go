package sqlite_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/store"
	"github.com/kannuki/kannuki/store/sqlite"
	"github.com/kannuki/kannuki/store/storetest"
	"github.com/kannuki/kannuki/vuln"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T, now func() time.Time) store.Store {
		db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "dir with space?#", "k.db"), now)
		if err != nil {
			t.Fatal(err)
		}
		return db
	})
}

// The child of TestKilledImportLeavesWhatWasCommitted: it commits one file, starts a
// second and says so, then waits to be killed.
func TestMain(m *testing.M) {
	if path := os.Getenv("KANNUKI_TEST_IMPORT"); path != "" {
		importForever(path)
	}
	os.Exit(m.Run())
}

func importForever(path string) {
	ctx := context.Background()
	db, err := sqlite.Open(ctx, path, time.Now)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for file := 1; ; file++ {
		b, err := db.Begin(ctx, vuln.File{Path: "f", SHA256: fmt.Sprint(file)})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		for i := range 200 {
			if err := b.Record(vuln.Record{Source: "nvd", ID: fmt.Sprintf("CVE-2026-%d", file*1000+i)}); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
		}
		if err := b.Commit(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("committed", file)
	}
}

func TestKilledImportLeavesWhatWasCommitted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k.db")
	for round := range 3 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "KANNUKI_TEST_IMPORT="+path+fmt.Sprint(round))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		committed := 0
		lines := bufio.NewScanner(out)
		for lines.Scan() && committed < 3+round {
			if !strings.HasPrefix(lines.Text(), "committed ") {
				t.Fatalf("child said %q", lines.Text())
			}
			committed++
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			committed++ // said before the kill arrived
		}
		cmd.Wait()
		db, err := sqlite.Open(t.Context(), path+fmt.Sprint(round), time.Now)
		if err != nil {
			t.Fatalf("after kill -9: %v", err)
		}
		sources, err := db.Sources(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		db.Close()
		got := sources[0].Records
		if got%200 != 0 || got < committed*200 || got > (committed+1)*200 {
			t.Errorf("%d files were committed before kill -9, %d records are there: want whole files of 200, all committed ones", committed, got)
		}
	}
}

func TestFileThatIsNoDatabaseIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(path, []byte(strings.Repeat("these are my notes\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := sqlite.Open(t.Context(), path, time.Now)
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "--db") {
		t.Errorf("error %v, want the path and the way out", err)
	}
	if text, _ := os.ReadFile(path); !strings.HasPrefix(string(text), "these are my notes") {
		t.Error("the file was changed")
	}
}

func TestDatabaseOfANewerProgramIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k.db")
	db, err := sqlite.Open(t.Context(), path, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := raw.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)`); err != nil {
		t.Fatal(err)
	}
	if err := raw.Close(); err != nil {
		t.Fatal(err)
	}
	if db, err = sqlite.Open(t.Context(), path, time.Now); err == nil {
		db.Close()
		t.Fatal("opened a database whose schema it does not know")
	}
	if !strings.Contains(err.Error(), "newer kannuki") || !strings.Contains(err.Error(), path) {
		t.Errorf("error %q names neither the file nor the reason", err)
	}
}
