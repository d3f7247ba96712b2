package feed

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"sync"
)

// How archive members are put together for the workers: one at a time would spend
// more on handing over than on reading.
const (
	groupBytes   = 1 << 20
	groupMembers = 256
)

// pipeline reads one file: a producer walks the file, workers unpack and decode, and
// the goroutine of Import hands everything to the batch, in the file's order.
type pipeline struct {
	*unpacker
	ctx  context.Context
	path string
	jobs chan chan chunk // in the order of the file
	work chan func()
}

// read fills batch with what src holds. broke says what is wrong with the file, err
// what is wrong with the batch.
func (im importer) read(ctx context.Context, batch Batch, src *source) (out Outcome, broke, err error) {
	ctx, cancel := context.WithCancel(ctx)
	workers := runtime.GOMAXPROCS(0)
	p := &pipeline{
		unpacker: &unpacker{&budget{limits: im.limits, onDisk: src.Size}, im.decoders},
		ctx:      ctx, path: src.Path,
		jobs: make(chan chan chunk, 2*workers), work: make(chan func()),
	}
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for task := range p.work {
				task()
			}
		})
	}
	running.Go(func() { p.produce(src) })
	defer func() { // nothing may still read the file when we return
		cancel()
		for job := range p.jobs {
			for range job {
			}
		}
		running.Wait()
	}()
	for job := range p.jobs {
		for c := range job {
			if c.err != nil {
				return out, c.err, nil
			}
			if err := take(batch, c, &out); err != nil {
				return out, nil, err
			}
			im.progress(p.position.Load(), src.Path)
		}
	}
	return out, nil, nil
}

// take hands a chunk to the batch and counts it.
func take(batch Batch, c chunk, out *Outcome) error {
	for i := range c.records {
		if err := batch.Record(c.records[i]); err != nil {
			return err
		}
	}
	for i := range c.scores {
		if err := batch.EPSS(c.scores[i]); err != nil {
			return err
		}
	}
	for i := range c.rejects {
		if err := batch.Reject(c.rejects[i]); err != nil {
			return err
		}
	}
	out.Records += len(c.records) + len(c.scores)
	out.Rejected += len(c.rejects)
	for _, t := range c.tallies {
		count(&out.Formats, t.format, t.n)
		count(&out.Left, t.why, t.n)
	}
	return nil
}

// maxReasons bounds the reasons told apart: some quote what a file made up.
const maxReasons = 250

func count[K ~string](in *map[K]int, key K, n int) {
	if key == "" {
		return
	}
	if *in == nil {
		*in = map[K]int{}
	}
	if _, known := (*in)[key]; !known && len(*in) >= maxReasons {
		key = "for other reasons"
	}
	(*in)[key] += n
}

// produce walks the file and ends the pipeline.
func (p *pipeline) produce(src *source) {
	defer close(p.jobs)
	defer close(p.work)
	name := filepath.Base(src.Path)
	stream := &counting{r: &interruptible{p.ctx, src.file}, b: p.budget}
	if err := p.top(document{name: name, r: stream}, src); err != nil {
		p.here(func(*output) error { return err }, true)
	}
}

// counting tells how far the file has been read.
type counting struct {
	r io.Reader
	b *budget
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.b.position.Add(int64(n))
	return n, err
}

// top reads the file itself. src is given while the document is the file as it is
// on disk, not what came out of a layer of compression.
func (p *pipeline) top(d document, src *source) error {
	head, r, err := p.peek(d.r)
	if err != nil {
		return err
	}
	d.r = r
	switch kind := packing(head); {
	case kind == zipped && src != nil:
		p.position.Store(0)
		z, err := p.openZip(&interruptibleAt{p.ctx, src.file}, src.Size)
		if err != nil {
			return err
		}
		d.archives++
		return p.zipGroups(d, z)
	case kind == zipped:
		z, err := p.loadZip(&d)
		if err != nil {
			return err
		}
		return p.zipGroups(d, z)
	case kind == tarred:
		return p.tarGroups(d)
	case kind == plain:
		d.r = &single{r: d.r, b: p.budget}
		return p.here(func(o *output) error { return p.decode(o, d, head) }, false)
	default:
		return p.unpack(d, kind, func(inner document) error { return p.top(inner, nil) })
	}
}

