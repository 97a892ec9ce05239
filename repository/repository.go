package repository

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/endpoint"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/head"
	"github.com/endpointcache/endpointcache/internal/keytype"
	"github.com/endpointcache/endpointcache/internal/secret"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/redact"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

// Options are the settings of a repository that stands alone. A nil *Options means the
// defaults.
type Options struct {
	// Expire is how long responses live where the repository's settings do
	// not say: the default is [settings.DefaultExpire].
	Expire time.Duration

	// Redact says what of responses is not stored, besides what never is, and besides
	// what the repository's settings say.
	Redact redact.Rules

	// DigestKey is the secret that the digests in keys of a [request.Any] are made with, of
	// 16 bytes or more. By default, the store keeps one: whoever can read all of the store
	// can read that, too. Give one that is kept elsewhere against that. With another key,
	// nothing is found that was stored before.
	DigestKey []byte

	// Now is the clock; the default is [time.Now].
	Now func() time.Time
}

// ResponseRepository is the table of one endpoint's responses: K is its key, V
// the value that a response holds. Many goroutines may use it at once.
//
// Methods for many keys take one statement or round trip for each of a few
// hundred keys.
//
// After a save or delete, a response that a fetcher or transport of the same cache
// requested before is not saved under the key.
//
// An error of the store is a driver.OpError, or wraps one; after the store was closed it is
// driver.ErrClosed. A call whose ctx is done returns the error of ctx, wrapped.
//
// It has the methods of [Responses]: Name, Expire, Count and Clear; and for requests
// and responses those of [Routed]: GetResponse, GetResponses, SaveResponse,
// SaveResponses, DeleteResponse and DeleteResponses.
type ResponseRepository[K comparable, V any] struct {
	*Responses
	*keyed[K, V]
	keeper payload.Keeper[V] // the payload's handler, if it is one
}

// Declared is a repository without the methods that need its types. A program with hundreds
// of repositories, of which it uses few by their types, is compiled in a fraction of the time
// if it declares them; [Typed] makes a [ResponseRepository] of one.
type Declared[K comparable, V any] struct {
	Responses *Responses // not embedded: its methods would be compiled for each repository
	keyed     *keyed[K, V]
}

// Typed is a declared repository with the methods that need its types.
func Typed[K comparable, V any](d *Declared[K, V]) *ResponseRepository[K, V] {
	r := &ResponseRepository[K, V]{Responses: d.Responses, keyed: d.keyed}
	r.keeper, _ = r.settings.Payload.(payload.Keeper[V])
	return r
}

// New returns the repository that s describes, with its table in the store, which
// it creates where it is absent. If the entries there were stored by another declaration, New
// migrates them, which takes as long as to read and write them all, or else does what Changed
// of the settings says: by default, the error is a settings.ChangedError. A table of that name
// of which the store remembers no declaration, and that is for another key, is a
// driver.SchemaError. The store stays the caller's to close.
func New[K comparable, V any](ctx context.Context, store driver.Store, s settings.RepositorySettings[K, V], opts *Options) (*ResponseRepository[K, V], error) {
	d, err := Declare(ctx, store, s, opts)
	if err != nil {
		return nil, err
	}
	return Typed(d), nil
}

// Declare is [New] for a repository whose types are not used yet.
func Declare[K comparable, V any](ctx context.Context, store driver.Store, s settings.RepositorySettings[K, V], opts *Options) (*Declared[K, V], error) {
	s, err := s.Resolve()
	if err != nil {
		return nil, err
	}
	r := &keyed[K, V]{settings: s}
	if r.key, err = keytype.Of[K](); err != nil {
		return nil, err
	}
	table, err := open(ctx, store, opts, exchange.Declaration{
		Name: s.Name, Key: r.key.Columns(),
		Expire: s.Expire, ExpireAbsent: s.ExpireAbsent,
		Policy: s.Policy, Methods: endpoint.MethodsOf(s.Endpoint), Endpoint: endpointOf(s),
		Declared: s.Declaration(), Changed: s.Changed, Migration: s.MigrationFrom,
		Scope: s.Scope, Identity: s.Identity, Origin: s.BaseURL, RedirectHosts: s.RedirectHosts, Redact: s.Redact, Limit: s.Limit, Compression: s.Compression,
		Match: r.match, Request: r.requestFor(), Decode: decoder(s), TypedKey: r.typedKeyOrNil,
		KeyType: reflect.TypeFor[K](), KeyOf: r.keyOf,
		Beside: endpoint.BesideURL(s.Endpoint), MatchURL: r.matchURL(), Tags: r.tags(),
	})
	if err != nil {
		return nil, err
	}
	if table.Controls() {
		r.settings.Endpoint = endpoint.ByVary(r.settings.Endpoint)
	}
	if table.Scoped() {
		r.settings.Endpoint = endpoint.ByIdentity(r.settings.Endpoint)
	}
	digesting, err := withDigestKey(ctx, table, endpointOf(r.settings))
	if err != nil {
		return nil, err
	}
	if digesting != nil {
		r.settings.Endpoint = digesting.(request.Endpoint[K])
	}
	r.stored = table
	return &Declared[K, V]{newResponses(table), r}, nil
}

