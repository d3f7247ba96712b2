package feed

import (
	"context"
	"sync"

	"github.com/kannuki/kannuki/vuln"
)

// memory is a Sink that keeps what was committed, and counts what was done to it.
type memory struct {
	mu      sync.Mutex
	sums    map[string]bool
	records map[string]vuln.Record // by source and id
	scores  map[string]vuln.EPSS
	rejects []Reject

	begins, commits, rollbacks int
	// countOnly keeps no records: for benchmarks and big data.
	countOnly bool
	onRecord  func(vuln.Record) error
}

func newMemory() *memory {
	return &memory{sums: map[string]bool{}, records: map[string]vuln.Record{}, scores: map[string]vuln.EPSS{}}
}

func (m *memory) Begin(_ context.Context, f File) (Batch, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sums[f.SHA256] {
		return nil, ErrUnchanged
	}
	m.begins++
	return &pending{to: m, file: f}, nil
}

// pending is one transaction of memory.
type pending struct {
	to      *memory
	file    File
	records []vuln.Record
	scores  []vuln.EPSS
	rejects []Reject
}

func (p *pending) Record(r vuln.Record) error {
	if p.to.onRecord != nil {
		if err := p.to.onRecord(r); err != nil {
			return err
		}
	}
	if !p.to.countOnly {
		p.records = append(p.records, r)
	}
	return nil
}

func (p *pending) EPSS(e vuln.EPSS) error {
	p.scores = append(p.scores, e)
	return nil
}

func (p *pending) Reject(r Reject) error {
	p.rejects = append(p.rejects, r)
	return nil
}

func (p *pending) Commit() error {
	m := p.to
	m.mu.Lock()
	defer m.mu.Unlock()
	m.commits++
	m.sums[p.file.SHA256] = true
	for _, r := range p.records {
		m.records[r.Source+" "+r.ID] = r
	}
	for _, e := range p.scores {
		m.scores[e.CVE] = e
	}
	m.rejects = append(m.rejects, p.rejects...)
	return nil
}

func (p *pending) Rollback() error {
	p.to.mu.Lock()
	defer p.to.mu.Unlock()
	p.to.rollbacks++
	return nil
}
