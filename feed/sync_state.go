package feed

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
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
	return writeWhole(filepath.Join(folder, stateName), append(b, '\n'))
}

// writeWhole puts a file in place so that at any moment the old or the new is there.
func writeWhole(path string, b []byte) error {
	tmp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return settle(f, err, path)
}

// settle flushes f to disk, closes it and gives it the name path; err is what went
// wrong with f so far.
func settle(f *os.File, err error, path string) error {
	if err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}
