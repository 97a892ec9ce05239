package fetch_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/repository"
)

// listed are responses as they come in a listing.
func listed(t *testing.T, title string, keys ...string) []repository.Decoded[string, track] {
	t.Helper()
	responses := make([]repository.Decoded[string, track], len(keys))
	for i, key := range keys {
		value := track{key, title}
		body, err := settingsOf(byID, nil).Payload.Encode(value)
		if err != nil {
			t.Fatal(err)
		}
		entry, err := repository.NewEntry(200, repository.Head{}, body)
		if err != nil {
			t.Fatal(err)
		}
		responses[i] = repository.Decoded[string, track]{Key: key, Entry: entry, Value: value}
	}
	return responses
}

// What is kept is as if it had been fetched, and what may be older fills gaps alone.
func TestKeep(t *testing.T) {
	o := newOrigin(t, nil)
	store := &wrapped{Store: inMemory(t)}
	s := settingsOf(byID, nil)
	s.ExpireAbsent = time.Hour
	e := endpointIn(t, o, repositoryIn(t, store, s), nil)
	keep := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	titles := func() string {
		var all []string
		for _, r := range fetchMany(t, e, []string{"a", "b", "c"}) {
			all = append(all, r.Value.Title)
		}
		return strings.Join(all, ",")
	}
	keep(e.Keep(t.Context(), listed(t, "old", "a", "b")))
	keep(e.Keep(t.Context(), append(listed(t, "older", "b"), listed(t, "new", "b")...)))
	keep(e.Repository().SaveAbsent(t.Context(), []string{"c"}))
	puts := store.puts.Load()
	keep(e.KeepMissing(t.Context(), listed(t, "page", "a", "b", "c")))
	keep(e.KeepMissing(t.Context(), nil))
	keep(e.Keep(t.Context(), nil))
	if got := titles(); got != "old,new," || o.total() != 0 || store.puts.Load() != puts {
		t.Errorf("kept are %q, after %d requests and %d saves", got, o.total(), store.puts.Load()-puts)
	}
	given := listed(t, "page", "a", "d", "b", "e")
	keep(e.KeepMissing(t.Context(), given, repository.ExpireIn(time.Minute)))
	if keys := []string{given[0].Key, given[1].Key, given[2].Key, given[3].Key}; !slices.Equal(keys, []string{"a", "d", "b", "e"}) {
		t.Errorf("the caller's own are now %v", keys)
	}
	for key, want := range map[string]time.Duration{"d": time.Minute, "e": time.Minute} {
		entry, ok, err := e.Repository().GetEntry(t.Context(), key)
		if err != nil || !ok || entry.ExpiresAt.Sub(entry.CachedAt) != want || entry.Name != "page" {
			t.Errorf("%s is %+v, %t, %v", key, entry, ok, err)
		}
	}
	keep(e.Keep(t.Context(), listed(t, "newest", "a", "c")))
	if got := titles(); got != "newest,new,newest" {
		t.Errorf("kept are %q", got)
	}
}

func TestKeepErrors(t *testing.T) {
	o := newOrigin(t, nil)
	var log logged
	e := endpointOf(t, o, settingsOf(byID, nil), &fetch.EndpointOptions{Logger: log.logger()})
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	client := clientOf(t, fetch.Options{BaseURL: o.URL})
	uncached, err := fetch.Uncached(client, settingsOf(byID, nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, keep := range []func(*endpoint, context.Context, ...repository.SaveOption) error{
		func(e *endpoint, ctx context.Context, opts ...repository.SaveOption) error {
			return e.Keep(ctx, listed(t, "x", "a"), opts...)
		},
		func(e *endpoint, ctx context.Context, opts ...repository.SaveOption) error {
			return e.KeepMissing(ctx, listed(t, "x", "a"), opts...)
		},
	} {
		if err := keep(e, cancelled); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := keep(e, t.Context(), repository.ExpireIn(-2)); err == nil {
			t.Error("a negative expiry is taken")
		}
		if err := keep(uncached, t.Context()); err != nil {
			t.Error(err)
		}
	}
	if n := e.Stats().StoreErrors; n != 0 || log.String() != "" {
		t.Errorf("%d errors of the store are told of, and %s", n, log.String())
	}
	e.Client().Close()
	if err := e.Keep(t.Context(), listed(t, "x", "a")); !errors.Is(err, fetch.ErrClosed) {
		t.Error(err)
	}
}

// A store that fails fails nobody, and what it cannot hold is the only one not kept.
func TestKeepInAStoreThatFails(t *testing.T) {
	o := newOrigin(t, nil)
	store := &wrapped{Store: inMemory(t)}
	var log logged
	e := endpointIn(t, o, repositoryIn(t, store, settingsOf(byID, nil)), &fetch.EndpointOptions{Logger: log.logger()})
	store.get = func(context.Context) error { return errDisk }
	if err := e.KeepMissing(t.Context(), listed(t, "x", "a")); err != nil || store.puts.Load() != 0 {
		t.Errorf("%v, %d saves", err, store.puts.Load())
	}
	store.get, store.put = nil, func(context.Context, []driver.Entry) error { return errDisk }
	if err := e.KeepMissing(t.Context(), listed(t, "x", "a")); err != nil {
		t.Error(err)
	}
	if err := e.Keep(t.Context(), listed(t, "x", "a")); err != nil {
		t.Error(err)
	}
	if n := e.Stats().StoreErrors; n != 3 || strings.Count(log.String(), "the disk is full") != 3 {
		t.Errorf("%d errors are told of, and %s", n, log.String())
	}
	store.put = func(_ context.Context, entries []driver.Entry) error {
		if slices.ContainsFunc(entries, func(e driver.Entry) bool { return e.Key[0] == "large" }) {
			return driver.ErrTooLarge
		}
		return nil
	}
	keys := append(numbered(20), "large")
	if err := e.Keep(t.Context(), listed(t, "x", keys...)); err != nil {
		t.Error(err)
	}
	if n, err := e.Repository().Count(t.Context(), repository.Live); n != 20 || err != nil || e.Stats().StoreErrors != 4 {
		t.Errorf("%d are kept, %v, and %d errors told of", n, err, e.Stats().StoreErrors)
	}
}

func TestKeepInAStoreThatHangs(t *testing.T) {
	o := newOrigin(t, nil)
	store := &wrapped{Store: inMemory(t)}
	release := make(chan struct{})
	defer close(release)
	var log logged
	e := endpointIn(t, o, repositoryIn(t, store, settingsOf(byID, nil)), &fetch.EndpointOptions{
		Logger: log.logger(), StoreTimeout: 50 * time.Millisecond,
	})
	store.put = func(context.Context, []driver.Entry) error { <-release; return nil }
	if err := e.Keep(t.Context(), listed(t, "x", "a")); err != nil {
		t.Error(err)
	}
	store.get = func(context.Context) error { <-release; return nil }
	if err := e.KeepMissing(t.Context(), listed(t, "x", "a")); err != nil {
		t.Error(err)
	}
	if n := e.Stats().StoreErrors; n != 2 || strings.Count(log.String(), "did not answer in time") != 2 || store.puts.Load() != 1 {
		t.Errorf("%d errors are told of, after %d saves, and %s", n, store.puts.Load(), log.String())
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if err := e.KeepMissing(ctx, listed(t, "x", "a")); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
