package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
	"github.com/endpointcache/endpointcache/transport"
)

// ours returns the library's transport in Cache-Control mode, over a catch-all with that
// key, on a new store of that kind.
func ours(ctx context.Context, kind string, key keying, base http.RoundTripper) (http.RoundTripper, func() error, error) {
	store, err := openStore(ctx, kind)
	if err != nil {
		return nil, nil, err
	}
	c, err := cache.New(store, &cache.Options{Policy: policy.Policy{
		CacheControl: policy.On, Cookies: policy.On, // the suite wants them stored
	}})
	if err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	everything := settings.CatchAll("responses", &key.options)
	everything.Scope = settings.Shared // the suite is one user, also where credentials do not count
	if _, err := cache.CreateRepository(ctx, c, everything); err != nil {
		return nil, nil, errors.Join(err, c.Close())
	}
	return transport.New(c, &transport.Options{Base: base}), c.Close, nil
}

func openStore(ctx context.Context, kind string) (driver.Store, error) {
	switch kind {
	case "memory":
		return memory.New(nil)
	case "sqlite":
		return sqlite.OpenMemory(ctx, nil)
	default:
		return nil, fmt.Errorf("no store %q: sqlite or memory", kind)
	}
}
