package filesystem

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/parallel"
)

// Delete needs no lock: of several who remove a file, the system lets one succeed.
// It does not look into files, and so counts a damaged one as well.
func (t *table) Delete(ctx context.Context, keys []driver.Key) (int, error) {
	var deleted atomic.Int64
	err := t.store.run(ctx, "delete from", t.id.spec.Name, func() error {
		f := t.folder.Load()
		places := make([]place, len(keys))
		var lines []byte
		for i, key := range keys {
			lines = t.id.append(lines[:0], key)
			places[i] = t.id.place(lines, key)
		}
		slices.SortFunc(places, func(a, b place) int { return cmp.Compare(a.shard(), b.shard()) })
		groups := groupBy(places, func(a, b place) bool { return a.shard() == b.shard() })
		workers := min(t.store.workers, 1+(len(places)-1)/minPerWorker)
		var taken atomic.Int64
		return parallel.Do(workers, func(int) error {
			for {
				i := int(taken.Add(1)) - 1
				if i >= len(groups) {
					return nil
				}
				if err := f.deleteFrom(ctx, groups[i], &deleted); err != nil {
					return err
				}
			}
		})
	})
	if err != nil {
		return 0, err
	}
	return int(deleted.Load()), nil
}

// deleteFrom removes the files of entries in one folder.
func (f *folder) deleteFrom(ctx context.Context, places []place, deleted *atomic.Int64) (err error) {
	sub, ok, err := f.open(places[0].shard())
	if err != nil || !ok {
		return err
	}
	defer func() { err = errors.Join(err, sub.close()) }()
	for _, p := range places {
		if err := ctx.Err(); err != nil {
			return err
		}
		removed, err := sub.remove(p.name())
		if err != nil {
			return err
		}
		if removed {
			deleted.Add(1)
		}
	}
	return nil
}

// groupBy splits a slice where neighbours do not belong together.
func groupBy[T any](all []T, together func(a, b T) bool) (groups [][]T) {
	for len(all) > 0 {
		n := 1
		for n < len(all) && together(all[n-1], all[n]) {
			n++
		}
		groups, all = append(groups, all[:n]), all[n:]
	}
	return groups
}