// open opens the table of a declaration.
func open(ctx context.Context, store driver.Store, opts *Options, d exchange.Declaration) (*exchange.Table, error) {
	if store == nil {
		return nil, errors.New("repository: the store is nil")
	}
	var x *exchange.Exchange
	if shared, ok := store.(*exchange.Store); ok {
		x, store = shared.Exchange, shared.Store
	} else {
		var err error
		if x, err = exchange.New(opts.alone()); err != nil {
			return nil, fmt.Errorf("repository %q: %w", d.Name, err)
		}
	}
	d.Expire = cmp.Or(d.Expire, x.Expire())
	return x.Open(ctx, store, d)
}

// endpointOf is the endpoint of settings, nil where there is none.
func endpointOf[K comparable, V any](s settings.RepositorySettings[K, V]) any {
	if s.Endpoint == nil {
		return nil
	}
	return s.Endpoint
}

// withDigestKey is the endpoint with the key of the store for its digests, nil if it wants
// none. The table is open, so that there is a store which keeps one.
func withDigestKey(ctx context.Context, table *exchange.Table, of any) (any, error) {
	if !endpoint.WantsDigestKey(of) {
		return nil, nil
	}
	key, err := table.Exchange().DigestKey(ctx)
	if err != nil {
		return nil, fmt.Errorf("repository %q: %w", table.Name, err)
	}
	return endpoint.WithDigestKey(of, key), nil
}

// alone are the options of an exchange for one repository.
func (o *Options) alone() exchange.Options {
	if o == nil {
		o = &Options{}
	}
	return exchange.Options{Unclosed: true, Expire: o.Expire, Now: o.Now, DigestKey: o.DigestKey, Redact: o.Redact}
}

// Settings are what the repository was made of.
func (r *ResponseRepository[K, V]) Settings() settings.RepositorySettings[K, V] { return r.settings }

// decoder returns what decodes bodies for the names and values in them, and in any case
// to see whether they can be decoded: what is saved can be read.
func decoder[K comparable, V any](s settings.RepositorySettings[K, V]) func([]byte, bool) (any, string, error) {
	_, total := s.Payload.(payload.Total)
	return func(body []byte, wanted bool) (any, string, error) {
		if total && s.NameOf == nil && !wanted {
			return nil, "", nil
		}
		value, err := s.Payload.Decode(body)
		if err != nil || s.NameOf == nil {
			return value, "", err
		}
		return value, s.NameOf(value), nil
	}
}

func (r *ResponseRepository[K, V]) decode(key K, body []byte) (V, error) {
	if r.keeper != nil {
		return r.keeper.Keep(r.own(body)), nil
	}
	value, err := r.settings.Payload.Decode(body)
	if err != nil {
		return value, &DecodeError{Repository: r.Name(), Key: key, Err: err}
	}
	return value, nil
}

// Contains reports whether there is a live value for key. It reads no payload.
func (r *ResponseRepository[K, V]) Contains(ctx context.Context, key K) (bool, error) {
	_, ok, err := r.getValue(ctx, key, 0, nil)
	return ok, err
}

// Missing returns the keys that have no live value, in their order and as often as
// they are given: what is left to be fetched. It reads no payloads.
func (r *ResponseRepository[K, V]) Missing(ctx context.Context, keys []K) ([]K, error) {
	found := make([]bool, len(keys))
	wanted, err := r.driverKeys(ctx, keys)
	if err != nil {
		return nil, err
	}
	table, err := r.view(ctx)
	if err != nil {
		return nil, err
	}
	err = table.Get(ctx, wanted, r.selection(0, nil), func(i int, e driver.Entry) {
		found[i] = exchange.HasValue(e.Status)
	})
	if err != nil {
		return nil, err
	}
	missing := make([]K, 0, len(keys))
	for i, key := range keys {
		if !found[i] {
			missing = append(missing, key)
		}
	}
	return missing, nil
}

