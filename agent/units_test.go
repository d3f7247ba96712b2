package agent

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestANewTimerIsTold(t *testing.T) {
	dir := t.TempDir()
	changed := make(chan struct{}, 1)
	watchDirs(t.Context(), slog.New(slog.DiscardHandler), []string{dir, filepath.Join(dir, "missing")}, changed)
	select {
	case <-changed:
		t.Fatal("told before anything changed")
	default:
	}
	if err := os.WriteFile(filepath.Join(dir, "nightly.timer"), []byte("[Timer]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	case <-time.After(20 * time.Second):
		t.Fatal("a new timer was not told")
	}
}
