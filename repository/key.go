package repository

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"reflect"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/keytype"
	"github.com/endpointcache/endpointcache/internal/secret"
	"github.com/endpointcache/endpointcache/settings"
)

// Key takes the key from a request, false where the request is not one of the
// repository's endpoint.
func (r *ResponseRepository[K, V]) Key(req *http.Request) (K, bool, error) {
	if r.settings.Endpoint == nil || req == nil {
		var none K
		return none, false, nil
	}
	return r.settings.Endpoint.Key(req)
}

// keyed is what a table needs of its keys' type, and no more: of a type with methods, all are
// compiled for each endpoint.
type keyed[K comparable, V any] struct {
	settings settings.RepositorySettings[K, V]
	key      *keytype.Type
	stored   *exchange.Table
}

func (r *keyed[K, V]) match(req *http.Request) (driver.Key, bool, error) {
	if r.settings.Endpoint == nil || req == nil {
		return nil, false, nil
	}
	key, ok, err := r.settings.Endpoint.Key(req)
	if err == nil && ok {
		var matched driver.Key
		if matched, err = r.ownKey(key); err == nil {
			return matched, true, nil
		}
	}
	if err != nil {
		err = fmt.Errorf("repository %q: key of request: %w", r.settings.Name, secret.Error(err))
	}
	return nil, false, err
}

// requestFor returns what makes requests for keys without an identity, nil without an endpoint.
func (r *keyed[K, V]) requestFor() func(context.Context, *url.URL, driver.Key) (*http.Request, error) {
	if r.settings.Endpoint == nil {
		return nil
	}
	return func(ctx context.Context, base *url.URL, key driver.Key) (*http.Request, error) {
		var typed K
		if err := r.key.Set(reflect.ValueOf(&typed).Elem(), key); err != nil {
			return nil, fmt.Errorf("repository %q: %w", r.settings.Name, err)
		}
		return r.settings.Endpoint.Request(ctx, base, typed)
	}
}

// matchURL returns what takes the key from a request's URL alone, nil where the endpoint
// does not have it.
func (r *keyed[K, V]) matchURL() func(*http.Request) (driver.Key, bool) {
	type urlEndpoint interface {
		KeyOfURL(req *http.Request) (K, bool)
	}
	if _, ok := r.settings.Endpoint.(urlEndpoint); !ok {
		return nil
	}
	return func(req *http.Request) (driver.Key, bool) {
		key, ok := r.settings.Endpoint.(urlEndpoint).KeyOfURL(req) // which has got its key for digests
		if !ok {
			return nil, false
		}
		matched, err := r.ownKey(key)
		return matched, err == nil
	}
}

// tags returns what tells the tags of entries, nil where they have none. The value of an
// entry that has none is the zero value.
func (r *keyed[K, V]) tags() func(driver.Key, any) []string {
	if r.settings.Tags == nil {
		return nil
	}
	return func(key driver.Key, value any) []string {
		typed, err := r.typedKey(key)
		if err != nil {
			return nil
		}
		v, _ := value.(V)
		return r.settings.Tags(typed, v)
	}
}

// keyOf is ownKey for a key whose type is not known.
func (r *keyed[K, V]) keyOf(key any) (driver.Key, error) {
	typed, ok := key.(K)
	if !ok {
		return nil, fmt.Errorf("repository %q: the key is a %T", r.settings.Name, key)
	}
	return r.ownKey(typed)
}

// driverKey is the key as stores have it, for the identity of ctx. The error is that of a
// key which has no text, or of a missing identity.
func (r *ResponseRepository[K, V]) driverKey(ctx context.Context, key K) (driver.Key, error) {
	values, err := r.identify(ctx, make(driver.Key, 0, 1+len(r.key.Fields)))
	if err != nil {
		return nil, err
	}
	return r.appendKey(values, reflect.ValueOf(&key).Elem())
}

// ownKey is the key without an identity.
func (r *keyed[K, V]) ownKey(key K) (driver.Key, error) {
	return r.appendKey(make(driver.Key, 0, len(r.key.Fields)), reflect.ValueOf(&key).Elem())
}

// identify appends the identity of ctx to the values of a key, if it is part of keys.
func (r *ResponseRepository[K, V]) identify(ctx context.Context, values []driver.Value) ([]driver.Value, error) {
	if !r.table.Scoped() {
		return values, nil
	}
	value, err := r.table.CallIdentity(ctx)
	return append(values, value), err
}

func (r *keyed[K, V]) appendKey(values []driver.Value, key reflect.Value) ([]driver.Value, error) {
	values, err := r.key.AppendValues(values, key)
	if err != nil {
		return nil, fmt.Errorf("repository %q: %w", r.settings.Name, err)
	}
	return values, nil
}

// driverKeys shares one array between the keys.
func (r *ResponseRepository[K, V]) driverKeys(ctx context.Context, keys []K) ([]driver.Key, error) {
	identity, err := r.identify(ctx, nil)
	if err != nil {
		return nil, err
	}
	values := make([]driver.Value, 0, (len(identity)+len(r.key.Fields))*len(keys))
	driverKeys := make([]driver.Key, len(keys))
	all := reflect.ValueOf(keys)
	for i := range keys {
		from := len(values)
		values = append(values, identity...)
		if values, err = r.appendKey(values, all.Index(i)); err != nil {
			return nil, err
		}
		driverKeys[i] = values[from:len(values):len(values)]
	}
	return driverKeys, nil
}

func (r *keyed[K, V]) typedKey(key driver.Key) (K, error) {
	var typed K
	if err := r.key.Set(reflect.ValueOf(&typed).Elem(), r.stored.OwnKey(key)); err != nil {
		return typed, fmt.Errorf("repository %q: %w", r.settings.Name, err)
	}
	return typed, nil
}

func (r *keyed[K, V]) typedKeyOrNil(key driver.Key) any {
	if typed, err := r.typedKey(key); err == nil {
		return typed
	}
	return nil
}
