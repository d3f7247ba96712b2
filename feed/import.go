package feed

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Options of an import.
type Options struct {
	// Progress is told how many of all bytes on disk are read, and of which file.
	// It is called from the goroutine that called Import.
	Progress func(done, total int64, name string)
}

// Import reads feed files into sink: each of paths, and every file below those that
// are folders, in the order of their names. Every file is one Batch: it is
// committed whole or not at all. A file that is broken, cut off or no feed does not
// stop the others; its Outcome says what is the matter. The error is for what stops
// the import itself: the sink failed, or ctx ended. Then the file at hand was rolled
// back, and the outcomes are those of the files before it.
func Import(ctx context.Context, paths []string, sink Sink, opt Options) ([]Outcome, error) {
	return importer{sink: sink, opt: opt, limits: defaultLimits(), decoders: decoders()}.run(ctx, paths)
}

type importer struct {
	sink     Sink
	opt      Options
	limits   limits
	decoders map[Format]decoder

	done, total int64 // bytes on disk
}

func (im importer) run(ctx context.Context, paths []string) ([]Outcome, error) {
	list := find(paths)
	for _, f := range list {
		im.total += f.size
	}
	var outcomes []Outcome
	for _, f := range list {
		if err := ctx.Err(); err != nil {
			return outcomes, err
		}
		out, err := im.one(ctx, f)
		if err != nil {
			return outcomes, err
		}
		outcomes = append(outcomes, out)
		im.done += f.size
		im.progress(0, f.path)
	}
	return outcomes, nil
}

func (im importer) progress(position int64, path string) {
	if im.opt.Progress != nil {
		im.opt.Progress(im.done+position, im.total, path)
	}
}

// found is a file to read, or why there is none.
type found struct {
	path string
	size int64
	left string // why it is left alone
	err  error
}

// find lists the files of paths. Symbolic links given by the caller are followed,
// those inside a folder are not: they may lead out of it.
func find(paths []string) []found {
	var list []found
	for _, p := range paths {
		info, err := os.Stat(p)
		switch {
		case err != nil:
			list = append(list, found{path: p, err: err})
		case info.IsDir():
			list = append(list, walk(p)...)
		case !info.Mode().IsRegular():
			list = append(list, found{path: p, left: "not a regular file"})
		default:
			list = append(list, found{path: p, size: info.Size()})
		}
	}
	return list
}

func walk(root string) []found {
	var list []found
	// The separator makes a root that is a link be followed.
	_ = filepath.WalkDir(root+string(filepath.Separator), func(p string, e fs.DirEntry, err error) error {
		hidden := strings.HasPrefix(filepath.Base(p), ".") && p != root+string(filepath.Separator)
		switch {
		case err != nil:
			list = append(list, found{path: p, err: err})
		case e.IsDir() && hidden:
			list = append(list, found{path: p, left: "hidden folder"})
			return filepath.SkipDir
		case e.IsDir():
		case hidden:
			list = append(list, found{path: p, left: "hidden file"})
		case e.Type()&fs.ModeSymlink != 0:
			list = append(list, found{path: p, left: "symbolic link inside a folder: not followed"})
		case !e.Type().IsRegular():
			list = append(list, found{path: p, left: "not a regular file"})
		default:
			f := found{path: p}
			if info, err := e.Info(); err != nil {
				f.err = err
			} else {
				f.size = info.Size()
			}
			list = append(list, f)
		}
		return nil
	})
	return list
}

// one imports one file. Its error stops the whole import.
func (im importer) one(ctx context.Context, f found) (Outcome, error) {
	out := Outcome{File: File{Path: f.path, Size: f.size}, Status: LeftAlone}
	if f.left != "" {
		out.Left = map[string]int{f.left: 1}
		return out, nil
	}
	err := f.err
	var src *source
	if err == nil {
		src, err = open(ctx, f.path)
	}
	if err != nil {
		return failed(out, err), ctx.Err()
	}
	defer src.file.Close()
	out.File = src.File
	batch, err := im.sink.Begin(ctx, src.File)
	if errors.Is(err, ErrUnchanged) {
		out.Status = Unchanged
		return out, nil
	}
	if err != nil {
		return out, fmt.Errorf("%s: %w", f.path, err)
	}
	return im.fill(ctx, batch, src, out)
}

// fill reads the file into its batch, and ends the batch.
func (im importer) fill(ctx context.Context, batch Batch, src *source, out Outcome) (Outcome, error) {
	result, broke, err := im.read(ctx, batch, src)
	if err == nil && broke == nil {
		broke = src.unchanged()
	}
	if ctx.Err() != nil {
		err = ctx.Err() // whatever broke because of it
	}
	nothing := len(result.Formats) == 0 && result.Rejected == 0
	if err != nil || broke != nil || nothing {
		if back := batch.Rollback(); back != nil && err == nil {
			err = back
		}
	} else {
		err = batch.Commit()
	}
	switch {
	case err != nil:
		return out, fmt.Errorf("%s: %w", src.Path, err)
	case broke != nil:
		return failed(out, broke), nil
	}
	result.File, result.Status = out.File, Imported
	if nothing {
		result.Status = LeftAlone
	}
	return result, nil
}

func failed(out Outcome, err error) Outcome {
	out.Status, out.Err = Failed, err.Error()
	if !strings.HasPrefix(out.Err, out.File.Path) {
		out.Err = out.File.Path + ": " + out.Err
	}
	return out
}

// source is an opened file whose bytes have been summed.
type source struct {
	File
	file *os.File
	info fs.FileInfo
}

// open opens and sums a file. The sum comes first: with it the sink knows whether
// the file needs to be read at all.
func open(ctx context.Context, path string) (*source, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: no longer a regular file", path)
	}
	sum := sha256.New()
	if err == nil {
		_, err = io.Copy(sum, &interruptible{ctx, f})
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &source{File{Path: path, Size: info.Size(), SHA256: hex.EncodeToString(sum.Sum(nil))}, f, info}, nil
}

// unchanged makes sure that what was read is what was summed.
func (s *source) unchanged() error {
	now, err := s.file.Stat()
	if err != nil {
		return err
	}
	if now.Size() != s.info.Size() || !now.ModTime().Equal(s.info.ModTime()) {
		return errors.New("it changed while it was read (still being fetched?): import it again")
	}
	return nil
}

// interruptible stops reading when ctx ends.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i *interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(p)
}
