package settings

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/head"
	"github.com/endpointcache/endpointcache/internal/keytype"
	"github.com/endpointcache/endpointcache/internal/secret"
	"github.com/endpointcache/endpointcache/payload"
)

// Migration leads from the entries of older settings to those of a repository with keys K and
// values V. [MigrateFrom] and [MigrateKeys] make it.
type Migration[K comparable, V any] struct {
	name string
	err  error

	// lead is the step from a stored declaration to the older settings.
	lead func(stored Declaration) (Step, bool)

	// step is the one from there to the settings.
	step func(s *RepositorySettings[K, V]) Step
}

// Outcome is what a [Step] has made of an entry.
type Outcome uint8

// The outcomes of a step.
const (
	Dropped   Outcome = iota // the entry is not to be kept
	Moved                    // it has another key, or the same
	Rewritten                // it has another payload, too, which holds a value
)

// Step makes an entry of newer settings out of one of older ones. Its key is without an
// identity.
type Step func(e *driver.Entry) (Outcome, error)

// MigrateFrom returns the migration from the entries of older settings, whose keys and values
// convert makes into newer ones. If convert returns false, the entry is dropped; an error ends
// the migration, and all entries stay as they were.
//
// An entry keeps its status, times and headers, but for those that are about its bytes, such as
// ETag. If it has no value, such as a remembered absence, convert gets the zero value of V0, and
// the value that it returns is not used. An entry that cannot be decoded, and a part of a
// response, are dropped. Of two that get one key, the one of the later CachedAt is kept.
//
// Convert may be called again for an entry: if the program ends before all is done, the next
// one goes on.
//
// While it runs, older versions of the program can go on using the old entries. From its end
// on, they work without the cache, and cannot open the repository any more. The older settings
// are to have the same Name.
func MigrateFrom[K0 comparable, V0 any, K comparable, V any](older RepositorySettings[K0, V0], convert func(K0, V0) (K, V, bool, error)) Migration[K, V] {
	older, m := migrationFrom[K0, V0, K, V](older)
	m.step = func(s *RepositorySettings[K, V]) Step {
		return func(e *driver.Entry) (Outcome, error) {
			key, ok := keyOf[K0](e)
			value, decoded := valueOf(older.Payload, e)
			if !ok || !decoded {
				return Dropped, nil
			}
			newKey, newValue, keep, err := convert(key, value)
			if err != nil {
				return Dropped, failed(key, err)
			}
			if !keep {
				return Dropped, nil
			}
			if err := setKey(e, newKey); err != nil {
				return Dropped, failed(key, err)
			}
			if !head.HasValue(e.Status) {
				return Moved, nil
			}
			if e.Payload, err = s.Payload.Encode(newValue); err != nil {
				return Dropped, failed(key, err)
			}
			sameType := older.Payload.ContentType() == s.Payload.ContentType()
			if e.Header, err = head.OfAnotherBody(e.Header, s.Payload.ContentType(), sameType); err != nil {
				return Dropped, failed(key, err)
			}
			return Rewritten, nil
		}
	}
	return m
}

// MigrateKeys is [MigrateFrom] for changes of the key alone: the payloads stay as they are, to
// the byte, and are not decoded, and so do headers and names.
//
// It is not needed for fields that were added to the key if a request may lack them: those with
// a query, header or body tag that are not required, and those with a default tag. The entries
// then get the value that a request without the field has, as long as endpoint and payload
// stay the same. Fields that are removed or change their order need a function.
func MigrateKeys[K0, K comparable, V any](older RepositorySettings[K0, V], convert func(K0) (K, bool, error)) Migration[K, V] {
	_, m := migrationFrom[K0, V, K, V](older)
	m.step = func(*RepositorySettings[K, V]) Step {
		return func(e *driver.Entry) (Outcome, error) {
			key, ok := keyOf[K0](e)
			if !ok {
				return Dropped, nil
			}
			newKey, keep, err := convert(key)
			if err == nil && keep {
				err = setKey(e, newKey)
			}
			if err != nil {
				return Dropped, failed(key, err)
			}
			if !keep {
				return Dropped, nil
			}
			return Moved, nil
		}
	}
	return m
}

