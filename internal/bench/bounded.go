package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// saveBounded saves batches, as a prefetch does, into a cache that is full, against the
// same saves into one without a limit. Both are the library's. A round saves a fifth of
// the limit, and lasts until as much has left.
func saveBounded(evict settings.Eviction) func(context.Context, *dataset, *contest) error {
	return func(ctx context.Context, d *dataset, c *contest) error {
		f, err := copyFiles(d, c, "")
		if err != nil {
			return err
		}
		var repos [2]*repository.ResponseRepository[Key, []byte]
		for s, limit := range [2]settings.Limit{ours: {Entries: d.rows, Evict: evict}} {
			owner, err := openCache(ctx, f.paths[s], c, &cache.Options{Limit: limit})
			if err != nil {
				return err
			}
			if repos[s], err = cache.CreateRepository(ctx, owner, trackSettings(payload.Bytes())); err != nil {
				return err
			}
		}
		size := min(500, d.rows/50) // a larger one would be saved in parts
		rows := newRows(d.rows, size)
		entries, err := entriesOf(rows)
		if err != nil {
			return err
		}
		batches := d.rows / 5 / size
		// Of each round and batch the keys are others.
		key := func(k Key, round, batch int) Key {
			k.Number += 1_000 * (1 + round*batches + batch)
			return k
		}
		withKeys := func(rows []row, round, batch int) []row {
			rows = slices.Clone(rows)
			for i := range rows {
				rows[i].key = key(rows[i].key, round, batch)
			}
			return rows
		}
		save := func(s side, round int) error {
			for batch := range batches {
				saved := make(map[Key]repository.Entry, size)
				for k, e := range entries {
					saved[key(k, round, batch)] = e
				}
				if err := repos[s].SaveEntries(ctx, saved); err != nil {
					return err
				}
			}
			return nil
		}
		c.ops = batches * size
		c.run[ours] = func(round int) error {
			if err := save(ours, round); err != nil {
				return err
			}
			return f.waitUntil(ours, func(n int64) bool { return n <= int64(d.rows) })
		}
		c.run[theirs] = func(round int) error { return save(theirs, round) }
		h, err := newBoundedByHand(d, c, evict)
		if err != nil {
			return err
		}
		c.byHand = &contest{ops: c.ops}
		for s := range c.byHand.run {
			c.byHand.run[s] = func(round int) error {
				for batch := range batches {
					if err := h.save(side(s), withKeys(rows, round, batch)); err != nil {
						return err
					}
				}
				return nil
			}
		}
		for f, c := range map[*files]*contest{f: c, h.files: c.byHand} {
			c.restore = func(s side) error {
				if s == theirs {
					return f.removeNew(s)
				}
				return f.admin[s].checkpoint()
			}
			c.verify = func(round int) error { return f.checkBounded(withKeys(rows, round, batches-1), c.ops) }
		}
		return nil
	}
}

// checkBounded checks what was saved last, and how many rows there are: on our side as many as
// before, but for a tenth; on theirs so many more.
func (f *files) checkBounded(last []row, more int) error {
	for s, w := range f.admin {
		for i := range last {
			if err := w.check(&last[i], false); err != nil {
				return fmt.Errorf("%v: %w", f.paths[s], err)
			}
		}
		n, err := w.number("SELECT count(*) FROM tracks")
		if err != nil {
			return err
		}
		added := int(n) - f.rows
		if side(s) == theirs && added != more || side(s) == ours && max(added, -added) > f.rows/10 {
			return fmt.Errorf("%v: there are %d rows", f.paths[s], n)
		}
	}
	return nil
}

// boundedByHand does the same without the library, with no more than the task needs: an index
// of when rows were used or saved, and one range of it removed for each twentieth of the limit.
type boundedByHand struct {
	*files
	writers       [2]*writer
	first, remove *statement // the time behind which so many rows leave; those before it
	saved         int        // since the last removal
}

func newBoundedByHand(d *dataset, c *contest, evict settings.Eviction) (*boundedByHand, error) {
	f, err := copyFiles(d, c, "by-hand-")
	if err != nil {
		return nil, err
	}
	h := &boundedByHand{files: f}
	for s, path := range f.paths {
		if h.writers[s], err = openWriter(path); err != nil {
			return nil, err
		}
		c.onClose(h.writers[s].close)
	}
	at := "ifnull(_used_us, cached_us)"
	if evict == settings.OldestFirst {
		at = "cached_us"
	}
	w := h.writers[ours]
	if _, err := w.number("CREATE INDEX by_hand ON tracks (" + at + ")"); err != nil {
		return nil, err
	}
	if h.first, err = w.prepare("SELECT "+at+" FROM tracks ORDER BY "+at+" LIMIT 1 OFFSET ?", 1, 1); err != nil {
		return nil, err
	}
	c.onClose(h.first.close)
	if h.remove, err = w.prepare("DELETE FROM tracks WHERE "+at+" < ?", 1, 0); err != nil {
		return nil, err
	}
	c.onClose(h.remove.close)
	return h, nil
}

// save saves rows; ours are kept within the limit.
func (h *boundedByHand) save(s side, rows []row) error {
	err := h.writers[s].transaction(func() error {
		for i := range rows {
			if err := h.writers[s].save(&rows[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || s == theirs {
		return err
	}
	if h.saved += len(rows); h.saved < h.rows/20 {
		return nil
	}
	h.first.bind(0, int64(h.saved))
	row, err := h.first.one()
	if err != nil {
		return err
	}
	h.remove.bind(0, row[0])
	_, err = h.remove.exec()
	h.saved = 0
	return err
}

// openCache opens a cache on a file, for as long as the contest lasts.
func openCache(ctx context.Context, path string, c *contest, opts *cache.Options) (*cache.ResponseCache, error) {
	store, err := sqlite.Open(ctx, path, nil)
	if err != nil {
		return nil, err
	}
	return ownCache(store, c, opts)
}

// ownCache makes a cache that closes its store.
func ownCache(store driver.Store, c *contest, opts *cache.Options) (*cache.ResponseCache, error) {
	owner, err := cache.New(store, opts)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	c.onClose(owner.Close)
	return owner, nil
}

// waitUntil waits for a number of rows.
func (f *files) waitUntil(s side, enough func(rows int64) bool) error {
	for {
		n, err := f.admin[s].number("SELECT count(*) FROM tracks")
		if err != nil || enough(n) {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
}
