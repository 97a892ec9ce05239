package redis

import (
	"context"
	"iter"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/parallel"
)

// An iteration reads so many entries at first, and then so many that they have about
// these bytes.
const (
	firstRead    = 32
	maxReadBytes = 4 << 20
)

// Entries reads the table in pages. Nothing is held while the caller's body runs.
func (t *table) Entries(ctx context.Context, sel driver.Selection) iter.Seq2[driver.Entry, error] {
	return t.entries(ctx, "iterate over", sel)
}

func (t *table) entries(ctx context.Context, op string, sel driver.Selection) iter.Seq2[driver.Entry, error] {
	return func(yield func(driver.Entry, error) bool) {
		r := reader{table: t, walk: t.walk(sel.Filter), sel: sel, n: firstRead}
		for {
			err := t.run(ctx, op, r.next)
			if err != nil {
				yield(driver.Entry{}, err)
				return
			}
			if len(r.entries) == 0 && r.ended {
				return
			}
			for i := range r.entries {
				if !yield(r.entries[i], nil) {
					return
				}
				r.entries[i] = driver.Entry{} // the body may be large
			}
		}
	}
}

// reader reads the entries of a walk.
type reader struct {
	table   *table
	walk    *walk
	sel     driver.Selection
	places  []place // that are to be read
	n       int     // how many at once
	entries []driver.Entry
	ended   bool
}

func (r *reader) next(ctx context.Context) (err error) {
	r.entries = r.entries[:0]
	if len(r.places) == 0 {
		if r.places, err = r.walk.next(ctx); err != nil {
			return err
		}
		r.ended = len(r.places) == 0
	}
	some := r.places[:min(r.n, len(r.places))]
	if len(some) == 0 {
		return nil
	}
	var gone []place
	size, err := r.table.fetch(ctx, some, r.sel, func(p *place, e driver.Entry, ok bool) error {
		if !ok {
			gone = append(gone, *p) // or it is not selected
			return nil
		}
		key, err := parseKey(r.table.spec.Key, p.text)
		if err != nil {
			return about(p, err)
		}
		e.Key = key
		r.entries = append(r.entries, e)
		return nil
	})
	if err != nil {
		return err
	}
	r.table.mend(ctx, gone)
	r.places = r.places[len(some):]
	average := max(1, size/len(some))
	r.n = max(1, min(2*r.n, maxPage, maxReadBytes/average))
	return nil
}

// mend removes places from the indexes whose entries are gone: those that the server
// has evicted. Whether it succeeds matters to nobody; on a replica it cannot.
func (t *table) mend(ctx context.Context, gone []place) {
	if len(gone) == 0 {
		return
	}
	groups := byBucket(gone)
	_ = parallel.Do(len(groups), func(i int) error {
		names, texts := namesAndTexts(groups[i])
		keys := append([]string{t.names.indexes[groups[i][0].bucket]}, names...)
		_, err := t.store.eval(ctx, mendScript, keys, texts)
		return err
	})
}