// migrationFrom is a migration without its step, and the older settings as they are used.
func migrationFrom[K0 comparable, V0 any, K comparable, V any](older RepositorySettings[K0, V0]) (RepositorySettings[K0, V0], Migration[K, V]) {
	older, err := older.Resolve()
	m := Migration[K, V]{name: older.Name, err: err}
	m.lead = func(stored Declaration) (Step, bool) {
		if !stored.differsWithin(older.Declaration()) {
			return func(*driver.Entry) (Outcome, error) { return Moved, nil }, true
		}
		return older.MigrationFrom(stored)
	}
	return older, m
}

func keyOf[K comparable](e *driver.Entry) (key K, ok bool) {
	kt, err := keytype.Of[K]()
	if err != nil {
		return key, false
	}
	err = kt.Set(reflect.ValueOf(&key).Elem(), e.Key)
	return key, err == nil
}

// valueOf is the value of an entry, the zero value where it has none. It is false for one that
// cannot be decoded, and for a part.
func valueOf[V any](handler payload.Handler[V], e *driver.Entry) (value V, ok bool) {
	if !head.HasValue(e.Status) {
		return value, !head.IsPart(e.Status)
	}
	value, err := handler.Decode(e.Payload)
	return value, err == nil
}

func setKey[K comparable](e *driver.Entry, key K) error {
	kt, err := keytype.Of[K]()
	if err != nil {
		return err
	}
	e.Key, err = kt.AppendValues(nil, reflect.ValueOf(&key).Elem())
	return err
}

func failed(key any, err error) error {
	return fmt.Errorf("migrate %s: %w", keytype.Show(key), secret.Error(err))
}

// MigrationFrom returns the step that leads to valid settings from the entries of a stored
// declaration which differs from theirs; ok is false where there is none.
func (s RepositorySettings[K, V]) MigrationFrom(stored Declaration) (step Step, ok bool) {
	given := s.Declaration()
	if given.Version < stored.Version {
		return nil, false
	}
	for _, m := range s.Migrations {
		if first, ok := m.lead(stored); ok {
			return first.then(m.step(&s)), true
		}
	}
	if unlike(stored.Endpoint, given.Endpoint) || unlike(stored.Payload, given.Payload) {
		return nil, false
	}
	return extension[K](stored)
}

// then is the step that takes one after the other.
func (s Step) then(next Step) Step {
	return func(e *driver.Entry) (Outcome, error) {
		first, err := s(e)
		if err != nil || first == Dropped {
			return Dropped, err
		}
		second, err := next(e)
		if second == Moved {
			second = first
		}
		return second, err
	}
}

// extension is the step that adds fields to keys.
func extension[K comparable](stored Declaration) (Step, bool) {
	kt, err := keytype.Of[K]()
	if err != nil {
		return nil, false
	}
	extend, ok := kt.Extend(stored.Key)
	return func(e *driver.Entry) (Outcome, error) {
		e.Key = extend(e.Key)
		return Moved, nil
	}, ok
}

func (s *RepositorySettings[K, V]) validateVersion() error {
	switch {
	case s.Version < 0:
		return errors.New("Version is negative")
	case s.Changed > Recreate:
		return fmt.Errorf("Changed: unknown value %d", s.Changed)
	}
	for i, m := range s.Migrations {
		switch {
		case m.step == nil:
			return fmt.Errorf("migration %d: it is none that MigrateFrom or MigrateKeys has made", i)
		case m.err != nil:
			return fmt.Errorf("migration %d: %w", i, m.err)
		case m.name != s.Name:
			return fmt.Errorf("migration %d: it is from a repository of another name, %q", i, m.name)
		}
	}
	return nil
}