// Get returns the value of the live entry for key, and whether there is one. A
// miss is no error. An entry that cannot be decoded is a [DecodeError].
func (r *ResponseRepository[K, V]) Get(ctx context.Context, key K, opts ...ReadOption) (V, bool, error) {
	e, ok, err := r.getValue(ctx, key, driver.Payload, opts)
	if err != nil || !ok {
		var none V
		return none, false, err
	}
	value, err := r.decode(key, e.Payload)
	return value, err == nil, err
}

// GetRaw is [ResponseRepository.Get] without decoding: it returns the body as it
// was saved, which belongs to the caller.
func (r *ResponseRepository[K, V]) GetRaw(ctx context.Context, key K, opts ...ReadOption) ([]byte, bool, error) {
	e, ok, err := r.getValue(ctx, key, driver.Payload, opts)
	if err != nil || !ok {
		return nil, false, err
	}
	return r.own(e.Payload), true, nil
}

// GetEntry returns the live entry for key, of any status, which belongs to the
// caller, and whether there is one.
func (r *ResponseRepository[K, V]) GetEntry(ctx context.Context, key K, opts ...ReadOption) (Entry, bool, error) {
	e, ok, err := r.get(ctx, key, driver.Payload|driver.Meta, opts)
	if err != nil || !ok {
		return Entry{}, false, err
	}
	e.Payload = r.own(e.Payload)
	return newEntry(ctx, r.table, e), true, nil
}

// getValue is get for entries that hold a value.
func (r *ResponseRepository[K, V]) getValue(ctx context.Context, key K, parts driver.Parts, opts []ReadOption) (driver.Entry, bool, error) {
	e, ok, err := r.get(ctx, key, parts, opts)
	return e, ok && exchange.HasValue(e.Status), err
}

func (r *ResponseRepository[K, V]) get(ctx context.Context, key K, parts driver.Parts, opts []ReadOption) (e driver.Entry, ok bool, err error) {
	l := &lookup[K]{key: key}
	values, err := r.identify(ctx, l.values[:0])
	if err != nil {
		return l.found, false, err
	}
	if l.keys[0], err = r.appendKey(values, reflect.ValueOf(&l.key).Elem()); err != nil {
		return l.found, false, err
	}
	table, err := r.view(ctx)
	if err != nil {
		return l.found, false, err
	}
	err = table.Get(ctx, l.keys[:], r.selection(parts, opts), l.visit)
	return l.found, l.ok, err
}

// GetMany returns the values of the live entries for keys. Keys without one are
// not in the map. Where entries cannot be decoded, the map holds the others and
// the error joins a [DecodeError] for each.
func (r *ResponseRepository[K, V]) GetMany(ctx context.Context, keys []K, opts ...ReadOption) (map[K]V, error) {
	return getMany(ctx, r, keys, driver.Payload, exchange.HasValue, opts, true, func(key K, e driver.Entry) (V, error) {
		return r.decode(key, e.Payload)
	})
}

// GetManyRaw is [ResponseRepository.GetMany] without decoding: it returns the
// bodies as they were saved, which belong to the caller.
func (r *ResponseRepository[K, V]) GetManyRaw(ctx context.Context, keys []K, opts ...ReadOption) (map[K][]byte, error) {
	return getMany(ctx, r, keys, driver.Payload, exchange.HasValue, opts, false, func(_ K, e driver.Entry) ([]byte, error) {
		return r.own(e.Payload), nil
	})
}

// GetEntries returns the live entries for keys, of any status, which belong to the caller. Keys
// without one are not in the map.
func (r *ResponseRepository[K, V]) GetEntries(ctx context.Context, keys []K, opts ...ReadOption) (map[K]Entry, error) {
	return getMany(ctx, r, keys, driver.Payload|driver.Meta, anyStatus, opts, false, func(_ K, e driver.Entry) (Entry, error) {
		e.Payload = r.own(e.Payload)
		return newEntry(ctx, r.table, e), nil
	})
}

func anyStatus(int) bool { return true }

// Save stores value as a response of status 200 would be, for as long as the
// repository's expiry or an option says. It has been stored when Save returns.
func (r *ResponseRepository[K, V]) Save(ctx context.Context, key K, value V, opts ...SaveOption) error {
	return r.SaveMany(ctx, map[K]V{key: value}, opts...)
}

