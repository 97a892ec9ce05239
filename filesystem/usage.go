package filesystem

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/parallel"
)

// unused is the time of change of files whose entries were cached earlier still, which not
// all file systems can tell.
var unused = time.Unix(0, 0).UTC()

// Use sets when files were changed, and reads and writes none of them. It takes no lock:
// what takes the place of an entry meanwhile is not used before it was cached.
func (t *table) Use(ctx context.Context, keys []driver.Key, at time.Time) error {
	return t.store.run(ctx, "use", t.id.spec.Name, func() error {
		f := t.hold()
		defer f.release()
		places := t.places(keys)
		groups := groupBy(places, func(a, b place) bool { return a.shard() == b.shard() })
		workers := min(t.store.workers, 1+len(places)/minPerWorker)
		var taken atomic.Int64
		return parallel.Do(workers, func(int) error {
			for {
				i := int(taken.Add(1)) - 1
				if i >= len(groups) {
					return nil
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := f.use(groups[i], at); err != nil {
					return err
				}
			}
		})
	})
}

// use records that entries of one folder were used.
func (f *folder) use(places []place, at time.Time) (err error) {
	sub, ok, err := f.open(places[0].shard())
	if err != nil || !ok {
		return err
	}
	defer func() { err = errors.Join(err, sub.close()) }()
	for _, p := range places {
		_, modified, ok, err := sub.stat(p.name())
		if err == nil && ok && modified.Before(at) {
			err = sub.touch(p.name(), at)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Size asks for the sizes of the files with names of entries, and opens none.
func (t *table) Size(ctx context.Context) (driver.Size, error) {
	var entries, bytes atomic.Int64
	err := t.store.run(ctx, "size of", t.id.spec.Name, func() error {
		f := t.hold()
		defer f.release()
		return t.eachShard(ctx, func(_ *buffers, shard byte) (err error) {
			sub, ok, err := f.open(shard)
			if err != nil || !ok {
				return err
			}
			defer func() { err = errors.Join(err, sub.close()) }()
			names, err := sub.names()
			if err != nil {
				return err
			}
			for _, name := range entryNames(names) {
				if err := ctx.Err(); err != nil {
					return err
				}
				size, _, ok, err := sub.stat(name)
				if err != nil {
					return err
				}
				if ok {
					entries.Add(1)
					bytes.Add(size)
				}
			}
			return nil
		})
	})
	if err != nil {
		return driver.Size{}, err
	}
	return driver.Size{Entries: int(entries.Load()), Bytes: bytes.Load()}, nil
}
