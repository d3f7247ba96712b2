package feed

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/kannuki/kannuki/internal/durable"
)

// syncState is what is known of a source between runs. It lies in the source's folder
// as stateName. Lost, it costs a download and nothing else.
type syncState struct {
	Checked time.Time `json:"checked,omitzero"` // last run without error
	// Through is how far an incremental source has been read.
	Through time.Time            `json:"through,omitzero"`
	Files   map[string]fileState `json:"files"`
}

// fileState is the version of a file in the cache, in the publisher's terms.
type fileState struct {
	URL          string `json:"url"`
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"last_modified,omitempty"`
	Size         int64  `json:"size"`
	// Version is the publisher's own mark where there is one: a checksum, a date.
	Version string `json:"version,omitempty"`
}

const stateName = ".sync.json"

func loadState(folder string) (*syncState, error) {
	st := &syncState{Files: map[string]fileState{}}
	path := filepath.Join(folder, stateName)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return st, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, st); err != nil {
		return nil, fmt.Errorf("%s is damaged (%v): delete it; everything is then downloaded once more", path, err)
	}
	if st.Files == nil {
		st.Files = map[string]fileState{}
	}
	return st, nil
}

func (st *syncState) save(folder string) error {
	b, err := json.MarshalIndent(st, "", "\t")
	if err != nil {
		return err
	}
	return durable.Replace(filepath.Join(folder, stateName), append(b, '\n'), 0o644)
}
