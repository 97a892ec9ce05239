package sqlite

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/endpointcache/endpointcache/internal/mount"
)

// On a full disk even a clear needs some pages of the log, and a checkpoint may need as much
// as the log has: a file that grows until there is no room for the rest of the log would
// take what a clear needs. So no checkpoint begins for which there is no room. And upkeep
// has a reserve, a file beside the database, where the disk is nearly full: a clear that
// finds no room removes it.
const (
	reserveSize = 512 << 10
	nearlyFull  = 64 << 20 // bytes that are free
)

func (f *file) reserve() string { return f.path + "-reserve" }

// free is how many bytes may still be written to the disk, where that is known.
func (f *file) free() (free int64, known bool) {
	free, err := mount.Free(filepath.Dir(f.path))
	return free, err == nil
}

// growth is by how much the file grows when the log is written into it.
func (f *file) growth(sp space) int64 { return sp.pages*sp.pageSize - sizeOf(f.path) }

// fits returns errNoRoom if the disk has no room for what the log would add to the file.
func (f *file) fits(ctx context.Context, c *conn) error {
	free, known := f.free()
	if !known || free >= f.logSize() {
		return nil
	}
	sp, err := c.space(ctx)
	if err == nil && f.growth(sp) > free {
		return errNoRoom
	}
	return err
}

// keepReserve makes the reserve if the disk is nearly full, and removes it if not.
func (f *file) keepReserve() {
	free, known := f.free()
	if !known {
		return
	}
	there := sizeOf(f.reserve()) >= reserveSize
	switch {
	case free >= nearlyFull && there:
		_ = f.spendReserve()
	case free < nearlyFull && !there:
		// Zeros might take no room.
		if os.WriteFile(f.reserve(), bytes.Repeat([]byte("reserve\n"), reserveSize/8), 0o600) != nil {
			_ = f.spendReserve() // half of it helps nobody
		}
	}
}

func (f *file) spendReserve() error {
	if err := os.Remove(f.reserve()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// keepReserve is that of the file, unless somebody needs its room at the moment.
func (u *upkeep) keepReserve() {
	select {
	case u.relieving <- struct{}{}:
		defer func() { <-u.relieving }()
		u.file.keepReserve()
	default:
	}
}

// withReserve does what needs the reserve's room, and makes the reserve again when that is done:
// before, it would take what the rest needs.
func (u *upkeep) withReserve(ctx context.Context, do func() error) error {
	select {
	case u.relieving <- struct{}{}:
		defer func() { <-u.relieving }()
	case <-ctx.Done():
		return ctx.Err()
	}
	defer u.file.keepReserve()
	return do()
}

// relieve makes room on a full disk: for what is saved in the place of what was deleted. Whoever
// needs it sees whether there is some.
func (u *upkeep) relieve(ctx context.Context) {
	_ = u.withReserve(ctx, func() error {
		u.makeRoom(ctx)
		return nil
	})
}

// makeRoom gives unused pages back and empties the log, with the reserve where that is enough.
func (u *upkeep) makeRoom(ctx context.Context) {
	// Where the shrinking finds no room itself, it finds some in an emptied log.
	for range 2 {
		if err := u.shrink(ctx, false); resultCode(err) == codeFull && u.spendFor(ctx, space.toShrink) {
			_ = u.shrink(ctx, false)
		}
		if err := u.cutAtOnce(ctx); errors.Is(err, errNoRoom) && u.spendFor(ctx, u.file.growth) {
			_ = u.cutAtOnce(ctx)
		}
	}
}

// cutAtOnce is cut for somebody who waits for the room that it makes.
func (u *upkeep) cutAtOnce(ctx context.Context) error {
	if u.file.mode != inWAL {
		return nil
	}
	return u.commits.alone(ctx, func(c *conn) error { return u.empty(ctx, c, readersWait, readersWait) })
}

// spendFor spends the reserve, unless there is no room even then for so many bytes, and
// reports whether it has.
func (u *upkeep) spendFor(ctx context.Context, need func(space) int64) bool {
	sp, err := u.file.space(ctx)
	free, known := u.file.free()
	if err == nil && known && need(sp) > free+sizeOf(u.file.reserve()) {
		return false
	}
	return u.file.spendReserve() == nil
}

// clearAnyway is what a clear does that has failed, if there is something. again does
// it once more.
func (t *table) clearAnyway(ctx context.Context, all bool, cause error, again func() (int, error)) (cleared int, err error) {
	switch u := t.store.upkeep; {
	case isDamage(cause) && all:
		return t.clearDamaged(ctx)
	case resultCode(cause) == codeFull && u != nil:
		err = u.withReserve(ctx, func() (err error) {
			u.makeRoom(ctx)
			if err := u.file.spendReserve(); err != nil {
				return errors.Join(cause, err)
			}
			if cleared, err = again(); err == nil {
				u.makeRoom(ctx) // so that what comes next finds what was cleared
			}
			return err
		})
		return cleared, err
	}
	return 0, cause
}
