package main

import (
	"context"
	"errors"
	"fmt"
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
		f, err := copyFiles(d, c)
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
		c.restore = func(s side) error {
			if s == theirs {
				return f.removeNew(s)
			}
			return f.admin[s].checkpoint()
		}
		c.verify = func(round int) error {
			for s, w := range f.admin {
				for i := range rows {
					r := rows[i]
					r.key = key(r.key, round, batches-1)
					if err := w.check(&r, false); err != nil {
						return fmt.Errorf("%v: %w", side(s), err)
					}
				}
				n, err := w.number("SELECT count(*) FROM tracks")
				switch least, most := int64(d.rows-d.rows/10), int64(d.rows); {
				case err != nil:
					return err
				case side(s) == theirs && n != most+int64(c.ops), side(s) == ours && (n < least || n > most):
					return fmt.Errorf("%v: there are %d rows", side(s), n)
				}
			}
			return nil
		}
		return nil
	}
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
