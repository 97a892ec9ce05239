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

// save puts all that start returns, once more where the folder was removed meanwhile.
func (t *table) save(ctx context.Context, start func() []saving) ([]saving, error) {
	f := t.folder.Load()
	all := start()
	err := t.put(ctx, f, all)
	if errors.Is(err, fs.ErrNotExist) {
		if err := t.reopen(ctx, f); err != nil {
			return nil, err
		}
		all = start()
		err = t.put(ctx, t.folder.Load(), all)
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

// putGroup writes temporary files, each beside the place of its entry, then has the
// lock while they take these places.
func (t *table) putGroup(ctx context.Context, f *folder, b *buffers, group []saving) (err error) {
	defer func() { err = errors.Join(err, f.removeTemporary(group)) }()
	var shards [][]saving
	for _, shard := range groupBy(group, func(a, b saving) bool { return a.shard() == b.shard() }) {
		written, err := t.writeShard(ctx, f, b, shard)
		if err != nil {
			return err
		}
		if written {
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
		err = t.replaceShard(ctx, f, b, shards[i])
	}
	unlock()
	if err == nil && t.store.opts.Sync {
		err = syncShards(f, shards)
	}
	return err
}

// writeShard writes the temporary files of those entries in one folder that may take
// their places, and reports whether there are any.
func (t *table) writeShard(ctx context.Context, f *folder, b *buffers, shard []saving) (written bool, err error) {
	var sub subfolder
	defer func() {
		if written {
			err = errors.Join(err, sub.close())
		}
	}()
	var data, lines []byte
	for i := range shard {
		if err := ctx.Err(); err != nil {
			return written, err
		}
		s := &shard[i]
		if ok, err := t.prepare(ctx, f, b, s); err != nil || !ok {
			if err != nil {
				return written, err
			}
			continue
		}
		if !written {
			if sub, err = f.makeShard(s.shard()); err != nil {
				return false, err
			}
			written = true
		}
		lines = t.id.append(lines[:0], s.entry.Key)
		if data = appendHead(data[:0], s.entry, lines); data == nil {
			return written, fmt.Errorf("%w: its key, name and headers take more than %d bytes", driver.ErrTooLarge, maxHead)
		}
		rest := s.entry.Payload
		if len(rest) <= maxJoined {
			data, rest = append(data, rest...), nil
		}
		if s.temporary, err = write(sub, t.store.opts.Sync, data, rest); err != nil {
			return written, err
		}
		if s.renewal != nil {
			s.entry = nil // the payload may be large
		}
	}
	return written, nil
}

// replaceShard moves the temporary files to the places of their entries, as far as
// they still may take them.
func (t *table) replaceShard(ctx context.Context, f *folder, b *buffers, shard []saving) (err error) {
	sub, err := f.reader.subfolder(shardName(shard[0].shard()))
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
		if err := sub.rename(s.temporary, s.name()); err != nil {
			return err
		}
		s.temporary, s.saved = "", true
		if err := sub.touch(s.name(), s.cachedAt); err != nil {
			return err
		}
	}
	return nil
}

// removeTemporary removes the files that have not taken their places.
func (f *folder) removeTemporary(group []saving) error {
	var errs []error
	for _, s := range group {
		if s.temporary == "" {
			continue
		}
		err := f.root.Remove(shardName(s.shard()) + "/" + s.temporary)
		if !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
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

// write writes a temporary file of two parts into a folder and returns its name.
func write(sub subfolder, sync bool, data, rest []byte) (name string, err error) {
	name = temporaryName()
	file, err := sub.create(name)
	if err != nil {
		return "", err
	}
	_, err = file.Write(data)
	if err == nil && len(rest) > 0 {
		_, err = file.Write(rest)
	}
	if err == nil && sync {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		return name, nil
	}
	if tooLarge(err) {
		err = fmt.Errorf("%w: %w", driver.ErrTooLarge, err)
	}
	_, removeErr := sub.remove(name)
	return "", errors.Join(err, removeErr)
}
