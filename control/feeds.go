// Package control is the end that knows: it fills the store from feeds, judges hosts
// against it, and tells what changed. It holds no state of its own beside the store,
// so that several of it may run side by side.
package control

import (
	"context"
	"errors"

	"github.com/kannuki/kannuki/feed"
	"github.com/kannuki/kannuki/store"
	"github.com/kannuki/kannuki/vuln"
)

// Import reads feed files into the store. It goes on after a broken file: the
// outcomes tell what became of each.
func Import(ctx context.Context, s store.Store, paths []string, opt feed.Options) ([]feed.Outcome, error) {
	return feed.Import(ctx, paths, sink{s}, opt)
}

// sink lends the store to feed in feed's words.
type sink struct{ store store.Store }

func (k sink) Begin(ctx context.Context, f vuln.File) (feed.Batch, error) {
	b, err := k.store.Begin(ctx, f)
	if errors.Is(err, store.ErrUnchanged) {
		return nil, feed.ErrUnchanged
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}
