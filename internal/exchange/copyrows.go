package exchange

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/checksum"
	"github.com/endpointcache/endpointcache/internal/parallel"
	"github.com/endpointcache/endpointcache/internal/ruined"
)

// rowCopy copies entries of one table as they stand, in batches.
type rowCopy struct {
	c        *copying
	from, to driver.Table
	filter   driver.Filter
	keep     func(*driver.Entry) bool                    // which are copied; nil: all
	rename   func(driver.Key)                            // changes a key to that at the target; nil: it is the same
	before   func(context.Context, []driver.Entry) error // what a batch needs at the target; may be nil
	fresh    bool                                        // the target's table had no entries
	counted  bool                                        // in the progress

	batch []driver.Entry
	at    map[string]int // of the batch, by key
	bytes int
}

// The sizes of a batch, besides its last entry.
const (
	copyAtOnce = 500
	copyBytes  = 4 << 20
)

func (r *rowCopy) run(ctx context.Context) error {
	r.at = make(map[string]int, copyAtOnce)
	sel := driver.Selection{Filter: r.filter, Parts: driver.Payload | driver.Meta | driver.Usage}
	for e, err := range r.from.Entries(ctx, sel) {
		if err != nil {
			return err
		}
		r.add(e)
		if len(r.batch) < copyAtOnce && r.bytes < copyBytes {
			continue
		}
		if err := r.flush(ctx); err != nil {
			return err
		}
	}
	return r.flush(ctx)
}

// add adds an entry to the batch, of two with one key the later.
func (r *rowCopy) add(e driver.Entry) {
	p := &r.c.progress
	if r.counted {
		p.Entries++
	}
	switch {
	case r.keep != nil && !r.keep(&e), ruined.Is(&e):
		return
	case !checksum.Right(&e):
		p.Damaged++
		return
	}
	if r.rename != nil {
		e.Key = slices.Clone(e.Key)
		r.rename(e.Key)
		e.PayloadSum, e.MetaSum = 0, 0 // they are about the key, too
	}
	key := string(driver.AppendKey(nil, e.Key))
	i, twice := r.at[key]
	if !twice {
		i = len(r.batch)
		r.at[key] = i
		r.batch = append(r.batch, driver.Entry{})
	} else if r.batch[i].CachedAt.After(e.CachedAt) {
		return
	}
	r.bytes += len(e.Payload) - len(r.batch[i].Payload)
	r.batch[i] = e
}

// flush writes the batch, as far as the target does not have it.
func (r *rowCopy) flush(ctx context.Context) error {
	if len(r.batch) == 0 {
		return ctx.Err()
	}
	defer func() {
		clear(r.batch) // payloads are not held until others take their place
		r.batch, r.bytes = r.batch[:0], 0
		clear(r.at)
	}()
	if r.before != nil {
		if err := r.before(ctx, r.batch); err != nil {
			return err
		}
	}
	entries, used, err := r.missing(ctx)
	if err != nil {
		return err
	}
	put, err := r.put(ctx, entries)
	if err != nil {
		return err
	}
	if err := useEach(ctx, r.to, append(used, put...)); err != nil {
		return err
	}
	if r.counted {
		r.c.report()
	}
	return nil
}

// missing are the entries of the batch that the target does not have so, nor newer ones. Used are
// those that it has, but for their last use.
func (r *rowCopy) missing(ctx context.Context) (entries, used []driver.Entry, err error) {
	if r.fresh {
		return r.batch, nil, nil
	}
	keys := make([]driver.Key, len(r.batch))
	for i := range r.batch {
		keys[i] = r.batch[i].Key
	}
	there := make([]*driver.Entry, len(keys))
	all := driver.Selection{Parts: driver.Payload | driver.Meta | driver.Usage}
	if err := r.to.Get(ctx, keys, all, func(i int, e driver.Entry) { there[i] = &e }); err != nil {
		return nil, nil, err
	}
	for i, e := range r.batch {
		switch old := there[i]; {
		case old == nil:
			entries = append(entries, e)
		case sameEntry(old, &e):
			if e.UsedAt.After(old.UsedAt) {
				used = append(used, e)
			}
		case !r.c.Replace && old.CachedAt.After(e.CachedAt):
			r.keptOne()
		default:
			entries = append(entries, e)
		}
	}
	return entries, used, nil
}

func (r *rowCopy) keptOne() {
	if r.counted {
		r.c.progress.Kept++
	}
}

// put returns the entries that it has written.
func (r *rowCopy) put(ctx context.Context, entries []driver.Entry) (put []driver.Entry, err error) {
	if len(entries) == 0 {
		return nil, nil
	}
	if !r.c.to.store.Traits().Intact {
		entries = slices.Clone(entries)
		for i := range entries {
			checksum.Complete(&entries[i])
		}
	}
	stored, err := r.putIf(ctx, entries)
	if errors.Is(err, driver.ErrTooLarge) {
		if len(entries) > 1 {
			return r.putEach(ctx, entries)
		}
		r.c.progress.TooLarge++
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for i, e := range entries {
		if !stored[i] {
			r.keptOne()
			continue
		}
		put = append(put, e)
		if r.counted {
			r.c.progress.Copied++
			r.c.progress.Bytes += int64(len(e.Payload))
		}
	}
	return put, nil
}

func (r *rowCopy) putIf(ctx context.Context, entries []driver.Entry) (stored []bool, err error) {
	if !r.c.Replace || !r.counted {
		return r.to.PutIf(ctx, entries, driver.Condition{If: driver.IfNewer})
	}
	return slices.Repeat([]bool{true}, len(entries)), r.to.Put(ctx, entries)
}

// putEach puts entries one by one, as one of them is too large.
func (r *rowCopy) putEach(ctx context.Context, entries []driver.Entry) (put []driver.Entry, err error) {
	for i := range entries {
		one, err := r.put(ctx, entries[i:i+1])
		if err != nil {
			return nil, err
		}
		put = append(put, one...)
	}
	return put, nil
}

// usesAtOnce is how many instants of use are recorded at a time.
const usesAtOnce = 8

// useEach records when entries were used last, which a put takes for their CachedAt.
func useEach(ctx context.Context, table driver.Table, entries []driver.Entry) error {
	byTime := make(map[time.Time][]driver.Key)
	for _, e := range entries {
		if e.UsedAt.After(e.CachedAt) {
			byTime[e.UsedAt] = append(byTime[e.UsedAt], e.Key)
		}
	}
	if len(byTime) == 0 {
		return nil
	}
	times := slices.Collect(maps.Keys(byTime))
	n := min(len(times), usesAtOnce)
	return parallel.Do(n, func(part int) error {
		for i := part; i < len(times); i += n {
			if err := table.Use(ctx, byTime[times[i]], times[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// sameEntry reports whether two entries of one key are equal, but for their use and what belongs to
// a store.
func sameEntry(a, b *driver.Entry) bool {
	return a.CachedAt.Equal(b.CachedAt) && a.ExpiresAt.Equal(b.ExpiresAt) && a.Status == b.Status && a.Name == b.Name &&
		a.Encoding == b.Encoding && sameHeader(a.Header, b.Header) && bytes.Equal(a.Payload, b.Payload)
}

// sameHeader reports whether two headers are the same JSON, which stores with a type for it give
// back in another form.
func sameHeader(a, b string) bool {
	if a == b {
		return true
	}
	if a == "" || b == "" {
		return false
	}
	decode := func(text string) (v any, ok bool) {
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		return v, d.Decode(&v) == nil
	}
	x, okA := decode(a)
	y, okB := decode(b)
	return okA && okB && reflect.DeepEqual(x, y)
}
