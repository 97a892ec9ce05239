package seal

import (
	"context"
	"errors"
	"iter"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/ruined"
)

// Examine implements [driver.Examiner]. An entry that cannot be opened is told of as it is below.
func (s *Store) Examine(ctx context.Context, spec driver.TableSpec, sel driver.Selection) iter.Seq2[driver.Examined, error] {
	return func(yield func(driver.Examined, error) bool) {
		own, err := newSchema(spec, &s.opts, s.digester)
		if err != nil {
			yield(driver.Examined{}, s.opError("examine", spec.Name, err))
			return
		}
		below, err := s.below.OpenTable(ctx, own.below())
		if err != nil {
			yield(driver.Examined{}, s.schemaError(ctx, own, err))
			return
		}
		t := s.plainTable(below, own, s.shared(spec.Name))
		o := t.opening(ctx, sel)
		for found, err := range driver.Examine(ctx, s.below, below, own.below(), o.below()) {
			if err != nil {
				yield(driver.Examined{}, err)
				return
			}
			if o.examine(&found) && !yield(found, nil) {
				return
			}
		}
	}
}

// examine opens an entry, or tells why that cannot be done. It reports whether the entry is to be
// handed out, and notes nothing.
func (o *opening) examine(found *driver.Examined) bool {
	if found.Fault != nil || ruined.Is(&found.Entry) {
		return true
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	parts := o.sel.Parts
	if o.rest {
		parts |= driver.Meta
	}
	sealed := found.Entry
	if _, _, err := o.t.openSince(o.begun, s, found.Key, &found.Entry, parts); err != nil {
		found.Entry, found.Fault = sealed, fault(err)
		found.Payload, found.Header, found.Name = nil, "", ""
		if o.t.any {
			found.Key = nil // it is not the caller's
		}
		return true
	}
	return !o.rest || o.sel.Match(found.Entry)
}

// fault is what is told of a cause, without what it may hold of keys or contents. It is [ErrUnknownKey] if the key is missing.
func fault(err error) error {
	if errors.Is(err, errUnknown) {
		return missingKey{}
	}
	return errors.New(reason(err))
}

type missingKey struct{}

func (missingKey) Error() string { return errUnknown.Error() }

func (missingKey) Is(target error) bool { return target == ErrUnknownKey }
