package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/endpointcache/endpointcache/driver"
)

var _ driver.Compactor = (*Store)(nil)

// Compact implements [driver.Compactor]. It gives all unused pages back, in steps between which
// others write, and empties the write-ahead log. A file of before there were such steps, and a
// database that the package has not opened itself, is rewritten once (VACUUM), for which writers
// wait. While a reader needs what is in the log, the file stays as long as it is until that ends.
func (s *Store) Compact(ctx context.Context) (freed int64, err error) {
	err = s.run(ctx, "compact", "", func() error {
		before, err := s.size(ctx)
		if err != nil {
			return err
		}
		if err := s.compact(ctx); err != nil {
			return err
		}
		after, err := s.size(ctx)
		freed = max(0, before-after)
		return err
	})
	if err != nil {
		return 0, err
	}
	return freed, nil
}

// size is how many bytes there are, on the disk where there is a file.
func (s *Store) size(ctx context.Context) (bytes int64, err error) {
	if s.file != nil {
		return sizeOf(s.file.path) + s.file.logSize(), nil
	}
	err = s.readers.with(ctx, func(c *conn) error {
		sp, err := c.space(ctx)
		bytes = sp.pages * sp.pageSize
		return err
	})
	return bytes, err
}

func (s *Store) compact(ctx context.Context) error {
	switch {
	case s.commits.readOnly:
		return driver.ErrReadOnly
	case s.upkeep == nil:
		return s.commits.alone(ctx, func(c *conn) error { return c.squeeze(ctx) })
	}
	u := s.upkeep
	sp, err := s.file.space(ctx)
	if err != nil {
		return err
	}
	u.owesCut.Store(true) // what is not cut now, upkeep cuts later
	if sp.incremental {
		err = u.giveBack(ctx, sp.free, false)
	} else {
		err = u.commits.alone(ctx, func(c *conn) error { return c.rewrite(ctx) })
	}
	if err == nil {
		err = u.cutAtOnce(ctx)
	}
	if errors.Is(err, errPinned) || errors.Is(err, errAnotherDoes) {
		u.wake()
		return nil
	}
	return err
}

// squeeze gives all unused pages of a database back that is not the store's to set up.
func (c *conn) squeeze(ctx context.Context) error {
	sp, err := c.space(ctx)
	if err != nil {
		return err
	}
	text := "VACUUM"
	if sp.incremental {
		text = fmt.Sprintf("PRAGMA incremental_vacuum(%d)", sp.free)
	}
	return c.pragma(ctx, text)
}
