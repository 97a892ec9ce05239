package repository

import (
	"context"
	"fmt"
	"net/http"

	"github.com/endpointcache/endpointcache/driver"
)

// Presence is what a repository knows of a key.
type Presence uint8

// What a repository can know of a key.
const (
	Unknown Presence = iota // nothing that is live: the API has to be asked
	Present                 // there is a live value
	Absent                  // the API is known to have none: it said 404 or 410
)

func (p Presence) String() string {
	switch p {
	case Unknown:
		return "unknown"
	case Present:
		return "present"
	case Absent:
		return "absent"
	}
	return fmt.Sprintf("Presence(%d)", uint8(p))
}

// presenceOf is what an entry with this status tells.
func presenceOf(status int) Presence {
	switch {
	case HasValue(status):
		return Present
	case status == http.StatusNotFound, status == http.StatusGone:
		return Absent
	}
	return Unknown
}

// Presence returns what is known of each key, by its index. It reads no payloads.
func (r *ResponseRepository[K, V]) Presence(ctx context.Context, keys []K) ([]Presence, error) {
	presence := make([]Presence, len(keys))
	wanted, err := r.driverKeys(keys)
	if err != nil {
		return nil, err
	}
	err = r.table.Get(ctx, wanted, r.selection(0, nil), func(i int, e driver.Entry) {
		presence[i] = presenceOf(e.Status)
	})
	if err != nil {
		return nil, err
	}
	return presence, nil
}

// Found is what a lookup has found for a key.
type Found[V any] struct {
	Presence Presence
	Value    V     // of a key that is present, unless there is an error
	Err      error // a [DecodeError]
}

// Lookup is [ResponseRepository.GetMany] that also tells which keys are known to be
// absent. What it has found for a key is at the key's index.
func (r *ResponseRepository[K, V]) Lookup(ctx context.Context, keys []K, opts ...ReadOption) ([]Found[V], error) {
	found := make([]Found[V], len(keys))
	err := r.readBulk(ctx, keys, driver.Payload, opts, func(h hit) {
		f := Found[V]{Presence: presenceOf(h.entry.Status)}
		if f.Presence == Present {
			f.Value, f.Err = r.decode(keys[h.i], h.entry.Payload)
		}
		found[h.i] = f
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// SaveAbsent remembers that the API has nothing for keys, for as long as
// [settings.RepositorySettings.ExpireAbsent] says. Where it says not at all, what
// there is for keys is removed.
func (r *ResponseRepository[K, V]) SaveAbsent(ctx context.Context, keys []K) error {
	if r.settings.ExpireAbsent == 0 {
		_, err := r.DeleteMany(ctx, keys)
		return err
	}
	s, err := r.saving([]SaveOption{ExpireIn(r.settings.ExpireAbsent)})
	if err != nil {
		return err
	}
	absent, err := r.driverKeys(keys)
	if err != nil {
		return err
	}
	rows := make([]driver.Entry, len(keys))
	for i, key := range absent {
		rows[i] = driver.Entry{Key: key, Status: http.StatusNotFound, CachedAt: s.now, ExpiresAt: s.expires}
	}
	return r.table.Put(ctx, rows)
}

// Decoded is a response with the value that it holds.
type Decoded[K comparable, V any] struct {
	Key   K
	Entry Entry // its status is 200
	Value V
}

// Decode returns the value that a response of the repository's endpoint holds. What
// cannot be decoded is a [DecodeError]. The value may be the payload itself.
func (r *ResponseRepository[K, V]) Decode(key K, e Entry) (V, error) {
	return r.decode(key, e.Payload)
}

// SaveDecoded stores responses that have been decoded, so that they need not be
// decoded again for their names. Of two with the same key, the later wins.
func (r *ResponseRepository[K, V]) SaveDecoded(ctx context.Context, responses []Decoded[K, V], opts ...SaveOption) error {
	s, err := r.saving(opts)
	if err != nil {
		return err
	}
	rows := make([]driver.Entry, len(responses))
	for i, d := range responses {
		key, err := r.driverKey(d.Key)
		if err != nil {
			return err
		}
		rows[i] = driver.Entry{
			Key: key, Status: http.StatusOK, Header: d.Entry.head, Payload: d.Entry.Payload,
			CachedAt: s.now, ExpiresAt: s.expires,
		}
		if r.settings.NameOf != nil {
			rows[i].Name = r.settings.NameOf(d.Value)
		}
	}
	return r.table.Put(ctx, rows)
}
