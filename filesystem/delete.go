package filesystem

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"sync/atomic"
	"syscall"

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
		if len(places) <= 1 {
			return deleteAll(ctx, f.root, places, place.inTable, &deleted)
		}
		return t.deleteByShard(ctx, f, places, &deleted)
	})
	if err != nil {
		return 0, err
	}
	return int(deleted.Load()), nil
}

// deleteByShard opens each folder of entries once.
func (t *table) deleteByShard(ctx context.Context, f *folder, places []place, deleted *atomic.Int64) error {
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
			root, err := f.root.OpenRoot(shardName(groups[i][0].shard()))
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
				continue
			}
			if err != nil {
				return err
			}
			err = deleteAll(ctx, root, groups[i], place.inShard, deleted)
			if err = errors.Join(err, root.Close()); err != nil {
				return err
			}
		}
	})
}

func deleteAll(ctx context.Context, root *os.Root, places []place, path func(place) string, deleted *atomic.Int64) error {
	for _, p := range places {
		if err := ctx.Err(); err != nil {
			return err
		}
		removed, err := remove(root, path(p))
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