// interruptibleAt stops reading when ctx ends.
type interruptibleAt struct {
	ctx context.Context
	r   io.ReaderAt
}

func (i *interruptibleAt) ReadAt(p []byte, off int64) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.ReadAt(p, off)
}

// task makes a job of do and tells the consumer where its chunks will come.
func (p *pipeline) task(do func(o *output) error, hold bool) (func(), error) {
	job := make(chan chunk, 2)
	select {
	case p.jobs <- job:
	case <-p.ctx.Done():
		return nil, p.ctx.Err()
	}
	return func() {
		defer close(job)
		o := &output{ctx: p.ctx, to: job, path: p.path, hold: hold, bound: p.held}
		err := do(o)
		if err == nil {
			err = o.flush()
		}
		if err != nil {
			_ = send(p.ctx, job, chunk{err: err}) // a consumer that is gone needs no error
		}
	}, nil
}

// here does a job on the producer's goroutine: it reads the stream the producer walks.
// The job's error goes to the consumer; the error returned only says to stop.
func (p *pipeline) here(do func(o *output) error, hold bool) error {
	task, err := p.task(do, hold)
	if err != nil {
		return err
	}
	task()
	return p.ctx.Err()
}

// later gives a job to a worker.
func (p *pipeline) later(do func(o *output) error) error {
	task, err := p.task(do, true)
	if err != nil {
		return err
	}
	select {
	case p.work <- task:
		return nil
	case <-p.ctx.Done():
		task() // it ends at once, and closes its job
		return p.ctx.Err()
	}
}

// settled hands over what complete members gave, before the next one begins.
func settled(o *output) error {
	if o.weight < streamed {
		return nil
	}
	return o.flush()
}

// zipGroups has the members of a zip read in groups. A group reads its members
// itself, so that unpacking is shared among the workers too.
func (p *pipeline) zipGroups(d document, z *zip.Reader) error {
	for files := z.File; len(files) > 0; {
		n, size, packed := 0, uint64(0), int64(0)
		for n < len(files) && n < groupMembers && (n == 0 || size+files[n].UncompressedSize64 <= groupBytes) {
			size += files[n].UncompressedSize64
			packed += int64(min(files[n].CompressedSize64, 1<<40))
			n++
		}
		group := files[:n]
		files = files[n:]
		err := p.later(func(o *output) error {
			var scratch bytes.Buffer
			for _, f := range group {
				if err := p.zipMember(o, d, f, &scratch); err != nil {
					return err
				}
				if err := settled(o); err != nil {
					return err
				}
			}
			p.position.Add(packed)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// tarGroups reads the members of a tar, which is a stream: small ones into memory and
// to the workers, large ones here.
func (p *pipeline) tarGroups(d document) error {
	var group []document
	size := 0
	give := func() error {
		members := group
		group, size = nil, 0
		if members == nil {
			return nil
		}
		return p.later(func(o *output) error {
			for _, m := range members {
				if err := p.member(o, m); err != nil {
					return err
				}
				if err := settled(o); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := p.eachTar(d, func(m document, n int64) error {
		if n > smallMember {
			if err := give(); err != nil {
				return err
			}
			return p.here(func(o *output) error { return p.member(o, m) }, true)
		}
		if _, refused := m.r.(errReader); !refused {
			data := bytes.NewBuffer(make([]byte, 0, n+1))
			if _, err := data.ReadFrom(m.r); err != nil {
				return fmt.Errorf("member %s: %w", m.entry, damaged(tarred, err))
			}
			m.r, size = data, size+data.Len()
		}
		if group = append(group, m); size < groupBytes && len(group) < groupMembers {
			return nil
		}
		return give()
	})
	if err != nil {
		return err
	}
	return give()
}
