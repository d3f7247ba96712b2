// Package feed reads vulnerability feeds as their publishers ship them and hands
// every record on in the words of vuln. It recognises the format from the content,
// never from the name; it reads files, directories and archives (zip, tar, gz, zst)
// within stated bounds; it never takes a truncated file for a whole one; and it
// counts what it rejects. Children (feed/osv, feed/nvd, …) each know one publisher.
package feed

import (
	"context"
	"errors"

	"github.com/kannuki/kannuki/vuln"
)

// Sink takes what feed files say. The store implements it.
type Sink interface {
	// Begin starts one file: everything until Commit is one transaction. It returns
	// ErrUnchanged when a file of this content was imported before and is still in force.
	Begin(ctx context.Context, f File) (Batch, error)
}

// Batch is the transaction of one file. Its methods are called from one goroutine.
type Batch interface {
	Record(vuln.Record) error
	EPSS(vuln.EPSS) error
	Reject(Reject) error
	Commit() error
	Rollback() error
}

// ErrUnchanged is returned by Sink.Begin for a file that is already imported.
var ErrUnchanged = errors.New("already imported, unchanged")

// File, Reject and SourceStatus are words that the store shares.
type (
	File         = vuln.File
	Reject       = vuln.Reject
	SourceStatus = vuln.SourceStatus
)

// Outcome is what became of one file.
type Outcome struct {
	File     File           `json:"file"`
	Status   Status         `json:"status"`
	Formats  map[Format]int `json:"formats,omitempty"` // members read, per format
	Records  int            `json:"records"`
	Rejected int            `json:"rejected"`
	// Left says what was left alone and why, with a count: archive members or the file itself.
	Left map[string]int `json:"left,omitempty"`
	// Err says what broke a failed file: file, offset, reason.
	Err string `json:"error,omitempty"`
}

// Status of a file.
type Status string

// What can become of a file.
const (
	Imported  Status = "imported"
	Unchanged Status = "unchanged"
	LeftAlone Status = "left"   // no feed we know
	Failed    Status = "failed" // broken: nothing of it was taken
)

// Format is a feed format we know.
type Format string

// The formats.
const (
	OSV     Format = "osv"
	NVD11   Format = "nvd-feed-1.1"
	NVD20   Format = "nvd-api-2.0"
	CVE5    Format = "cve-5"
	KEVJSON Format = "kev-json"
	KEVCSV  Format = "kev-csv"
	EPSSCSV Format = "epss-csv"
	CVRF    Format = "msrc-cvrf"
	RedHat  Format = "redhat-securitydata"
	JVNRSS  Format = "jvnrss"
	VULDEF  Format = "vuldef"
	// Native is kannuki's own record format (JSON lines of vuln.Record), for the
	// built-in sample and for carrying records to a network without any other feed.
	Native Format = "kannuki-records"
)
