package fetch

import (
	"context"
	"errors"
	"sync"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/repository"
)

// saveOptions are those of one call: flights that share them are saved together.
type saveOptions struct{ opts []repository.SaveOption }

// saver saves what has come while it saved what came before, so that a slow store
// gets few large saves and a fast one holds nobody up.
type saver[K comparable, V any] struct {
	mu      sync.Mutex
	queue   []*flight[K, V]
	running bool
}

// saveAtOnce is how many answers are saved together, at most.
const saveAtOnce = 500

// save has the answers of flights saved, which land then. Its caller keeps the
// client from having been closed.
func (e *Endpoint[K, V]) save(flights []*flight[K, V]) {
	if len(flights) == 0 {
		return
	}
	s := &e.saver
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, flights...)
	if s.running {
		return
	}
	s.running = true
	e.client.closing.enterAlso()
	go func() {
		defer e.client.closing.leave()
		for batch := s.next(); len(batch) > 0; batch = s.next() {
			e.saveBatch(batch)
		}
	}()
}

// next takes those from the queue that can be saved together. A key that has come
// again, as nobody waited for it any more, is saved after what came first.
func (s *saver[K, V]) next() []*flight[K, V] {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, taken := 0, make(map[K]bool)
	for _, f := range s.queue[:min(len(s.queue), saveAtOnce)] {
		if f.options != s.queue[0].options || taken[f.key] {
			break
		}
		taken[f.key] = true
		n++
	}
	batch := s.queue[:n:n]
	if s.queue = s.queue[n:]; n == 0 {
		s.queue, s.running = nil, false
	}
	return batch
}

// saveBatch saves the answers of flights, which then land in any case. What cannot be
// saved together is saved in halves.
func (e *Endpoint[K, V]) saveBatch(batch []*flight[K, V]) {
	panicked, err := e.tryToSave(batch)
	if len(batch) > 1 && (panicked != nil || errors.Is(err, driver.ErrTooLarge)) {
		half := len(batch) / 2
		e.saveBatch(batch[:half])
		e.saveBatch(batch[half:])
		return
	}
	if err != nil {
		e.storeFailed("save", err)
	}
	if panicked != nil {
		batch[0].panicked = panicked
	}
	e.land(batch...)
}

// tryToSave saves the answers of flights. A panic is that of NameOf.
func (e *Endpoint[K, V]) tryToSave(batch []*flight[K, V]) (panicked any, err error) {
	defer func() { panicked = recover() }()
	var absent []K
	var values []repository.Decoded[K, V]
	for _, f := range batch {
		if f.err != nil {
			absent = append(absent, f.key)
		} else {
			values = append(values, repository.Decoded[K, V]{Key: f.key, Entry: f.entry, Value: f.value})
		}
	}
	ctx := context.WithoutCancel(batch[0].trip.ctx)
	_, err = bounded(ctx, e, len(batch), func(ctx context.Context) (struct{}, error) {
		var errs []error
		if len(values) > 0 {
			errs = append(errs, e.repo.SaveDecoded(ctx, values, batch[0].options.opts...))
		}
		if len(absent) > 0 {
			errs = append(errs, e.repo.SaveAbsent(ctx, absent))
		}
		return struct{}{}, errors.Join(errs...)
	})
	return nil, err
}
