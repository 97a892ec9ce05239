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

// maxRemoves is how many entries are removed under one lock. To remove one is faster than
// to replace it.
const maxRemoves = 4 * maxRenames

// Delete holds the lock that is held to replace entries, so that no renewal puts back
// what was deleted. It does not look into files, and so counts a damaged one as well.
func (t *table) Delete(ctx context.Context, keys []driver.Key) (int, error) {
	var deleted atomic.Int64
	err := t.store.run(ctx, "delete from", t.id.spec.Name, func() error {
		f := t.hold()
		defer f.release()
		places := t.places(keys)
		var groups [][]place
		for _, stripe := range groupBy(places, func(a, b place) bool { return a.stripe() == b.stripe() }) {
			groups = slices.AppendSeq(groups, slices.Chunk(stripe, maxRemoves))
		}
		workers := min(t.store.workers, 1+(len(places)-1)/minPerWorker)
		var taken atomic.Int64
		return parallel.Do(workers, func(int) error {
			for {
				i := int(taken.Add(1)) - 1
				if i >= len(groups) {
					return nil
				}
				if err := t.deleteGroup(ctx, f, groups[i], &deleted); err != nil {
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

// places are where the entries with these keys are, folder by folder.
func (t *table) places(keys []driver.Key) []place {
	places := make([]place, len(keys))
	var lines []byte
	for i, key := range keys {
		lines = t.id.append(lines[:0], key)
		places[i] = t.id.place(lines, key)
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Compare(a.shard(), b.shard()) })
	return places
}

// deleteGroup removes the files of entries that share a lock. It does not take it where
// none of their folders is there.
func (t *table) deleteGroup(ctx context.Context, f *folder, places []place, deleted *atomic.Int64) (err error) {
	var subs []subfolder
	var shards [][]place
	defer func() {
		for _, sub := range subs {
			err = errors.Join(err, sub.close())
		}
	}()
	for _, shard := range groupBy(places, func(a, b place) bool { return a.shard() == b.shard() }) {
		sub, ok, err := f.open(shard[0].shard())
		if err != nil {
			return err
		}
		if ok {
			subs, shards = append(subs, sub), append(shards, shard)
		}
	}
	if len(shards) == 0 {
		return nil
	}
	done, err := t.lockToRemove(ctx, f, places[0].stripe())
	if err != nil {
		return err
	}
	some := false
	defer func() { err = errors.Join(err, done(some)) }()
	for i, shard := range shards {
		for _, p := range shard {
			if err := ctx.Err(); err != nil {
				return err
			}
			removed, err := subs[i].remove(p.name())
			if err != nil {
				return err
			}
			if removed {
				some = true
				deleted.Add(1)
			}
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
