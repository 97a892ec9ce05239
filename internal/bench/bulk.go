package main

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	json "github.com/go-json-experiment/json/v1"

	"github.com/endpointcache/endpointcache/payload"
)

// chunk is how many keys the hand-written bulk get has in a statement.
const chunk = 500

func getMany(n int) func(context.Context, *dataset, *contest) error {
	return func(ctx context.Context, d *dataset, c *contest) error {
		repo, err := openRepository(ctx, d.path(), c, payload.Bytes())
		if err != nil {
			return err
		}
		read, err := newBulkReader(d, c)
		if err != nil {
			return err
		}
		compareBulk(d, c, n, sameBytes,
			func(keys []Key) (map[Key][]byte, error) { return repo.GetManyRaw(ctx, keys) },
			read.payloads)
		return nil
	}
}

func getManyTyped(n int) func(context.Context, *dataset, *contest) error {
	return func(ctx context.Context, d *dataset, c *contest) error {
		repo, err := openRepository(ctx, d.path(), c, payload.JSON[Track]())
		if err != nil {
			return err
		}
		read, err := newBulkReader(d, c)
		if err != nil {
			return err
		}
		compareBulk(d, c, n, sameTrack,
			func(keys []Key) (map[Key]Track, error) { return repo.GetMany(ctx, keys) },
			func(keys []Key) ([]Track, error) {
				bodies, err := read.payloads(keys)
				if err != nil {
					return nil, err
				}
				tracks := make([]Track, len(bodies))
				for i, b := range bodies {
					if err := json.Unmarshal(b, &tracks[i]); err != nil {
						return nil, err
					}
				}
				return tracks, nil
			})
		return nil
	}
}

// compareBulk is a contest of one bulk get of n keys. The library answers with a
// map, the hand-written code with a slice, which is cheaper to fill.
func compareBulk[T any](d *dataset, c *contest, n int, same func(a, b T) bool, byUs func([]Key) (map[Key]T, error), byHand func([]Key) ([]T, error)) {
	var (
		values map[Key]T
		slice  []T
	)
	c.ops = len(d.some(n, 0))
	c.run[ours] = func(round int) (err error) {
		values, err = byUs(d.some(n, round))
		return err
	}
	c.run[theirs] = func(round int) (err error) {
		slice, err = byHand(d.some(n, round))
		return err
	}
	c.verify = func(round int) error {
		keys := d.some(n, round)
		if len(values) != len(keys) || len(slice) != len(keys) {
			return fmt.Errorf("%d and %d answers for %d keys", len(values), len(slice), len(keys))
		}
		inOrder := make([]T, len(keys))
		for i, k := range keys {
			inOrder[i] = values[k]
		}
		defer func() { values, slice = nil, nil }()
		return compareAnswers(inOrder, slice, same)
	}
}

// bulkReader is the hand-written bulk get: a statement for each chunk of keys.
type bulkReader struct {
	*hand
	statements map[int]*statement // by the number of keys
}

func newBulkReader(d *dataset, c *contest) (*bulkReader, error) {
	h, err := openHand(d.path(), readerPragmas)
	if err != nil {
		return nil, err
	}
	r := &bulkReader{h, make(map[int]*statement)}
	c.onClose(r.close)
	return r, nil
}

func (r *bulkReader) close() error {
	var errs []error
	for _, s := range r.statements {
		errs = append(errs, s.close())
	}
	return errors.Join(append(errs, r.hand.close())...)
}

// payloads returns the payload of each key.
func (r *bulkReader) payloads(keys []Key) ([][]byte, error) {
	payloads := make([][]byte, len(keys))
	now := time.Now().UnixMicro()
	for from := 0; from < len(keys); from += chunk {
		part := keys[from:min(from+chunk, len(keys))]
		s, err := r.statement(len(part))
		if err != nil {
			return nil, err
		}
		for i := range part {
			s.bindKey(keyArgs*i, &part[i])
		}
		s.bind(keyArgs*len(part), now)
		err = s.each(func(row []driver.Value) {
			payloads[from+int(row[0].(int64))] = row[1].([]byte)
		})
		if err != nil {
			return nil, err
		}
	}
	return payloads, nil
}

func (r *bulkReader) statement(keys int) (*statement, error) {
	if s := r.statements[keys]; s != nil {
		return s, nil
	}
	s, err := r.prepare(chunkText(keys), keyArgs*keys+1, 2)
	if err == nil {
		r.statements[keys] = s
	}
	return s, err
}
