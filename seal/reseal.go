package seal

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/gate"
	"github.com/endpointcache/endpointcache/internal/ruined"
)

// Reseal seals anew, with the primary key, what other keys have sealed, in all tables, and
// returns how many entries that were. Then these keys can be left out of the next
// [Store.SetKeys], if no other process seals with them. A call that was broken off can be
// made again: it does what is left. Entries that cannot be opened stay as they are.
//
// Readers and writers go on meanwhile. An entry that others change at that moment is left to
// them. There is one exception: what another process changes of an entry's expiry alone, in
// the milliseconds in which it is sealed anew here, is undone.
func (s *Store) Reseal(ctx context.Context) (int, error) {
	if err := s.awaitWriters(ctx); err != nil {
		return 0, err
	}
	specs, err := s.below.Tables(ctx)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, spec := range specs {
		below, err := s.below.OpenTable(ctx, spec)
		if err != nil {
			return n, err
		}
		done, err := s.plainTable(below, readSchema(spec), s.shared(spec.Name)).resealAll(ctx)
		if n += done; err != nil {
			return n, err
		}
	}
	return n, nil
}

// awaitWriters returns when whoever has begun to write with older keys has ended. It waits for
// those of tables that are not there now, too: others may make such a table anew.
func (s *Store) awaitWriters(ctx context.Context) error {
	if err := gate.Usable(ctx); err != nil {
		return s.opError("seal anew in", "", err)
	}
	s.mu.Lock()
	tables := maps.Clone(s.tables)
	s.mu.Unlock()
	for name, sh := range tables {
		if err := sh.writes.Acquire(ctx, allWrites); err != nil {
			return s.opError("seal anew in", name, err)
		}
		sh.writes.Release(allWrites)
	}
	return nil
}

// resealAll seals anew what is old in a table.
func (t *table) resealAll(ctx context.Context) (n int, err error) {
	var old []driver.Key
	flush := func() error {
		done, err := t.resealUntilDone(ctx, old)
		n, old = n+done, old[:0]
		return err
	}
	for e, err := range t.Table.Entries(ctx, driver.Selection{Parts: driver.Meta}) {
		if err != nil {
			return n, err
		}
		if !t.isOld(&e) {
			continue
		}
		if old = append(old, e.Key); len(old) == atOnce {
			if err := flush(); err != nil {
				return n, err
			}
		}
	}
	return n, flush()
}

// isOld reports whether another key than the primary one has sealed an entry, as it is below.
func (t *table) isOld(e *driver.Entry) bool {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	keys := t.store.keys.Load()
	var in inside
	k, err := t.openMeta(s, keys, e.Key, e, &in)
	return err == nil && (k != keys.primary || in.payloadKey != k.id)
}

// tries is how often an entry is sealed anew that others change meanwhile.
const tries = 10

func (t *table) resealUntilDone(ctx context.Context, keys []driver.Key) (n int, err error) {
	for range tries {
		if len(keys) == 0 {
			return n, nil
		}
		var done int
		done, keys, err = t.reseal(ctx, keys)
		if n += done; err != nil {
			return n, err
		}
	}
	if len(keys) == 0 {
		return n, nil
	}
	return n, t.store.opError("seal anew in", t.spec.Name, fmt.Errorf("%d entries keep changing", len(keys)))
}

// reseal seals anew those of the entries with these keys, as they are below, that are old.
// left are those that were changed meanwhile.
func (t *table) reseal(ctx context.Context, keys []driver.Key) (n int, left []driver.Key, err error) {
	if err := t.begin(ctx, allWrites); err != nil {
		return 0, nil, err
	}
	defer t.end(ctx, allWrites)
	ring := t.store.keys.Load()
	var mu sync.Mutex
	var errs []error
	var sealed []driver.Entry
	err = t.Table.Get(ctx, keys, driver.Selection{Parts: driver.Payload | driver.Meta | driver.Usage}, func(i int, e driver.Entry) {
		e.Key = keys[i]
		old, err := t.sealAnew(ring, &e)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			errs = append(errs, err)
		} else if old {
			sealed = append(sealed, e)
		}
	})
	if err == nil && len(errs) > 0 {
		err = t.store.opError("seal anew in", t.spec.Name, errors.Join(errs...))
	}
	if err != nil || len(sealed) == 0 {
		return 0, nil, err
	}
	stored, err := t.Table.PutIf(ctx, sealed, driver.Condition{If: driver.IfUnchanged})
	if err != nil {
		return 0, nil, err
	}
	done := sealed[:0]
	for i, e := range sealed {
		if stored[i] {
			done = append(done, e)
		} else {
			left = append(left, e.Key)
		}
	}
	t.store.resealed.Add(uint64(len(done)))
	return len(done), left, t.useAgain(ctx, done)
}

