package cache_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

// kept is a store that outlives its caches.
type kept struct{ driver.Store }

func (kept) Close() error { return nil }

func catchAllOn(t *testing.T, store driver.Store, opts *cache.Options) (*cache.ResponseCache, *repository.ResponseRepository[request.AnyKey, []byte]) {
	t.Helper()
	c, err := cache.New(store, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	repo, err := cache.CreateRepository(t.Context(), c, settings.CatchAll("rest", nil))
	if err != nil {
		t.Fatal(err)
	}
	return c, repo
}

// A key of digests is the store's: all caches on it find what one has stored, by any way
// to a key, and nobody without the store can make the digests.
func TestCachesOnAStoreShareTheKeyOfDigests(t *testing.T) {
	memoryStore, err := memory.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	store := kept{memoryStore}
	req, err := http.NewRequest(http.MethodGet, "https://api.test/a?pin=1234", nil)
	if err != nil {
		t.Fatal(err)
	}
	one, repo := catchAllOn(t, store, nil)
	if saved, err := one.SaveResponse(t.Context(), answer(req, "body")); err != nil || !saved {
		t.Fatal(saved, err)
	}
	key, ok, err := repo.Key(req)
	if err != nil || !ok || !strings.Contains(key.URL, "pin={hmac:") {
		t.Errorf("the key is %+v, %t, %v", key, ok, err)
	}
	if other, _, _ := repo.Settings().Endpoint.Key(req); other != key {
		t.Errorf("by the settings the key is %+v, else %+v", other, key)
	}
	if body, ok, err := repo.Get(t.Context(), key); err != nil || !ok || string(body) != "body" {
		t.Errorf("Get = %q, %t, %v", body, ok, err)
	}
	two, repo := catchAllOn(t, store, nil)
	if other, _, _ := repo.Key(req); other != key {
		t.Errorf("in another cache the key is %+v, not %+v", other, key)
	}
	if resp, ok, err := two.GetResponse(t.Context(), req); err != nil || !ok || resp.StatusCode != 200 {
		t.Errorf("another cache has %v, %t, %v", resp, ok, err)
	}
	own := []byte("a key that is kept elsewhere")
	three, repo := catchAllOn(t, store, &cache.Options{DigestKey: own})
	if other, _, _ := repo.Key(req); other == key {
		t.Errorf("with a key of its own the cache has the same key %+v", other)
	}
	if _, ok, err := three.GetResponse(t.Context(), req); err != nil || ok {
		t.Errorf("with another key of digests the response is found: %t, %v", ok, err)
	}
	alone, err := repository.New(t.Context(), store, settings.CatchAll("rest", nil), &repository.Options{DigestKey: own})
	if err != nil {
		t.Fatal(err)
	}
	if of, _, _ := alone.Key(req); of != mustKey(t, repo, req) {
		t.Errorf("alone the repository has the key %+v", of)
	}
	if _, err := cache.New(store, &cache.Options{DigestKey: make([]byte, 15)}); err == nil {
		t.Error("a key that is too short is no error")
	}
}

func mustKey(t *testing.T, repo *repository.ResponseRepository[request.AnyKey, []byte], req *http.Request) request.AnyKey {
	t.Helper()
	key, ok, err := repo.Key(req)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	return key
}
