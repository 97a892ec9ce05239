package filesystem

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"

	"github.com/endpointcache/endpointcache/driver"
)

// Examine implements [driver.Examiner]. Files that have names of entries of the table are looked
// at, by [Store.Paths] to be found.
func (s *Store) Examine(ctx context.Context, spec driver.TableSpec, sel driver.Selection) iter.Seq2[driver.Examined, error] {
	return func(yield func(driver.Examined, error) bool) {
		t, err := s.ownTable(ctx, spec)
		if err != nil {
			yield(driver.Examined{}, err)
			return
		}
		only := t.selection(sel)
		for path, err := range t.paths(ctx) {
			var found driver.Examined
			ok := false
			if err == nil {
				found, ok, err = t.examined(ctx, path, only)
			}
			if err != nil {
				yield(driver.Examined{}, err)
				return
			}
			if ok && !yield(found, nil) {
				return
			}
		}
	}
}

// examined is an entry's file with what is wrong with it. ok is false where it is not selected, or
// gone.
func (t *table) examined(ctx context.Context, path string, sel selection) (found driver.Examined, ok bool, err error) {
	err = t.store.run(ctx, "examine", t.id.spec.Name, func() error {
		f := t.hold()
		defer f.release()
		b := takeBuffers()
		defer b.free()
		found.Entry, ok, err = t.examine(f, b, path, sel)
		if err == nil && ok {
			found.Key, err = t.id.parse(b.head.key)
		}
		var d damage
		switch {
		case errors.Is(err, fs.ErrNotExist):
			ok = false
			return nil
		case errors.As(err, &d):
			found.Fault, ok = fmt.Errorf("%w: %s", d, path), true
			found.Payload = nil
			if key, err := t.id.parse(b.head.key); err == nil && d == errPayload {
				found.Key = key
			}
			return nil
		}
		return err
	})
	return found, ok, err
}