// sealAnew seals an entry, as it is below, with the primary key, unless it is or cannot be
// opened. What ties its parts stays: one of them may be renewed by another process, which has
// read it before.
func (t *table) sealAnew(ring *Keys, e *driver.Entry) (old bool, err error) {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	if ruined.Is(e) {
		return false, nil
	}
	var in inside
	k, cause := t.openMeta(s, ring, e.Key, e, &in)
	if cause != nil {
		return false, nil
	}
	in = in.clone()
	payloadKey, cause := t.openPayload(s, ring, e.Key, e, &in)
	if cause != nil || k == ring.primary && payloadKey == k.id {
		return false, nil
	}
	if err := t.sealPayload(s, ring.primary, e, &in); err != nil {
		return false, err
	}
	return true, t.sealMeta(s, ring.primary, e, &in)
}

// uses is into how many groups the uses of entries are put together that are sealed anew.
const uses = 16

// useAgain records when entries were used, which a put forgets: about, but in the same order and
// never too late.
func (t *table) useAgain(ctx context.Context, entries []driver.Entry) error {
	used := slices.DeleteFunc(slices.Clone(entries), func(e driver.Entry) bool { return !e.UsedAt.After(e.CachedAt) })
	slices.SortFunc(used, func(a, b driver.Entry) int { return a.UsedAt.Compare(b.UsedAt) })
	for group := range slices.Chunk(used, max(1, (len(used)+uses-1)/uses)) {
		keys := make([]driver.Key, len(group))
		for i := range group {
			keys[i] = group[i].Key
		}
		if err := t.Table.Use(ctx, keys, group[0].UsedAt); err != nil {
			return err
		}
	}
	return nil
}

// waiting is how many entries may wait to be sealed anew. Others have to be read again.
const waiting = 4 * atOnce

// pause is how long nothing is sealed anew after the store has refused it.
const pause = time.Minute

// resealer seals anew, in the background, what was read and is old.
type resealer struct {
	jobs   chan job
	ended  chan struct{}
	cancel context.CancelFunc
	until  atomic.Int64 // of a pause, in Unix nanoseconds
}

type job struct {
	t   *table
	key driver.Key // as it is below
}

func (r *resealer) start(s *Store) {
	ctx, cancel := context.WithCancel(context.Background())
	r.jobs, r.ended, r.cancel = make(chan job, waiting), make(chan struct{}), cancel
	go func() {
		defer close(r.ended)
		for {
			select {
			case <-ctx.Done():
				return
			case j := <-r.jobs:
				r.do(ctx, s, r.more(j))
			}
		}
	}()
}

// close ends what is being done. It may be called twice.
func (r *resealer) close() {
	r.cancel()
	<-r.ended
}

// add has entries sealed anew, if there is room for them.
func (r *resealer) add(t *table, keys []driver.Key) {
	if len(keys) == 0 || t.store.below.Traits().ReadOnly || time.Now().UnixNano() < r.until.Load() {
		return
	}
	for _, key := range keys {
		select {
		case r.jobs <- job{t, slices.Clone(key)}: // which is the caller's
		default:
			return
		}
	}
}

// more are a job and those that wait behind it, by their tables, each key once.
func (r *resealer) more(j job) map[*table]map[string]driver.Key {
	all := make(map[*table]map[string]driver.Key)
	for range atOnce {
		if all[j.t] == nil {
			all[j.t] = make(map[string]driver.Key)
		}
		all[j.t][string(driver.AppendKey(nil, j.key))] = j.key
		select {
		case j = <-r.jobs:
		default:
			return all
		}
	}
	return all
}

func (r *resealer) do(ctx context.Context, s *Store, jobs map[*table]map[string]driver.Key) {
	for t, keys := range jobs {
		some := make([]driver.Key, 0, len(keys))
		for _, key := range keys {
			some = append(some, key)
		}
		if _, _, err := t.reseal(ctx, some); err != nil && ctx.Err() == nil {
			r.until.Store(time.Now().Add(pause).UnixNano())
			s.opts.Logger.Warn("endpointcache: entries are not sealed anew with the new key", "table", t.spec.Name, "error", err)
		}
	}
}
