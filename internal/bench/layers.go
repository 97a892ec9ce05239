package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/seal"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// layerRows is how many rows each side of these lines has, which are both the library's.
const layerRows = 10_000

// trusted is a store that says that it needs no checksums.
type trusted struct{ driver.Store }

// Traits implements [driver.Store].
func (s trusted) Traits() driver.Traits {
	t := s.Store.Traits()
	t.Intact = true
	return t
}

func trust(s driver.Store) driver.Store { return trusted{s} }

func asItIs(s driver.Store) driver.Store { return s }

// encrypted is a store whose entries are sealed.
func encrypted(s driver.Store) driver.Store {
	keys, err := seal.FromBytes([]byte("thirty-two bytes that are no key"))
	if err != nil {
		panic(err)
	}
	sealed, err := seal.New(s, keys, nil)
	if err != nil {
		panic(err)
	}
	return sealed
}

// layered is a repository in a file of its own, with the first rows of the dataset.
type layered = repository.ResponseRepository[Key, Track]

func openLayered(ctx context.Context, d *dataset, c *contest, s side, wrap func(driver.Store) driver.Store, compression settings.Compression) (*layered, error) {
	path := filepath.Join(d.folder, "layered-"+s.String()+".db")
	c.onClose(func() error { return removeDatabase(path) })
	store, err := sqlite.Open(ctx, path, nil)
	if err != nil {
		return nil, err
	}
	owner, err := ownCache(wrap(store), c, nil)
	if err != nil {
		return nil, err
	}
	declared := trackSettings(payload.JSON[Track]())
	declared.Compression = compression
	repo, err := cache.CreateRepository(ctx, owner, declared)
	if err != nil {
		return nil, err
	}
	if err := fillLayered(ctx, d, repo); err != nil || compression == settings.Uncompressed {
		return repo, err
	}
	// The first save brings about a dictionary, which the second one uses.
	if err := awaitDictionary(ctx, store); err != nil {
		return nil, err
	}
	return repo, fillLayered(ctx, d, repo)
}

func fillLayered(ctx context.Context, d *dataset, repo *layered) error {
	entries := make(map[Key]repository.Entry)
	for i := range min(layerRows, d.rows) {
		r := newRow(i, 0)
		entries[r.key] = repository.Entry{Payload: r.payload}
	}
	return repo.SaveEntries(ctx, entries)
}

// awaitDictionary waits until the store has a dictionary, and nobody makes one.
func awaitDictionary(ctx context.Context, store driver.Store) error {
	table, err := store.OpenTable(ctx, driver.TableSpec{Name: "endpointcache_dictionaries", Key: []driver.Column{
		{Name: "repository", Kind: driver.String}, {Name: "dictionary", Kind: driver.Int},
	}})
	if err != nil {
		return err
	}
	for range 600 {
		made := false
		for e, err := range table.Entries(ctx, driver.Selection{}) {
			if err != nil {
				return err
			}
			made = e.Key[1] != int64(0)
		}
		if made {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return errors.New("no dictionary is made")
}

// getLayered compares typed gets with and without a layer.
func getLayered(layer, none func(driver.Store) driver.Store, compression settings.Compression) func(context.Context, *dataset, *contest) error {
	return func(ctx context.Context, d *dataset, c *contest) error {
		with, err := openLayered(ctx, d, c, ours, layer, compression)
		if err != nil {
			return err
		}
		without, err := openLayered(ctx, d, c, theirs, none, settings.Uncompressed)
		if err != nil {
			return err
		}
		keys := make([]Key, min(layerRows, d.rows))
		for i := range keys {
			keys[i] = newRow(i, 0).key
		}
		n := min(getsPerRun, len(keys))
		answers := [2][]Track{make([]Track, n), make([]Track, n)}
		for s, repo := range [2]*layered{ours: with, theirs: without} {
			c.run[s] = func(round int) (err error) {
				for i := range n {
					if answers[s][i], err = found(repo.Get(ctx, keys[(round*n+i*7)%len(keys)])); err != nil {
						return err
					}
				}
				return nil
			}
		}
		c.ops = n
		c.verify = func(int) error { return compareAnswers(answers[ours], answers[theirs], sameTrack) }
		return nil
	}
}

// saveLayered compares saves with and without a layer, one by one or in bulk.
func saveLayered(n int, bulk bool, layer, none func(driver.Store) driver.Store) func(context.Context, *dataset, *contest) error {
	return func(ctx context.Context, d *dataset, c *contest) error {
		var versions [2]map[Key]repository.Entry // saved by turns
		for v := range versions {
			versions[v] = make(map[Key]repository.Entry)
			for i := range min(n, d.rows) {
				r := newRow(i, v)
				versions[v][r.key] = repository.Entry{Payload: r.payload}
			}
		}
		for s, wrap := range [2]func(driver.Store) driver.Store{
			ours: layer, theirs: none,
		} {
			repo, err := openLayered(ctx, d, c, side(s), wrap, settings.Uncompressed)
			if err != nil {
				return err
			}
			c.run[s] = func(round int) error {
				if bulk {
					return repo.SaveEntries(ctx, versions[round%2])
				}
				for k, e := range versions[round%2] {
					if err := repo.SaveEntry(ctx, k, e); err != nil {
						return err
					}
				}
				return nil
			}
		}
		c.ops = len(versions[0])
		c.verify = func(int) error { return nil }
		return nil
	}
}
