package postgres

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// background removes expired entries now and then.
type background struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	tables map[string]*table // by their names in the database
}

func (b *background) start(s *Store) {
	if s.opts.ClearEvery == 0 {
		return
	}
	var ctx context.Context
	ctx, b.cancel = context.WithCancel(context.Background())
	b.done = make(chan struct{})
	b.tables = make(map[string]*table)
	go func() {
		defer close(b.done)
		// Processes that started together drift apart.
		for wait(ctx, jitter(s.opts.ClearEvery)) == nil {
			for _, t := range b.opened() {
				s.clearInBackground(ctx, t)
			}
		}
	}()
}

// stop ends what is running and waits for it.
func (b *background) stop() {
	if b.cancel != nil {
		b.cancel()
		<-b.done
	}
}

func jitter(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2+1)
}

func (b *background) add(t *table) {
	if b.cancel == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tables[t.names.table] = t
}

func (b *background) remove(t *table) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tables[t.names.table] == t {
		delete(b.tables, t.names.table)
	}
}

func (b *background) opened() []*table {
	b.mu.Lock()
	defer b.mu.Unlock()
	tables := make([]*table, 0, len(b.tables))
	for _, t := range b.tables {
		tables = append(tables, t)
	}
	return tables
}

// clearInBackground does not count as an operation: Close ends it.
func (s *Store) clearInBackground(ctx context.Context, t *table) {
	f := driver.Filter{State: driver.Expired, Now: time.Now().UTC().Truncate(time.Microsecond)}
	removed, _, err := t.clearExpired(ctx, f)
	if sqlState(err) == stateNoTable {
		s.background.remove(t) // somebody has dropped it
		return
	}
	if ctx.Err() != nil || s.opts.OnClear == nil {
		return
	}
	if err != nil {
		err = &driver.OpError{Store: kind, Op: "clear", Table: t.spec.Name, Err: explain(ctx, err)}
	}
	s.opts.OnClear(t.spec.Name, removed, err)
}
