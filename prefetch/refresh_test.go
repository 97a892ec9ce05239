package prefetch_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// A refresh asks whether what is stored still holds, and transfers what does not.
func TestARefreshIsConfirmedBy304(t *testing.T) {
	repo := tracksOf(t, byID)
	changed := "none"
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		id := path.Base(r.URL.Path)
		tag := `"1"`
		if id == changed {
			tag = `"2"`
		}
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, trackBody(id))
	})
	fetcher := over(t, repo, to(t, fetch.Options{BaseURL: server.URL}))
	keys := numbered(0, 100)
	run(t, fetcher, nil, keys...)
	before, _, err := repo.GetEntry(t.Context(), keys[1])
	if err != nil {
		t.Fatal(err)
	}
	changed = keys[0]
	result := run(t, fetcher, &prefetch.Options{Refresh: true}, keys...)
	if result.Confirmed != 99 || result.Fetched != 1 || result.Bytes != int64(len(trackBody(keys[0]))) {
		t.Errorf("%s", result.Report())
	}
	if result.Items[0].Status != prefetch.Fetched || result.Items[1].Status != prefetch.Confirmed {
		t.Error(result.Items[:2])
	}
	if !strings.Contains(result.Report(), "1 fetched, 0 absent, 0 failed, 99 confirmed") {
		t.Errorf("%s", result.Report())
	}
	after, _, err := repo.GetEntry(t.Context(), keys[1])
	if err != nil || !after.CachedAt.After(before.CachedAt) || string(after.Payload) != trackBody(keys[1]) {
		t.Errorf("the entry of %v is now of %v with %q, %v", before.CachedAt, after.CachedAt, after.Payload, err)
	}
}

// An origin that is down leaves what a policy lets be used, and the keys tell of it.
func TestARefreshThatFailsIsStale(t *testing.T) {
	repo := tracksOf(t, byID)
	server := newOrigin(t, status(http.StatusInternalServerError))
	if err := repo.Save(t.Context(), "a", track{ID: "a"}); err != nil {
		t.Fatal(err)
	}
	fetcher := over(t, repo, to(t, fetch.Options{BaseURL: server.URL, Retry: retries(origin.NoRetries)}))
	opts := &prefetch.Options{Refresh: true, Fetch: []fetch.Option{fetch.With(policy.Policy{StaleIfError: time.Hour})}}
	result := run(t, fetcher, opts, "a", "b")
	if result.Stale != 1 || result.Failed != 1 || result.Items[0].Status != prefetch.Stale || result.Items[0].Err == nil {
		t.Errorf("%s%v", result.Report(), result.Items)
	}
}

// A gateway may answer 404 for everything: nothing is removed then.
func TestARunThatFindsNothingEnds(t *testing.T) {
	repo := tracksOf(t, byID)
	server := newOrigin(t, http.NotFound)
	keys := numbered(0, 2000)
	values := map[string]track{}
	for _, key := range keys {
		values[key] = track{ID: key}
	}
	if err := repo.SaveMany(t.Context(), values); err != nil {
		t.Fatal(err)
	}
	fetcher := over(t, repo, to(t, fetch.Options{BaseURL: server.URL}))
	result, err := prefetch.Run(t.Context(), fetcher, slices.Values(keys), &prefetch.Options{Refresh: true})
	if !errors.Is(err, fetch.ErrAllAbsent) || result.Absent < 10 || result.Absent == len(keys) {
		t.Errorf("%v, %s", err, result.Report())
	}
	check(t, result)
	if n, err := repo.Count(t.Context(), repository.Live); err != nil || n != len(keys) {
		t.Errorf("%d of %d are left, %v", n, len(keys), err)
	}
	all := run(t, fetcher, &prefetch.Options{Refresh: true, BelieveAbsent: true}, keys...)
	if n, err := repo.Count(t.Context(), repository.All); err != nil || n != 0 || all.Absent != len(keys) {
		t.Errorf("%d are left of those that are believed to be absent, %v, %s", n, err, all.Report())
	}
}

// full is a store that cannot save while it is full.
type full struct {
	driver.Store
	full atomic.Bool
}

type fullTable struct {
	driver.Table
	store *full
}

func (s *full) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	table, err := s.Store.OpenTable(ctx, spec)
	if spec.Name == "endpointcache_records" { // the cache's own
		return table, err
	}
	return fullTable{table, s}, err
}

func (t fullTable) PutIf(ctx context.Context, entries []driver.Entry, c driver.Condition) ([]bool, error) {
	if t.store.full.Load() {
		return nil, &driver.OpError{Store: "full", Op: "save to", Err: errors.New("the disk is full")}
	}
	return t.Table.PutIf(ctx, entries, c)
}

// A store that fails ends a run, unless it is to go on.
func TestARunGoesOnUnsavedWhereItIsTo(t *testing.T) {
	inner, err := sqlite.OpenMemory(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	store := &full{Store: inner}
	repo, err := repository.New(t.Context(), store, settings.RepositorySettings[string, track]{
		Name: "tracks", Endpoint: byID, Payload: payload.JSON[track](),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	server := newOrigin(t, nil)
	fetcher := over(t, repo, to(t, fetch.Options{BaseURL: server.URL}))
	keys := numbered(0, 3000)
	store.full.Store(true)
	result, err := prefetch.Run(t.Context(), fetcher, slices.Values(keys), nil)
	if err == nil || !strings.Contains(err.Error(), "the disk is full") || result.Cancelled == 0 || result.Fetched != 0 {
		t.Errorf("%v, %s", err, result.Report())
	}
	check(t, result)
	result = run(t, fetcher, &prefetch.Options{Unsaved: true}, keys...)
	if result.Failed != len(keys) || result.Requests != len(keys) {
		t.Errorf("%s", result.Report())
	}
	result, err = prefetch.Run(t.Context(), fetcher, slices.Values(keys), &prefetch.Options{Unsaved: true, MaxFailures: 100})
	if !errors.Is(err, prefetch.ErrMaxFailures) || result.Failed < 100 {
		t.Errorf("%v, %s", err, result.Report())
	}
}
