package redis

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"time"

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

// List reads the heads of all entries that are selected, and payloads too where they are
// wanted.
func (t *table) List(ctx context.Context, l driver.Listing) (page []driver.Entry, err error) {
	page, err = l.Page(t.entries(ctx, "list", l.Selected()))
	var op *driver.OpError
	if err != nil && !errors.As(err, &op) {
		err = &driver.OpError{Store: kind, Op: "list", Table: t.spec.Name, Err: err}
	}
	return page, err
}

func (t *table) entries(ctx context.Context, op string, sel driver.Selection) iter.Seq2[driver.Entry, error] {
	return func(yield func(driver.Entry, error) bool) {
		started := string(appendTime(nil, time.Now().UTC()))
		r := reader{table: t, walk: t.walk(sel.Filter), sel: sel, n: firstRead, started: started, saved: map[string]bool{}}
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
	started string
	saved   map[string]bool // the texts of entries saved since then, as far as they came
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
	where, sel, read := driver.Filter{Where: r.sel.Where}, r.sel, some
	sel.Parts |= r.sel.Where.Parts()
	if asksEntries(r.sel.Where) && sel.Parts&driver.Payload != 0 {
		if read, err = r.table.matching(ctx, some, where); err != nil {
			return err
		}
	}
	size, err := r.table.fetch(ctx, read, sel, func(p *place, value []byte, e driver.Entry, ok bool) error {
		if !ok {
			gone = append(gone, *p) // or it is not selected
			return nil
		}
		if !where.Match(e) || r.cameBefore(p, value) {
			return nil
		}
		var err error
		if e.Key, err = parseKey(r.table.spec.Key, p.text); err == nil { // or it is the entry of no key
			r.entries = append(r.entries, e)
		}
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

// matching returns those of the places whose entries f selects by what is in their heads.
func (t *table) matching(ctx context.Context, places []place, f driver.Filter) (some []place, err error) {
	_, err = t.fetchHeads(ctx, places, driver.Selection{Parts: f.Where.Parts()}, func(p *place, _ []byte, e driver.Entry, ok bool) error {
		if !ok || f.Match(e) {
			some = append(some, *p) // or it is gone
		}
		return nil
	})
	slices.SortStableFunc(some, func(a, b place) int { return cmp.Compare(a.bucket, b.bucket) }) // long heads come late
	return some, err
}

// cameBefore reports whether an entry that was saved since the iteration began has come
// before. Of a loop that saves what it meets, each time with an earlier expiry, none comes
// more than twice.
func (r *reader) cameBefore(p *place, value []byte) bool {
	if len(value) < atUsed || string(value[timeLen+1:2*timeLen+1]) < r.started {
		return false
	}
	before := r.saved[p.text]
	r.saved[p.text] = true
	return before
}

// mend removes places, by bucket, from the indexes if their strings are gone, because they
// have vanished or were evicted. Whether it succeeds matters to nobody; on a replica it cannot.
func (t *table) mend(ctx context.Context, gone []place) {
	if len(gone) == 0 || t.store.opts.ReadOnly {
		return
	}
	groups := byBucket(gone)
	_ = parallel.Do(len(groups), func(i int) error {
		names, texts := namesAndTexts(groups[i])
		keys := append([]string{t.names.indexes[groups[i][0].bucket]}, names...)
		return t.store.eval(ctx, mendScript, keys, texts).Error()
	})
}
