package filesystem

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/parallel"
)

// maxRenames is how many entries are replaced under one lock, so that nobody waits
// for long.
const maxRenames = 64

func (t *table) Put(ctx context.Context, entries []driver.Entry) error {
	return t.store.run(ctx, "save to", t.id.spec.Name, func() error {
		_, err := t.save(ctx, func() []saving { return t.savings(entries, nil) })
		return err
	})
}

// saving is an entry with its place, and the name of its temporary file while there
// is one.
type saving struct {
	place
	number    int           // among those of the call
	entry     *driver.Entry // of a renewal: while its file is being written
	temporary string
	saved     bool      // it has taken its place
	cachedAt  time.Time // and with it, when it was used last

	condition *driver.Condition // nil for none

	renewal *driver.Renewal // nil for an entry that is given
	seen    string          // the head of the entry that is renewed
	again   bool            // another has taken its place meanwhile
}

func (t *table) savings(entries []driver.Entry, c *driver.Condition) []saving {
	all := make([]saving, len(entries))
	var lines []byte
	for i := range entries {
		e := &entries[i]
		lines = t.id.append(lines[:0], e.Key)
		all[i] = saving{place: t.id.place(lines, e.Key), number: i, entry: e, cachedAt: e.CachedAt, condition: c}
	}
	return all
}

// save puts all that start returns, once more where the folder was removed meanwhile. It
// does not put them into one that was moved: disks of this machine tell folders apart,
// others need not.
func (t *table) save(ctx context.Context, start func() []saving) ([]saving, error) {
	f := t.hold()
	defer func() { f.release() }()
	if t.saves.Add(1)%sweepEach == 0 {
		defer func() { f.sweepSome() }()
	}
	again := func() error {
		if err := t.reopen(ctx, f); err != nil {
			return err
		}
		f.release()
		f = t.hold()
		return nil
	}
	if t.store.own && t.local && isElsewhere(f.info, t.root) {
		if err := again(); err != nil {
			return nil, err
		}
	}
	all := start()
	err := t.put(ctx, f, all)
	if errors.Is(err, fs.ErrNotExist) {
		if err := again(); err != nil {
			return nil, err
		}
		all = start()
		err = t.put(ctx, f, all)
	}
	return all, err
}

// put writes groups of entries that share a lock. It changes the order of all.
func (t *table) put(ctx context.Context, f *folder, all []saving) error {
	// Of two entries with one key, the later stays the later.
	slices.SortStableFunc(all, func(a, b saving) int { return cmp.Compare(a.shard(), b.shard()) })
	var groups [][]saving
	for len(all) > 0 {
		n := 1
		for n < min(len(all), maxRenames) && all[n].stripe() == all[0].stripe() {
			n++
		}
		// One key in two groups would be written by two goroutines.
		for n < len(all) && all[n].shard() == all[n-1].shard() && n >= maxRenames {
			n++
		}
		groups, all = append(groups, all[:n]), all[n:]
	}
	var taken atomic.Int64
	return parallel.Do(min(t.store.workers, max(1, len(groups))), func(int) error {
		b := takeBuffers()
		defer b.free()
		for {
			i := int(taken.Add(1)) - 1
			if i >= len(groups) {
				return nil
			}
			if err := t.putGroup(ctx, f, b, groups[i]); err != nil {
				return err
			}
		}
	})
}

// putGroup writes temporary files, then has the lock while they take the places of their
// entries.
func (t *table) putGroup(ctx context.Context, f *folder, b *buffers, group []saving) (err error) {
	w, err := f.writer(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.remove(group)) }()
	if err := t.writeGroup(ctx, f, b, w, group); err != nil {
		return err
	}
	var shards [][]saving
	for _, shard := range groupBy(group, func(a, b saving) bool { return a.shard() == b.shard() }) {
		if slices.ContainsFunc(shard, func(s saving) bool { return s.temporary != "" }) {
			shards = append(shards, shard)
		}
	}
	if len(shards) == 0 {
		return nil
	}
	unlock, err := t.lock(ctx, f, group[0].stripe())
	if err != nil {
		return err
	}
	for i := 0; i < len(shards) && err == nil; i++ {
		err = t.replaceShard(ctx, f, b, w, shards[i])
	}
	if slices.ContainsFunc(group, func(s saving) bool { return s.saved }) {
		err = errors.Join(err, w.mark())
	}
	unlock()
	if err == nil && t.store.opts.Sync {
		err = syncShards(f, shards)
	}
	return err
}

// writeGroup writes the temporary files of those entries that may take their places.
func (t *table) writeGroup(ctx context.Context, f *folder, b *buffers, w *writer, group []saving) error {
	var data, lines []byte
	for i := range group {
		if err := ctx.Err(); err != nil {
			return err
		}
		s := &group[i]
		if ok, err := t.prepare(ctx, f, b, s); err != nil || !ok {
			if err != nil {
				return err
			}
			continue
		}
		lines = t.id.append(lines[:0], s.entry.Key)
		if data = appendHead(data[:0], s.entry, lines); data == nil {
			return fmt.Errorf("%w: its key, name and headers take more than %d bytes", driver.ErrTooLarge, maxHead)
		}
		rest := s.entry.Payload
		if len(rest) <= maxJoined {
			data, rest = append(data, rest...), nil
		}
		var err error
		if s.temporary, err = w.write(t.store.opts.Sync, data, rest); err != nil {
			return err
		}
		if s.renewal != nil {
			s.entry = nil // the payload may be large
		}
	}
	return nil
}

// replaceShard moves the temporary files to the places of their entries, as far as
// they still may take them.
func (t *table) replaceShard(ctx context.Context, f *folder, b *buffers, w *writer, shard []saving) (err error) {
	sub, err := f.makeShard(shard[0].shard())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sub.close()) }()
	for i := range shard {
		s := &shard[i]
		if s.temporary == "" {
			continue
		}
		if ok, err := t.confirm(ctx, f, b, s); err != nil || !ok {
			if err != nil {
				return err
			}
			continue
		}
		if err := w.dir.rename(s.temporary, sub, s.name()); err != nil {
			return err
		}
		s.temporary, s.saved = "", true
		if err := sub.touch(s.name(), s.cachedAt); err != nil {
			return err
		}
	}
	return nil
}

// syncShards waits until the names in these folders are on the disk.
func syncShards(f *folder, shards [][]saving) error {
	for _, shard := range shards {
		if err := syncFolder(f.root, shardName(shard[0].shard())); err != nil {
			return err
		}
	}
	return syncFolder(f.root, ".") // the folders may be new
}

// maxJoined is the payload up to which it is copied behind its head, to be written
// with it.
const maxJoined = 64 << 10
