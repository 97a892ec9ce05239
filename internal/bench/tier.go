package main

import (
	"context"
	"path/filepath"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/sqlite"
	"github.com/endpointcache/endpointcache/tier"
)

// opening opens a store for a side of a contest, which owns it.
type opening func(ctx context.Context, d *dataset, s side) (driver.Store, error)

// tiered opens memory over a store.
func tiered(below opening) opening {
	return func(ctx context.Context, d *dataset, s side) (driver.Store, error) {
		store, err := below(ctx, d, s)
		if err != nil {
			return nil, err
		}
		return tier.New(store, nil)
	}
}

func tierFile(ctx context.Context, d *dataset, s side) (driver.Store, error) {
	return sqlite.Open(ctx, filepath.Join(d.folder, "tier-"+s.String()+".db"), nil)
}

func tierRedis(ctx context.Context, d *dataset, s side) (driver.Store, error) {
	return redisBackend.open(ctx, d, "bench_tier_"+s.String())
}

func plainMemory(context.Context, *dataset, side) (driver.Store, error) { return memory.New(nil) }

// hotRows is how many rows are read again and again.
const hotRows = 1_000

// getTiered compares gets of two stores which hold the same rows, and have all been read before.
func getTiered(stores [2]opening) func(context.Context, *dataset, *contest) error {
	return func(ctx context.Context, d *dataset, c *contest) error {
		n := min(hotRows, d.rows)
		rows := make(map[Key]repository.Entry, n)
		keys := make([]Key, n)
		for i := range n {
			r := newRow(i, 0)
			keys[i], rows[r.key] = r.key, repository.Entry{Payload: r.payload}
		}
		const gets = 10 * hotRows
		answers := [2][][]byte{make([][]byte, gets), make([][]byte, gets)}
		for s, open := range stores {
			store, err := open(ctx, d, side(s))
			if err != nil {
				return err
			}
			c.onClose(store.Close)
			repo, err := newRepository(ctx, store, payload.Bytes())
			if err != nil {
				return err
			}
			c.onClose(func() error {
				_, err := repo.Clear(context.Background(), repository.All)
				return err
			})
			if err := repo.SaveEntries(ctx, rows); err != nil {
				return err
			}
			if _, err := repo.GetManyRaw(ctx, keys); err != nil {
				return err
			}
			c.run[s] = func(round int) (err error) {
				for i := range gets {
					if answers[s][i], err = found(repo.GetRaw(ctx, keys[i*7%n])); err != nil {
						return err
					}
				}
				return nil
			}
		}
		c.ops = gets
		c.verify = func(int) error { return compareAnswers(answers[ours], answers[theirs], sameBytes) }
		return nil
	}
}
