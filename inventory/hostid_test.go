package inventory_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kannuki/kannuki/inventory"
)

func TestAHostsIDIsTheOneOfItsInventoryAndNotTheMachineID(t *testing.T) {
	dir := t.TempDir()
	if id, err := inventory.HostID(dir); id != "" || err != nil {
		t.Errorf("without a machine id: %q %v", id, err)
	}
	machine := strings.Repeat("0123456789abcdef", 2)
	if err := os.MkdirAll(filepath.Join(dir, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "etc", "machine-id"), []byte(machine+"\n"), 0o444); err != nil {
		t.Fatal(err)
	}
	id, err := inventory.HostID(dir)
	if err != nil || len(id) != 32 || id == machine {
		t.Errorf("%q %v", id, err)
	}
	if again, _ := inventory.HostID(dir); again != id {
		t.Errorf("%q, then %q", id, again)
	}
	if _, err := inventory.HostID(filepath.Join(dir, "none")); err == nil {
		t.Error("a folder that is not there has an id")
	}
}
