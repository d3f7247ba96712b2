package control

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kannuki/kannuki/feed"
	"github.com/kannuki/kannuki/store"
)

// ImportBytes imports one feed file that is in memory, such as the built-in sample,
// under the given file name. It returns the number of records. Unlike Import it
// takes a broken file or record as an error: built-in content must be whole.
func ImportBytes(ctx context.Context, s store.Store, name string, content []byte) (int, error) {
	dir, err := os.MkdirTemp("", "kannuki-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return 0, err
	}
	outcomes, err := Import(ctx, s, []string{path}, feed.Options{})
	if err != nil {
		return 0, err
	}
	o := outcomes[0]
	if o.Status != feed.Imported || o.Rejected > 0 {
		return 0, fmt.Errorf("%s: %s, %d records, %d rejected %s", name, o.Status, o.Records, o.Rejected, o.Err)
	}
	return o.Records, nil
}