// SaveMany stores the values, without what the settings' Redact names. If one cannot be
// encoded, none is stored.
func (r *ResponseRepository[K, V]) SaveMany(ctx context.Context, values map[K]V, opts ...SaveOption) error {
	s, err := newSaving(r.table, opts)
	if err != nil {
		return err
	}
	written := http.Header{"Content-Type": {r.settings.Payload.ContentType()}}
	header, err := head.Encode(Head{Header: written})
	if err != nil {
		return err
	}
	rows := make([]driver.Entry, 0, len(values))
	for key, value := range values {
		saved, err := r.driverKey(ctx, key)
		if err != nil {
			return err
		}
		body, err := r.settings.Payload.Encode(value)
		if err != nil {
			return fmt.Errorf("repository %q: encode value of %s: %w", r.Name(), keytype.Show(key), secret.Error(err))
		}
		row := driver.Entry{
			Key: saved, Status: http.StatusOK, Header: header, Payload: body,
			CachedAt: s.now, ExpiresAt: s.expires,
		}
		if r.settings.NameOf != nil {
			row.Name = r.settings.NameOf(value)
		}
		if row.Header, err = r.table.Tagged(header, saved, value); err != nil {
			return err
		}
		if row.Payload, row.Name, err = r.table.RedactBody(row.Status, written, body, row.Name); err != nil {
			return fmt.Errorf("repository %q: %w", r.Name(), err)
		}
		rows = append(rows, row)
	}
	table, err := r.view(ctx)
	if err != nil {
		return err
	}
	return s.put(ctx, table, rows)
}

// SaveEntry stores a response, as [ResponseRepository.SaveEntries] does.
func (r *ResponseRepository[K, V]) SaveEntry(ctx context.Context, key K, e Entry, opts ...SaveOption) error {
	return r.SaveEntries(ctx, map[K]Entry{key: e}, opts...)
}

// SaveEntries stores responses, whatever their status, without credentials and what
// the settings' Redact names. Their payloads are decoded once, for the name; those that
// cannot be are left out, and the error joins a [DecodeError] for each, or an error for
// one that cannot be redacted. The save sets Name, CachedAt and ExpiresAt.
func (r *ResponseRepository[K, V]) SaveEntries(ctx context.Context, entries map[K]Entry, opts ...SaveOption) error {
	keys := make([]driver.Key, 0, len(entries))
	list := make([]Entry, 0, len(entries))
	for key, e := range entries {
		saved, err := r.driverKey(ctx, key)
		if err != nil {
			return err
		}
		keys, list = append(keys, saved), append(list, e)
	}
	table := r.table // of what is refused
	if len(list) > 0 {
		var err error
		if table, err = r.view(ctx); err != nil {
			return err
		}
	}
	_, err := saveResponses(ctx, table, keys, list, opts)
	return err
}

// Delete removes the entry for key, live or expired, and reports whether there
// was one.
func (r *ResponseRepository[K, V]) Delete(ctx context.Context, key K) (bool, error) {
	n, err := r.DeleteMany(ctx, []K{key})
	return n == 1, err
}

// DeleteMany removes the entries for keys, live and expired, and returns how
// many there were.
func (r *ResponseRepository[K, V]) DeleteMany(ctx context.Context, keys []K) (int, error) {
	deleted, err := r.driverKeys(ctx, keys)
	if err != nil {
		return 0, err
	}
	table, err := r.view(ctx)
	if err != nil {
		return 0, err
	}
	return table.Delete(ctx, deleted)
}

// Pop removes the live entry for key and returns its value, and whether there was
// one, in one step: of callers that pop one key at the same time, one gets it. An
// entry without a value is removed, too, and one that cannot be decoded, which is a
// [DecodeError].
func (r *ResponseRepository[K, V]) Pop(ctx context.Context, key K) (V, bool, error) {
	var none V
	popped, err := r.driverKey(ctx, key)
	if err != nil {
		return none, false, err
	}
	table, err := r.view(ctx)
	if err != nil {
		return none, false, err
	}
	e, ok, err := table.Pop(ctx, popped, r.filter(Live))
	if err != nil || !ok || !exchange.HasValue(e.Status) {
		return none, false, err
	}
	value, err := r.decode(key, e.Payload)
	return value, err == nil, err
}
