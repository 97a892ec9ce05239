package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
)

// The tables of the lines about growth have so many times the dataset's rows: 10,000,
// 1,000,000 and 5,000,000 by default. Both sides are the library's.
const (
	smallPart   = 10 // of the dataset
	largeTimes  = 10
	largerTimes = 50
)

// grownSize is how long the payloads are.
const grownSize = 200

// grown is the file of a table of n rows, which is made once.
func (d *dataset) grown(ctx context.Context, n int) (string, error) {
	path := filepath.Join(d.folder, fmt.Sprintf("grown-%d.db", n))
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return path, err
	}
	if err := makeTable(ctx, path); err != nil {
		return "", err
	}
	h, err := openHand(path, []string{"journal_mode=OFF", "synchronous=OFF", "cache_size=-65536"})
	if err != nil {
		return "", err
	}
	err = h.grow("DE", 0, n, 1, time.Now().Add(24*time.Hour))
	return path, errors.Join(err, h.close())
}

// grow adds rows with the numbers from first on, each a step behind the one before, in
// the order of their keys: SQLite appends to all its trees.
func (h *hand) grow(market string, first, n, step int, expires time.Time) error {
	_, err := h.number(fmt.Sprintf(`WITH RECURSIVE r(i) AS (VALUES (%d) UNION ALL SELECT i + %d FROM r LIMIT %d)
		INSERT INTO tracks (`+keyColumns+`, status, cached_us, expires_us, name, headers, payload)
		SELECT printf('%%022d', i), '%s', 1, 1, 200, %d, %d, '', '%s', CAST(printf('%%0%dd', i) AS BLOB) FROM r`,
		first, step, n, market, time.Now().UnixMicro(), expires.UnixMicro(), jsonHeaders, grownSize))
	return err
}

func grownKey(i int) Key { return Key{ID: fmt.Sprintf("%022d", i), Market: "DE", Disc: 1, Number: 1} }

// bothGrown opens the library on a table that has grown, and on a small one.
func bothGrown(ctx context.Context, d *dataset, c *contest, times int) (repos [2]*repository.ResponseRepository[Key, []byte], rows [2]int, paths [2]string, err error) {
	rows = [2]int{ours: d.rows * times, theirs: d.rows / smallPart}
	for s, n := range rows {
		if paths[s], err = d.grown(ctx, n); err != nil {
			return repos, rows, paths, err
		}
		if repos[s], err = openRepository(ctx, paths[s], c, payload.Bytes()); err != nil {
			return repos, rows, paths, err
		}
	}
	return repos, rows, paths, nil
}

// getGrown gets rows from all over a table that has grown, against gets from a small one.
func getGrown(times int) func(context.Context, *dataset, *contest) error {
	return func(ctx context.Context, d *dataset, c *contest) error {
		repos, rows, paths, err := bothGrown(ctx, d, c, times)
		if err != nil {
			return err
		}
		const n = getsPerRun
		var wrong [2]error
		getAll := func(s int, get func(Key) ([]byte, error)) func(int) error {
			return func(round int) error {
				r := rand.New(rand.NewPCG(uint64(round), 3))
				for range n {
					i := r.IntN(rows[s])
					b, err := get(grownKey(i))
					if err != nil {
						return err
					}
					if want := fmt.Sprintf("%0*d", grownSize, i); string(b) != want {
						wrong[s] = fmt.Errorf("%v: row %d is %q", side(s), i, b)
					}
				}
				return nil
			}
		}
		c.ops = n
		c.verify = func(int) error { return errors.Join(wrong[:]...) }
		c.byHand = &contest{ops: c.ops, verify: c.verify}
		for s, repo := range repos {
			hand, err := openReader(paths[s])
			if err != nil {
				return err
			}
			c.onClose(hand.close)
			c.run[s] = getAll(s, func(k Key) ([]byte, error) { return found(repo.GetRaw(ctx, k)) })
			c.byHand.run[s] = getAll(s, func(k Key) ([]byte, error) { return hand.payload(&k) })
		}
		return nil
	}
}

// clearGrown clears as many expired rows from all over a table that has grown as from a
// small one.
func clearGrown(times int) func(context.Context, *dataset, *contest) error {
	return func(ctx context.Context, d *dataset, c *contest) error {
		repos, rows, paths, err := bothGrown(ctx, d, c, times)
		if err != nil {
			return err
		}
		expired := rows[theirs] / 10
		var admin, hand [2]*writer // what restores has the rows in its cache
		for s, path := range paths {
			for _, w := range []*[2]*writer{&admin, &hand} {
				if w[s], err = openWriter(path); err != nil {
					return err
				}
				c.onClose(w[s].close)
			}
		}
		c.ops = 1
		c.restore = func(s side) error {
			err := admin[s].grow("expired", 0, expired, rows[s]/expired, time.Now().Add(-time.Hour))
			return errors.Join(err, admin[s].checkpoint())
		}
		cleared := func(n int, err error) error {
			if err == nil && n != expired {
				err = fmt.Errorf("%d rows removed, want %d", n, expired)
			}
			return err
		}
		c.verify = func(int) error {
			for s, w := range admin {
				if n, err := w.number("SELECT count(*) FROM tracks"); err != nil || int(n) != rows[s] {
					return fmt.Errorf("%v: there are %d rows, want %d: %w", side(s), n, rows[s], err)
				}
			}
			return nil
		}
		c.byHand = &contest{ops: c.ops, restore: c.restore, verify: c.verify}
		for s, repo := range repos {
			c.run[s] = func(int) error { return cleared(repo.Clear(ctx, repository.Expired)) }
			c.byHand.run[s] = func(int) error {
				hand[s].expired.bind(0, time.Now().UnixMicro())
				return cleared(hand[s].expired.exec())
			}
		}
		return nil
	}
}
