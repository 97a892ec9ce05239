package exchange

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// saveKind is what the store has to do with the answer of a flight.
type saveKind uint8

const (
	saveNothing saveKind = iota
	saveEntry            // an entry that was received, unless a newer one is stored
	saveRenewal          // the times and headers of the entry that a 304 has confirmed
	saveVariant          // a response with Vary, beside others of its key
	savePart             // a part of a response, with what is known of it already
	saveRemoval          // the origin has nothing for the key any more

	saveKinds
)

// saver saves what has come while it saved what came before, so that a slow store gets
// few large saves and a fast one holds nobody up.
type saver struct {
	mu      sync.Mutex
	queue   []*Flight
	size    int  // bytes of the queue's payloads
	bodies  int  // of the queue that are no renewals
	urgent  bool // a caller waits for one of the queue, or no more will come
	running bool
	more    chan struct{} // tells a saver that waits of more

	// The bodies that were received and are not saved yet. A renewal that is lost costs
	// a request without a body.
	unsaved, unsavedSize int
	room                 sync.Cond // tells that it has become less
}

// The sizes of saves.
const (
	saveAtOnce = 500                   // flights that are saved together, at most
	bytesWorth = 1 << 20               // of payloads for which a save is worth it though nobody waits
	bytesMost  = 8 << 20               // of payloads that nobody waits for, and that are not saved
	saveWithin = 50 * time.Millisecond // how long flights that nobody waits for are gathered
)

func (s *saver) init() {
	s.more = make(chan struct{}, 1)
	s.room.L = &s.mu
}

// awaitRoom waits until flights that nobody waits for can be added. The lock is held.
func (s *saver) awaitRoom(flights []*Flight) {
	n := bodiesOf(flights)
	for most := flights[0].ask.MostUnsaved; n > 0 && s.unsaved > 0 && (s.unsaved+n > most || s.unsavedSize > bytesMost); {
		s.room.Wait()
	}
}

// bodiesOf is how many of the flights are no renewals.
func bodiesOf(flights []*Flight) (n int) {
	for _, f := range flights {
		if f.save != saveRenewal {
			n++
		}
	}
	return n
}

// landed tells that flights were saved, or are not going to be.
func (s *saver) landed(flights []*Flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsaved -= bodiesOf(flights)
	for _, f := range flights {
		s.unsavedSize -= len(f.entry.Payload)
	}
	s.room.Broadcast()
}

// save has flights saved, which land then. They were begun by callers for whom
// Exchange.Close waits, or go on in the background.
func (t *Table) save(flights ...*Flight) {
	s := &t.saver
	idle := !slices.ContainsFunc(flights, func(f *Flight) bool { return f.ask.MostUnsaved == 0 })
	s.mu.Lock()
	if idle {
		s.awaitRoom(flights)
	}
	for _, f := range flights {
		s.queue = append(s.queue, f)
		s.size += len(f.entry.Payload)
		s.unsavedSize += len(f.entry.Payload)
	}
	s.bodies += bodiesOf(flights)
	s.unsaved += bodiesOf(flights)
	s.urgent = s.urgent || !idle
	if s.running {
		s.mu.Unlock()
		select {
		case s.more <- struct{}{}:
		default:
		}
		return
	}
	if !t.x.running.enterAlso() {
		s.queue, s.size, s.bodies, s.urgent = nil, 0, 0, false
		s.mu.Unlock()
		s.landed(flights)
		landUnsaved(flights, ErrClosed)
		return
	}
	s.running = true
	s.mu.Unlock()
	if idle || flights[0].send == nil {
		go t.saveQueued() // the door has more to send
		return
	}
	t.saveQueued() // on the flight's own goroutine: another would cost the caller time
}

