package vuln

import "time"

// File is one feed file as it was found.
type File struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`   // bytes on disk
	SHA256 string `json:"sha256"` // of the bytes on disk, hex
}

// Reject is one record that could not be taken, and why.
type Reject struct {
	Path   string `json:"path"`             // the file
	Entry  string `json:"entry,omitempty"`  // the member inside an archive
	Offset int64  `json:"offset,omitempty"` // byte in the (decompressed) entry, where known
	Source string `json:"source"`           // the feed: vuln.Record.Source
	ID     string `json:"id,omitempty"`
	Reason string `json:"reason"`
}

// SourceStatus is what the store holds of one source.
type SourceStatus struct {
	Source   string    `json:"source"`
	Files    int       `json:"files"`
	Records  int       `json:"records"`
	Rejected int       `json:"rejected"`
	Imported time.Time `json:"imported"`        // last import
	Newest   time.Time `json:"newest,omitzero"` // newest modification date of its records
}
