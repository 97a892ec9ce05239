// Package tier puts memory over a store: what is read often is read from the memory of the
// process, and all else is the store's. It is one line:
//
//	store, err := tier.New(below, nil)
//
// A [Store] is itself a [driver.Store]. It reads entries from memory, gets those that it does not
// hold from the store below, all of a call in one operation, and holds them from then on; it also
// holds which ones are absent. Whatever writes goes to the store below, and then into memory: who
// writes through a Store sees it at once. What others write is seen within the Lags of its
// [driver.Traits]: where the store below is a [driver.Watcher], 100 milliseconds if the machine and
// the network are idle; otherwise MaxAge. When the store below can no longer tell what others
// change, memory is emptied and not used until it can.
//
// What goes by more than the key is always the store's below: lists, counts, iterations, and the
// conditions of saves.
//
// Payloads are shared: the bytes that it hands out are those that it holds, and must not be
// modified.
package tier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

const (
	// DefaultMaxBytes is the MaxBytes of options that set none.
	DefaultMaxBytes = 64 << 20

	// DefaultMaxAge is the MaxAge of options that set none, over a store that cannot tell what
	// others change.
	DefaultMaxAge = time.Second

	// watched is within what time a [driver.Watcher] tells of a change.
	watched = 100 * time.Millisecond
)

// Options are the settings of a store.
type Options struct {
	// MaxBytes is how much memory the entries may take, the accounting of them included. An
	// entry that is larger by itself is not held. The default is [DefaultMaxBytes].
	MaxBytes int64

	// MaxAge is how long an entry is answered from memory after it was read or written below.
	// Over a store that can tell what others change, the default is any time; over others it
	// is [DefaultMaxAge], and a change that another process makes may go unseen that long.
	//
	// A store may turn out to be unable to tell of changes where it is, such as behind a pool of
	// connections: entries then live for the Lags of the Traits.
	MaxAge time.Duration

	// Logger gets a line when the store below can no longer tell what others change, and one
	// when it can again. The default is [slog.Default].
	Logger *slog.Logger
}

func (o *Options) complete(watches bool) error {
	switch {
	case o.MaxBytes < 0:
		return errors.New("MaxBytes is negative")
	case o.MaxAge < 0:
		return errors.New("MaxAge is negative")
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.MaxAge == 0 && !watches {
		o.MaxAge = DefaultMaxAge
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return nil
}

// Store is memory over another store. It is a [driver.Store] and a [driver.Announcer].
type Store struct {
	below  driver.Store
	opts   Options
	traits driver.Traits
	held   *held
	watch  *watch // nil where the store below cannot tell what others change

	hits, misses atomic.Int64

	mu     sync.Mutex
	tables map[string]*ledger // by name; none is ever removed
}

var _ driver.Announcer = (*Store)(nil)

// New puts memory over a store, which the new one owns: its Close closes it. Nil options are the
// defaults. The store below must not lag itself, as another tier does: what has changed could
// not be told from what it still remembers.
func New(below driver.Store, opts *Options) (*Store, error) {
	if below == nil {
		return nil, errors.New("tier: there is no store below")
	}
	traits := below.Traits()
	if traits.Lags > 0 {
		return nil, fmt.Errorf("tier: the %s store below lags by %v itself", traits.Kind, traits.Lags)
	}
	s := &Store{below: below, tables: make(map[string]*ledger)}
	if opts != nil {
		s.opts = *opts
	}
	watcher, watches := driver.As[driver.Watcher](below)
	if err := s.opts.complete(watches); err != nil {
		return nil, fmt.Errorf("tier: %w", err)
	}
	var err error
	if s.held, err = newHeld(s.opts.MaxBytes, s.opts.MaxAge); err != nil {
		return nil, fmt.Errorf("tier: %w", err)
	}
	s.traits = traits
	s.traits.SharesPayload = true
	s.traits.Lags = s.opts.MaxAge
	if !watches {
		s.held.used.Store(true)
		return s, nil
	}
	if s.traits.Lags == 0 || s.traits.Lags > watched {
		s.traits.Lags = watched
	}
	s.watch = startWatch(s, watcher)
	return s, nil
}

// Traits are those of the store below, but that payloads are shared, and that it lags.
func (s *Store) Traits() driver.Traits { return s.traits }

// Unwrap returns the store below, whose optional interfaces can be used beside this one. Entries
// must not be written there: most stores do not tell of what they change themselves.
func (s *Store) Unwrap() driver.Store { return s.below }

// OpenTable implements [driver.Store].
func (s *Store) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	below, err := s.below.OpenTable(ctx, spec)
	if err != nil {
		return nil, err
	}
	t := &table{Table: below, store: s, ledger: s.ledger(spec.Name)}
	if _, isPrompt := below.(driver.PromptTable); isPrompt {
		return promptTable{t}, nil
	}
	return t, nil
}

// Tables implements [driver.Store].
func (s *Store) Tables(ctx context.Context) ([]driver.TableSpec, error) { return s.below.Tables(ctx) }

// DropTable implements [driver.Store].
func (s *Store) DropTable(ctx context.Context, name string) error {
	return s.ledger(name).clear(ctx, driver.Filter{}, func() error { return s.below.DropTable(ctx, name) })
}

// Close forgets all entries and closes the store below. Closing twice is not an error.
func (s *Store) Close() error {
	if s.watch != nil {
		s.watch.stop()
	}
	s.held.used.Store(false)
	s.forget()
	return s.below.Close()
}

// ledger is that of the table of a name.
func (s *Store) ledger(name string) *ledger {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.tables[name]
	if l == nil {
		l = newLedger(s.held)
		s.tables[name] = l
	}
	return l
}

// ledgers are those of all tables.
func (s *Store) ledgers() []*ledger {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*ledger, 0, len(s.tables))
	for _, l := range s.tables {
		all = append(all, l)
	}
	return all
}

// forget empties memory.
func (s *Store) forget() {
	for _, l := range s.ledgers() {
		l.changedAll()
	}
	s.held.reset()
}

// Stats tells what a store has done since it was made.
type Stats struct {
	Hits   int64 // keys that were answered from memory, those of absent entries included
	Misses int64 // keys that the store below was asked for

	Invalidations int64 // of entries that were held, and of whole tables, as others had changed them
	Resyncs       int64 // how often memory was emptied as changes may have been missed
	Bytes         int64 // what the entries in memory take

	// Watching is whether the store below tells now what others change. Where it cannot, it is
	// false, and entries live for MaxAge.
	Watching bool
}

// Stats returns the statistics of the store.
func (s *Store) Stats() Stats {
	stats := Stats{Hits: s.hits.Load(), Misses: s.misses.Load(), Bytes: s.held.bytes()}
	if w := s.watch; w != nil {
		stats.Invalidations, stats.Resyncs, stats.Watching = w.invalidations.Load(), w.resyncs.Load(), w.watching.Load()
	}
	return stats
}
