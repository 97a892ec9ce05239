package inspector

import (
	"context"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/cache"
)

// figures are how much the tables hold. Counting takes as long as the store needs for it, so it
// goes on without those who look: these get what was counted last. It is never done twice at once.
type figures struct {
	inspector *Inspector

	mu       sync.Mutex
	closed   bool
	stale    bool // something was changed since the count began
	counting chan struct{}
	known    []cache.Summary
	at       time.Time // when they were counted; zero: never
	took     time.Duration
	err      error // of the last count
}

// patience is how long a page waits for a count.
const patience = 300 * time.Millisecond

// figureSet is what is known of the figures.
type figureSet struct {
	tables   []cache.Summary
	at       time.Time // zero: nothing is known yet
	counting bool      // newer ones are being counted
	err      error
}

// get returns what is known, after a count or as long as the patience lasts.
func (f *figures) get(ctx context.Context) figureSet {
	if counting := f.count(); counting != nil {
		enough := time.NewTimer(patience)
		defer enough.Stop()
		select {
		case <-counting:
		case <-enough.C:
		case <-ctx.Done():
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return figureSet{f.known, f.at, f.counting != nil, f.err}
}

// count begins a count, unless one is under way or what is known is young for the time that it
// takes. It returns what is closed at the end, nil where there is none.
func (f *figures) count() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	young := !f.stale && f.err == nil && !f.at.IsZero() && time.Since(f.at) < max(time.Second, 20*f.took)
	if f.closed || f.counting == nil && young {
		return nil
	}
	if f.counting == nil {
		f.counting, f.stale = make(chan struct{}), false
		f.inspector.running.Go(f.run)
	}
	return f.counting
}

func (f *figures) run() {
	began := time.Now()
	tables, err := f.inspector.cache.Contents().Summaries(f.inspector.closing)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err = err; err == nil {
		f.known, f.at, f.took = tables, time.Now(), time.Since(began)
	}
	close(f.counting)
	f.counting = nil
}

// changed tells that what is known is no longer so.
func (f *figures) changed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stale = true
}

// close lets no further count begin.
func (f *figures) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
}

// sampleSize tells the recorder how much is stored, now and then: it takes up to a hundredth of
// the time.
func (i *Inspector) sampleSize() {
	next := time.NewTimer(0)
	defer next.Stop()
	defer i.opts.Recorder.forget(i.cache)
	for {
		select {
		case <-i.closing.Done():
			return
		case <-next.C:
		}
		began := time.Now()
		if size, err := i.cache.Contents().Size(i.closing); err == nil {
			i.opts.Recorder.stored(i.cache, size)
		}
		next.Reset(max(fineStep, 100*time.Since(began)))
	}
}
