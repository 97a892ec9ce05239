package repository

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// Responses is a repository without its types: the part that a collection of
// repositories works with. Each [ResponseRepository] has one.
type Responses struct {
	Routed // to this repository alone
	name   string
	table  driver.Table
	traits driver.Traits
	expire time.Duration
	now    func() time.Time

	prompt bool // see driver.PromptTable

	// methods are those that the endpoint names.
	methods []string

	// match takes the key from a request, false where it has none.
	match func(*http.Request) (driver.Key, bool, error)
	// nameOf takes the name from a body, which it checks by decoding it.
	nameOf func(body []byte) (string, error)
	// typedKey is the K of a key, for errors.
	typedKey func(driver.Key) any
}

// Name is the repository's name, and its table's.
func (r *Responses) Name() string { return r.name }

// Expire is how long a response lives where its save does not say otherwise;
// settings.NeverExpire is for ever.
func (r *Responses) Expire() time.Duration { return r.expire }

// Methods are the HTTP methods that the repository's endpoint names, none where it
// names none. The slice is to be read only.
func (r *Responses) Methods() []string { return r.methods }

// GetsPromptly reports whether [Responses.GetMatched] waits for this machine alone,
// see driver.PromptTable.
func (r *Responses) GetsPromptly() bool { return r.prompt }

// Count returns how many entries are in that state, whatever their status: those that
// remember an absence count, too. It reads no payloads.
func (r *Responses) Count(ctx context.Context, state State) (int, error) {
	return r.table.Count(ctx, r.filter(state))
}

// Clear removes the entries in that state and returns how many there were. It
// touches no other repository.
func (r *Responses) Clear(ctx context.Context, state State) (int, error) {
	return r.table.Clear(ctx, r.filter(state))
}

func (r *Responses) filter(state State) driver.Filter {
	return driver.Filter{State: state, Now: instant(r.now())}
}

func (r *Responses) selection(parts driver.Parts, opts []ReadOption) driver.Selection {
	read := reading{state: Live}
	for _, opt := range opts {
		if opt != nil {
			opt(&read)
		}
	}
	return driver.Selection{Filter: r.filter(read.state), Parts: parts}
}

func (r *Responses) saving(opts []SaveOption) (saving, error) {
	s := saving{now: instant(r.now())}
	s.expires = expiry(s.now, r.expire)
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if opt(&s); s.err != nil {
			return s, fmt.Errorf("repository %q: save: %w", r.name, s.err)
		}
	}
	return s, nil
}

// route is Routed's for this repository.
func (r *Responses) route(req *http.Request) (*Responses, driver.Key, bool, error) {
	key, ok, err := r.Match(req)
	return r, key, ok, err
}

// Match takes the key from a request. It is false where the request is not one
// of the repository's endpoint.
func (r *Responses) Match(req *http.Request) (driver.Key, bool, error) {
	key, ok, err := r.match(req)
	if err != nil {
		return nil, false, fmt.Errorf("repository %q: key of request: %w", r.name, err)
	}
	return key, ok, nil
}

// GetMatched returns the entries of keys that [Responses.Match] has taken, in
// their order, nil for a miss. Payloads are to be read only.
func (r *Responses) GetMatched(ctx context.Context, keys []driver.Key, opts ...ReadOption) ([]*Entry, error) {
	entries := make([]*Entry, len(keys))
	err := r.table.Get(ctx, keys, r.selection(driver.Payload|driver.Meta, opts), func(i int, e driver.Entry) {
		entry := newEntry(e)
		entries[i] = &entry
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// SaveMatched saves the entries under the keys of the same index, of two with
// the same key the later. Those whose payload cannot be decoded are left out: the
// error, which joins a [DecodeError] for each, tells of them, and the number is
// that of those saved.
func (r *Responses) SaveMatched(ctx context.Context, keys []driver.Key, entries []Entry, opts ...SaveOption) (int, error) {
	s, err := r.saving(opts)
	if err != nil {
		return 0, err
	}
	if len(keys) != len(entries) {
		return 0, fmt.Errorf("repository %q: save: %d keys for %d entries", r.name, len(keys), len(entries))
	}
	var refused []error
	rows := make([]driver.Entry, 0, len(entries))
	for i, e := range entries {
		if e.Status == 0 {
			e.Status = http.StatusOK
		}
		name := ""
		if HasValue(e.Status) {
			if name, err = r.nameOf(e.Payload); err != nil {
				refused = append(refused, &DecodeError{Repository: r.name, Key: r.typedKey(keys[i]), Err: err})
				continue
			}
		}
		rows = append(rows, driver.Entry{
			Key: keys[i], Name: name, Status: e.Status, Header: e.head, Payload: e.Payload,
			CachedAt: s.now, ExpiresAt: s.expires,
		})
	}
	if err := r.table.Put(ctx, rows); err != nil {
		return 0, errors.Join(append(refused, err)...)
	}
	return len(rows), errors.Join(refused...)
}

// DeleteMatched removes the entries of keys and returns how many there were.
func (r *Responses) DeleteMatched(ctx context.Context, keys []driver.Key) (int, error) {
	return r.table.Delete(ctx, keys)
}

func newEntry(e driver.Entry) Entry {
	return Entry{
		Name: e.Name, Status: e.Status, Payload: e.Payload,
		CachedAt: e.CachedAt, ExpiresAt: e.ExpiresAt, head: e.Header,
	}
}

// own makes a payload that the store returned the caller's own.
func (r *Responses) own(payload []byte) []byte {
	if r.traits.SharesPayload {
		return append([]byte{}, payload...)
	}
	return payload
}