// SaveNow saves what waits for others to be saved with, as no more will come.
func (t *Table) SaveNow() {
	s := &t.saver
	s.mu.Lock()
	s.urgent = s.urgent || len(s.queue) > 0
	s.mu.Unlock()
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// saveQueued saves until the queue is empty, for which Exchange.Close waits.
func (t *Table) saveQueued() {
	closing := t.x.running.ctx
	for batch := t.saver.next(closing); len(batch) > 0; batch = t.saver.next(closing) {
		if !t.saveBatch(batch) {
			return // another goroutine goes on with the queue, and is waited for instead
		}
	}
	t.x.running.leave()
}

// next takes those from the queue that can be saved together: of one key, a later
// answer is saved after an earlier one.
func (s *saver) next(closing context.Context) []*Flight {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gather(closing)
	n := min(len(s.queue), saveAtOnce)
	if n > 1 {
		n = s.different(n)
	}
	for _, f := range s.queue[:n] {
		s.size -= len(f.entry.Payload)
	}
	s.bodies -= bodiesOf(s.queue[:n])
	batch := slices.Clone(s.queue[:n])
	s.queue = slices.Delete(s.queue, 0, n) // which holds no payloads any more
	if len(s.queue) == 0 {
		s.queue, s.urgent = nil, false
	}
	s.running = n > 0
	return batch
}

// different is how many of the first n of the queue have keys that differ. The lock is
// held.
func (s *saver) different(n int) int {
	taken := make(map[string]bool, n)
	for i, f := range s.queue[:n] {
		key := f.ask.flightKey().key
		if taken[key] {
			return i
		}
		taken[key] = true
	}
	return n
}

// gather waits for more flights where nobody waits for those of the queue. The lock is
// held, and given back meanwhile.
func (s *saver) gather(closing context.Context) {
	if len(s.queue) == 0 || s.enough() {
		return
	}
	late := time.NewTimer(saveWithin)
	defer late.Stop()
	for !s.enough() {
		s.mu.Unlock()
		ended := false
		select {
		case <-s.more:
		case <-late.C:
			ended = true
		case <-closing.Done():
			ended = true
		}
		s.mu.Lock()
		if ended {
			return
		}
	}
}

// enough reports whether what is queued is worth a save. The lock is held.
func (s *saver) enough() bool {
	// One half is gathered while the other is saved.
	worth := min((s.queue[0].ask.MostUnsaved+1)/2, saveAtOnce)
	return s.urgent || s.bodies > 0 && s.bodies >= worth || len(s.queue) >= saveAtOnce || s.size >= bytesWorth
}

// saveBatch saves what flights have, which then land in any case. It is false where the
// store took too long: the flights have landed before, and the queue has another saver.
func (t *Table) saveBatch(batch []*Flight) (onTime bool) {
	ctx := batch[0].values
	saves := &saves{t: t, flights: batch, errs: make([]error, len(batch))}
	onTime, err := t.x.guard.watch(ctx, t, "save", len(batch), saves.run, func() {
		landUnsaved(batch, ErrStoreSlow)
		t.saver.landed(batch)
		t.saveQueued()
	})
	if !onTime {
		return false
	}
	defer t.saver.landed(batch)
	if err != nil {
		landUnsaved(batch, err)
		return true
	}
	for i, f := range batch {
		if f.saveErr = saves.errs[i]; f.saveErr != nil {
			t.x.log.Warn("endpointcache: save failed", "repository", t.Name, "error", f.saveErr)
		}
		f.land()
	}
	return true
}

func landUnsaved(flights []*Flight, err error) {
	for _, f := range flights {
		f.saveErr = err
		f.land()
	}
}

// saves is one operation on the store. It may go on after its flights have landed, as
// the store is slow, so it writes nothing that others read then.
type saves struct {
	t       *Table
	flights []*Flight
	errs    []error // by index: of one entry that the store cannot hold
}

func (s *saves) run(ctx context.Context) error {
	var byKind [saveKinds][]int
	begun := make([]int, 0, len(s.flights))
	for i, f := range s.flights {
		if f.beginSave() {
			begun = append(begun, i)
			byKind[f.save] = append(byKind[f.save], i)
		}
	}
	defer func() {
		for _, i := range begun {
			s.flights[i].endSave()
		}
	}()
	err := errors.Join(
		s.putEntries(ctx, byKind[saveEntry]),
		s.renew(ctx, byKind[saveRenewal]),
		s.remove(ctx, byKind[saveRemoval]),
		s.putVariants(ctx, byKind[saveVariant]),
		s.putParts(ctx, byKind[savePart]),
	)
	return err
}

// putEntries saves in halves what cannot be saved together, so that one entry which is
// too large for the store is the only one that is not saved.
func (s *saves) putEntries(ctx context.Context, of []int) error {
	if len(of) == 0 {
		return nil
	}
	entries := make([]driver.Entry, len(of))
	for i, at := range of {
		entries[i] = s.flights[at].toSave()
		if s.t.keeper != nil && !s.flights[at].payloadFits() {
			entries[i].Payload = bytes.Clone(entries[i].Payload)
		}
	}
	stored, err := s.t.putReceived(ctx, entries)
	switch {
	case err == nil:
		s.t.x.counts.stored.Add(int64(count(stored)))
		s.undo(ctx, of, stored)
		return s.replaceParts(ctx, of, stored)
	case !errors.Is(err, driver.ErrTooLarge):
		return err
	case len(of) == 1:
		s.errs[of[0]] = err
		return nil
	}
	half := len(of) / 2
	return errors.Join(s.putEntries(ctx, of[:half]), s.putEntries(ctx, of[half:]))
}

// putReceived stores those of the entries that are newer. Nobody changes their payloads.
func (t *Table) putReceived(ctx context.Context, entries []driver.Entry) ([]bool, error) {
	newer := driver.Condition{If: driver.IfNewer}
	if t.keeper != nil {
		return t.keeper.PutIfKept(ctx, entries, newer)
	}
	return t.table.PutIf(ctx, entries, newer)
}

// payloadFits reports whether the payload that is saved has its memory for itself, and fills
// most of it: a store that keeps it holds no more than it counts.
func (f *Flight) payloadFits() bool { return !f.whole && f.body != nil && f.body.fits() }

func count(stored []bool) (n int) {
	for _, ok := range stored {
		if ok {
			n++
		}
	}
	return n
}

// undo removes what has been stored though it was outdated meanwhile. The change waits
// for this save, unless that takes too long.
func (s *saves) undo(ctx context.Context, of []int, stored []bool) {
	var outdated []driver.Key
	for i, at := range of {
		if stored[i] && s.flights[at].outdated.Load() {
			outdated = append(outdated, s.flights[at].ask.Key)
		}
	}
	if len(outdated) > 0 {
		_, _ = s.t.table.Delete(context.WithoutCancel(ctx), outdated)
	}
}

func (s *saves) renew(ctx context.Context, of []int) error {
	if len(of) == 0 {
		return nil
	}
	renewals := make([]driver.Renewal, len(of))
	for i, at := range of {
		renewals[i] = s.flights[at].renewed
	}
	renewed, err := s.t.table.Renew(ctx, renewals)
	if err == nil {
		s.t.x.counts.stored.Add(int64(count(renewed)))
	}
	return err
}

func (s *saves) remove(ctx context.Context, of []int) error {
	if len(of) == 0 {
		return nil
	}
	keys := make([]driver.Key, len(of))
	for i, at := range of {
		keys[i] = s.flights[at].ask.Key
	}
	_, err := s.t.table.Delete(ctx, keys)
	return err
}

func (s *saves) putVariants(ctx context.Context, of []int) error {
	var errs []error
	for _, at := range of {
		if err := s.putVariant(ctx, at); errors.Is(err, driver.ErrTooLarge) {
			s.errs[at] = err
		} else {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (s *saves) putVariant(ctx context.Context, at int) error {
	x, f := s.t.x, s.flights[at]
	done, err := x.vary.saving(ctx, f.ask.flightKey())
	if err != nil {
		return err
	}
	defer done()
	v := f.stored.Clone()
	if err := x.prepareVariant(ctx, &f.ask, v); err != nil {
		return err
	}
	stored, err := s.putOne(ctx, at, v)
	if err != nil || stored {
		return err
	}
	if err := s.putBeside(ctx, f, v.Clone()); err != nil || v.Entry.Status != http.StatusOK {
		return err
	}
	return s.putOverPart(ctx, at, v)
}

// SaveAbsences keeps, or removes what is stored for, absences that were not believed when
// they came. What is newer is left as it is.
func (t *Table) SaveAbsences(ctx context.Context, results []Result) error {
	return t.x.guard.do(ctx, t, "save", len(results), func(ctx context.Context) error {
		var absent []driver.Entry
		removed := make(map[int]bool)
		for i := range results {
			f := results[i].flight
			if f.outdated.Load() {
				continue
			}
			e := f.toSave()
			if f.doubted == saveRemoval {
				// A mark for the older entry, which is then removed with it.
				removed[len(absent)] = true
				e.CachedAt, e.Payload = f.asOf(), nil
				e.ExpiresAt = e.CachedAt
			}
			absent = append(absent, e)
		}
		if len(absent) == 0 {
			return nil
		}
		stored, err := t.table.PutIf(ctx, absent, driver.Condition{If: driver.IfNewer})
		if err != nil {
			return err
		}
		var keys []driver.Key
		for i := range absent {
			if removed[i] && stored[i] {
				keys = append(keys, absent[i].Key)
			}
		}
		if len(keys) == 0 {
			return nil
		}
		_, err = t.table.Delete(ctx, keys)
		return err
	})
}
