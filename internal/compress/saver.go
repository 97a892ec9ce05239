package compress

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// saver tells what entries are saved with, and sees to it that there is a dictionary that
// suits them.
type saver struct {
	t *table

	mu       sync.Mutex
	ready    bool        // current is what the store has, as far as is known
	current  *dictionary // nil for none
	with     *codec      // of the current one, to write with
	checking bool
	checked  bool // in this process
	window   window
	next     int // without a dictionary: how many entries the table needs to have for another try

	// Of the check that goes on, of which there is one.
	count     int // the entries of the table, when they were counted
	uncounted int // saves since
}

// window are the saves since the last check.
type window struct {
	since    time.Time
	entries  int
	from, to int // bytes of bodies, and of what they have become
}

// When there is to be another dictionary.
const (
	checkAfter = 500  // saves, and the first one of a process
	firstAt    = 500  // entries of the table, for the first one
	grownBy    = 4    // times as many entries as when the last one was made
	worseBy    = 1.25 // times the size of frames then
)

// codec is what entries are saved with now. Where the store cannot say, it is the one without
// a dictionary.
func (s *saver) codec(ctx context.Context) *codec {
	s.mu.Lock()
	ready, with := s.ready, s.with
	s.mu.Unlock()
	if !ready {
		if latest, err := s.t.known.latest(ctx); err == nil && s.adopt(ctx, latest) == nil {
			return s.codec(ctx)
		}
	}
	if with == nil {
		return plain
	}
	return with
}

// adopt makes a dictionary of the store the current one, nil for none.
func (s *saver) adopt(ctx context.Context, latest *dictionary) error {
	var found *codec // nil where it is damaged
	if latest != nil {
		var err error
		if found, err = s.t.known.find(ctx, latest.id); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = true
	if s.window.since.IsZero() {
		s.window.since = s.t.opts.Now()
	}
	if found != nil && latest.isAfter(s.current) {
		s.current, s.with = latest, newCodec(found.dictionary)
	}
	return nil
}

// saved counts what was saved, and begins a check if one is due.
func (s *saver) saved(entries, from, to int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.window.entries += entries
	s.window.from += from
	s.window.to += to
	if s.checking || s.checked && s.window.entries < checkAfter {
		return
	}
	w := s.window
	s.checking, s.checked = true, true
	if !s.t.opts.Go(func(ctx context.Context) {
		err := s.check(ctx, w)
		s.mu.Lock()
		s.checking = false
		s.mu.Unlock()
		if err != nil && ctx.Err() == nil && !errors.Is(err, driver.ErrClosed) {
			s.t.opts.Log.Warn("endpointcache: no dictionary can be made", "repository", s.t.opts.Repository, "error", err)
		}
	}) {
		s.checking = false
	}
	s.window = window{since: s.t.opts.Now()}
}

// check looks for a dictionary that another process has chosen, and chooses one if it is time.
func (s *saver) check(ctx context.Context, w window) error {
	current, err := s.refresh(ctx)
	if err != nil {
		return err
	}
	count, err := s.counted(ctx, w)
	if err != nil {
		return err
	}
	of := s.due(current, count, w)
	if of == nil {
		return nil
	}
	if mine, err := s.t.known.takeTurn(ctx, instant(s.t.opts.Now())); !mine || err != nil {
		return err
	}
	defer s.t.known.endTurn(ctx)
	if latest, err := s.refresh(ctx); err != nil || !same(latest, current) {
		return err // another process has chosen one meanwhile
	}
	return s.choose(ctx, current, count, *of)
}

func same(a, b *dictionary) bool { return a == nil && b == nil || a != nil && b != nil && a.id == b.id }

// refresh adopts the latest dictionary of the store, and returns the current one. It gives
// the store its own where that was lost: others have to read what is saved with it.
func (s *saver) refresh(ctx context.Context) (*dictionary, error) {
	latest, err := s.t.known.latest(ctx)
	if err != nil {
		return nil, err
	}
	if err = s.adopt(ctx, latest); err != nil {
		return nil, err
	}
	s.mu.Lock()
	current := s.current
	s.mu.Unlock()
	if current != nil && current.isAfter(latest) {
		err = s.t.known.keep(ctx, current)
	}
	return current, err
}

// counted is how many entries the table has, about: to count them all takes a while.
func (s *saver) counted(ctx context.Context, w window) (int, error) {
	s.uncounted += w.entries
	if s.count > 0 && s.uncounted < s.count/2 {
		return s.count, nil
	}
	var err error
	s.uncounted = 0
	s.count, err = s.t.Count(ctx, driver.Filter{})
	return s.count, err
}

// sampled says which entries a dictionary is made of.
type sampled struct {
	since time.Time // zero: all
	count int       // about how many there are
}

// due tells whether it is time for another dictionary, and what it is to be made of.
func (s *saver) due(current *dictionary, count int, w window) *sampled {
	s.mu.Lock()
	next := s.next
	s.mu.Unlock()
	switch {
	case current == nil:
		if count >= max(firstAt, next) {
			return &sampled{count: count}
		}
	case w.entries >= checkAfter && float64(w.to) > worseBy*current.ratio*float64(w.from):
		return &sampled{w.since, w.entries} // of the entries that it does not suit
	case count >= grownBy*max(current.entries, firstAt):
		return &sampled{count: count}
	}
	return nil
}

// instant is t as stores know it.
func instant(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
