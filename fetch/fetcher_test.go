package fetch_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

// answering serves tracks and, by id, what is none.
func answering(w http.ResponseWriter, r *http.Request) {
	ids, many := idsOf(r)
	if many {
		kept := ids[:0]
		for _, id := range ids {
			switch id {
			case "gone":
			case "bad":
				w.WriteHeader(http.StatusBadRequest)
				return
			default:
				kept = append(kept, id)
			}
		}
		w.Write([]byte(tracksBody(kept...)))
		return
	}
	switch r.URL.Path {
	case "/tracks/gone":
		w.WriteHeader(http.StatusNotFound)
	case "/tracks/bad":
		w.WriteHeader(http.StatusBadRequest)
	case "/tracks/html":
		w.Write([]byte("<html>"))
	default:
		serve(w, r)
	}
}

func TestFetch(t *testing.T) {
	o := newOrigin(t, answering)
	e := fetcherOf(t, o, settingsOf(byID, nil), nil)
	for range 2 {
		if got, err := e.Fetch(t.Context(), "a"); err != nil || got != titled("a") {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if o.total() != 1 {
		t.Errorf("%d requests for a key that is cached", o.total())
	}
	if saved, ok, err := e.Repository().GetEntry(t.Context(), "a"); !ok || err != nil || saved.Name != "Title of a" || saved.Status != 200 {
		t.Errorf("%+v is saved, %v", saved, err)
	}

	var status *fetch.StatusError
	if _, err := e.Fetch(t.Context(), "gone"); !errors.Is(err, fetch.ErrAbsent) || !errors.As(err, &status) || status.Code != 404 {
		t.Error(err)
	}
	if _, err := e.Fetch(t.Context(), "bad"); errors.Is(err, fetch.ErrAbsent) || !errors.As(err, &status) || status.Code != 400 {
		t.Error(err)
	}
	var decode *repository.DecodeError
	if _, err := e.Fetch(t.Context(), "html"); !errors.As(err, &decode) || decode.Key != "html" || decode.Repository != "tracks" {
		t.Error(err)
	}
	if _, _, err := e.FetchEntry(t.Context(), "html"); !errors.As(err, &decode) {
		t.Error(err)
	}
	if n, err := e.Repository().Count(t.Context(), repository.All); n != 1 || err != nil {
		t.Errorf("%d are saved, %v", n, err)
	}
	want := exchange.Stats{Hits: 1, Misses: 5, Stored: 1, Undecodable: 2}
	if diff := cmp.Diff(want, e.Stats()); diff != "" || e.Requests() != 5 {
		t.Errorf("%d requests, %s", e.Requests(), diff)
	}
}

func TestFetchEntry(t *testing.T) {
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", `<next>; rel="next"`)
		answering(w, r)
	})
	e := fetcherOf(t, o, settingsOf(byID, nil), nil)
	for _, cached := range []bool{false, true} {
		entry, wasCached, err := e.FetchEntry(t.Context(), "a")
		if err != nil || wasCached != cached {
			t.Fatal(wasCached, err)
		}
		header, err := entry.Header()
		if err != nil || header.Get("Link") == "" || entry.Status != 200 || string(entry.Payload) != trackBody("a") {
			t.Errorf("%+v, %v, %v", entry, header, err)
		}
		if entry.CachedAt.IsZero() || entry.ExpiresAt.IsZero() || entry.Name != "Title of a" {
			t.Errorf("the entry is %+v", entry)
		}
		if value, err := e.Decode("a", entry); err != nil || value != titled("a") {
			t.Errorf("%+v, %v", value, err)
		}
		clear(entry.Payload) // which is the caller's own
	}
	if _, _, err := e.FetchEntry(t.Context(), "gone"); !errors.Is(err, fetch.ErrAbsent) {
		t.Error(err)
	}
	if o.total() != 2 {
		t.Errorf("%d requests", o.total())
	}
}

func TestFetchManyTellsWhatBecameOfEachKey(t *testing.T) {
	o := newOrigin(t, answering)
	store := &wrapped{Store: inMemory(t)}
	e := fetcherIn(t, o, repositoryIn(t, store, settingsOf(byID, batchOf(10))), nil)
	if err := e.Repository().Save(t.Context(), "old", titled("old")); err != nil {
		t.Fatal(err)
	}
	store.puts.Store(0)
	keys := []string{"b", "gone", "old", "bad", "a", "b", "gone", "c"}
	got := fetchMany(t, e, keys)
	if diff := cmp.Diff("FE AB CA FA FE FE AB FE", statuses(got)); diff != "" {
		t.Error(diff)
	}
	if o.total() > 1+2*3 || store.gets.Load() > 2 { // of what is live, and of the rest to ask the origin about
		t.Errorf("%d requests and %d lookups", o.total(), store.gets.Load())
	}
	before := o.total()
	if diff := cmp.Diff("FE FE CA FE FE FE FE FE", statuses(fetchManyOf(t, e, "x", "y", "a", "z", "u", "v", "w", "t"))); diff != "" {
		t.Error(diff)
	}
	if n := o.total() - before; n != 1 {
		t.Errorf("%d requests for what one batch can ask for", n)
	}
	if puts := store.puts.Load(); puts > 5 { // the halves, and the second batch
		t.Errorf("%d saves", puts)
	}
	if got, err := e.FetchMany(t.Context(), nil); len(got) != 0 || err != nil {
		t.Errorf("of no keys: %v, %v", got, err)
	}
}

func fetchManyOf(t *testing.T, e *fetcher, keys ...string) []result {
	t.Helper()
	return fetchMany(t, e, keys)
}

func TestFetchManyMakesTheFewestRequestsAtOnce(t *testing.T) {
	join := waitfor.Meeting(3)
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		join()
		serve(w, r)
	})
	store := &wrapped{Store: inMemory(t)}
	e := fetcherIn(t, o, repositoryIn(t, store, settingsOf(byID, batchOf(50))), &fetch.FetcherOptions{Concurrency: 3})
	keys := numbered(1010)
	for _, want := range []int{21, 0} {
		before := o.total()
		fetchMany(t, e, keys)
		if n := o.total() - before; n != want {
			t.Errorf("%d requests, want %d", n, want)
		}
	}
	if o.most != 3 || store.gets.Load() != 3 || store.puts.Load() > 21 {
		t.Errorf("%d requests at once, %d lookups, %d saves", o.most, store.gets.Load(), store.puts.Load())
	}
}

// While one save lasts, what comes is gathered for the next.
func TestSavesAreGrouped(t *testing.T) {
	o := newOrigin(t, nil)
	store := &wrapped{Store: inMemory(t)}
	e := fetcherIn(t, o, repositoryIn(t, store, settingsOf(byID, nil)), nil)
	store.put = func(context.Context, []driver.Entry) error {
		if store.puts.Load() == 1 {
			waitfor.True(t, "the other keys are fetched", func() bool { return o.total() == 200 })
		}
		return nil
	}
	fetchMany(t, e, numbered(200))
	if n := store.puts.Load(); n > 10 {
		t.Errorf("%d saves for 200 answers that came during the first", n)
	}
}

func TestAbsenceIsRemembered(t *testing.T) {
	o := newOrigin(t, answering)
	s := settingsOf(byID, batchOf(10))
	s.ExpireAbsent = time.Hour
	e := fetcherOf(t, o, s, nil)
	for range 2 {
		if got := statuses(fetchManyOf(t, e, "a", "gone")); got != "FE AB" && got != "CA AB" {
			t.Error(got)
		}
		if _, err := e.Fetch(t.Context(), "gone"); !errors.Is(err, fetch.ErrAbsent) {
			t.Error(err)
		}
		if _, _, err := e.FetchEntry(t.Context(), "gone"); !errors.Is(err, fetch.ErrAbsent) {
			t.Error(err)
		}
	}
	if o.total() != 1 {
		t.Errorf("%d requests", o.total())
	}
	if _, err := e.Fetch(t.Context(), "gone", fetch.Refresh()); !errors.Is(err, fetch.ErrAbsent) || o.total() != 2 {
		t.Error(err, o.total())
	}
}

func TestRefresh(t *testing.T) {
	o := newOrigin(t, answering)
	e := fetcherOf(t, o, settingsOf(byID, batchOf(10)), nil)
	old := track{ID: "a", Title: "old"}
	save := func() {
		t.Helper()
		if err := e.Repository().SaveMany(t.Context(), map[string]track{"a": old, "gone": {ID: "gone"}, "bad": {ID: "bad"}}); err != nil {
			t.Fatal(err)
		}
	}
	save()
	if got := statuses(fetchMany(t, e, []string{"a", "gone", "bad"}, fetch.Refresh())); got != "FE AB FA" {
		t.Error(got)
	}
	if got, err := e.Fetch(t.Context(), "a"); err != nil || got != titled("a") {
		t.Error(got, err)
	}
	if ok, err := e.Repository().Contains(t.Context(), "gone"); ok || err != nil {
		t.Errorf("what the origin has no more is still there, %v", err)
	}
	if ok, err := e.Repository().Contains(t.Context(), "bad"); !ok || err != nil {
		t.Errorf("what could not be refreshed is removed, %v", err)
	}
	save()
	if got, err := e.Fetch(t.Context(), "a", nil, fetch.Refresh()); err != nil || got != titled("a") {
		t.Error(got, err)
	}
	save()
	if got, _, err := e.FetchEntry(t.Context(), "a", fetch.Refresh()); err != nil || string(got.Payload) != trackBody("a") {
		t.Error(got, err)
	}
}

func TestStaleIfError(t *testing.T) {
	staleIfError := fetch.With(policy.Policy{StaleIfError: 2 * time.Hour, StaleStatuses: []int{http.StatusNotImplemented}})
	down := true
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if down {
			w.WriteHeader(http.StatusNotImplemented) // which is final
			return
		}
		answering(w, r)
	})
	e := fetcherOf(t, o, settingsOf(byID, batchOf(10)), nil)
	stored := map[string]track{"old": {ID: "old", Title: "stale"}, "gone": {ID: "gone"}}
	if err := e.Repository().SaveMany(t.Context(), stored, repository.ExpireAt(time.Now().Add(-time.Hour))); err != nil {
		t.Fatal(err)
	}
	if err := e.Repository().Save(t.Context(), "live", titled("live")); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Fetch(t.Context(), "old"); err == nil {
		t.Error("it was not asked for")
	}
	for range 2 { // it stays
		if got, err := e.Fetch(t.Context(), "old", staleIfError); err != nil || got != stored["old"] {
			t.Error(got, err)
		}
	}
	if got, _, err := e.FetchEntry(t.Context(), "old", staleIfError); err != nil || len(got.Payload) == 0 {
		t.Error(got, err)
	}
	var status *fetch.StatusError
	if _, err := e.Fetch(t.Context(), "never", staleIfError); !errors.As(err, &status) {
		t.Error(err)
	}
	keys := []string{"old", "never", "live", "gone"}
	if got := statuses(fetchMany(t, e, keys, staleIfError)); got != "ST FA CA ST" {
		t.Error(got)
	}
	if got := statuses(fetchMany(t, e, keys, staleIfError, fetch.Refresh())); got != "ST FA ST ST" {
		t.Error(got)
	}
	down = false // that there is nothing is no failure
	if got := statuses(fetchMany(t, e, keys, staleIfError)); got != "FE FE CA AB" {
		t.Error(got)
	}
}

func TestExpiryOfACall(t *testing.T) {
	o := newOrigin(t, nil)
	e := fetcherOf(t, o, settingsOf(byID, batchOf(10)), nil)
	in := func(key string) time.Duration {
		entry, ok, err := e.Repository().GetEntry(t.Context(), key)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		return entry.ExpiresAt.Sub(entry.CachedAt)
	}
	fetchMany(t, e, []string{"a", "b"}, fetch.With(policy.Policy{Expire: policy.After(time.Hour)}))
	if _, err := e.Fetch(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	about := func(key string, want time.Duration) bool { // the time that the origin took is added to it
		return in(key) >= want && in(key) < want+time.Minute
	}
	if !about("a", time.Hour) || !about("b", time.Hour) || !about("c", settings.DefaultExpire) {
		t.Error(in("a"), in("b"), in("c"))
	}
	before := o.total()
	impossible := fetch.With(policy.Policy{RefreshAhead: 2})
	if _, err := e.Fetch(t.Context(), "d", impossible); err == nil || o.total() != before {
		t.Error("a policy that cannot be is no error")
	}
	if _, err := e.FetchMany(t.Context(), []string{"d"}, impossible); err == nil || o.total() != before {
		t.Error("a policy that cannot be is no error")
	}
	err := e.Fill(t.Context(), slices.Values([]string{"d"}), &fetch.FillOptions{Fetch: []fetch.Option{impossible}}, func(fetch.Filled[string]) {})
	if err == nil || o.total() != before {
		t.Error("a policy that cannot be is no error")
	}
}

func TestUncached(t *testing.T) {
	o := newOrigin(t, answering)
	e, err := fetch.Uncached(clientOf(t, fetch.Options{BaseURL: o.URL}), settingsOf(byID, batchOf(10)), nil)
	if err != nil || e.Repository() != nil || e.Settings().Name != "tracks" {
		t.Fatal(err)
	}
	for n := 1; n <= 2; n++ {
		if got := statuses(fetchMany(t, e, []string{"a", "gone", "b", "a"}, fetch.With(policy.Policy{StaleIfError: time.Hour, Expire: policy.Never()}))); got != "FE AB FE FE" {
			t.Error(got)
		}
		if got, err := e.Fetch(t.Context(), "a", fetch.Refresh()); err != nil || got != titled("a") {
			t.Error(got, err)
		}
		if got, _, err := e.FetchEntry(t.Context(), "a"); err != nil || string(got.Payload) != trackBody("a") {
			t.Error(got, err)
		}
		if o.total() != 3*n {
			t.Errorf("%d requests, want %d", o.total(), 3*n)
		}
	}
}

// An entry that was saved when V was another type is fetched anew.
func TestEntryThatCannotBeDecodedAnyMore(t *testing.T) {
	o := newOrigin(t, nil)
	store := inMemory(t)
	before := repositoryIn(t, store, settings.RepositorySettings[string, string]{Name: "tracks", Version: 1, Payload: payload.String()})
	if err := before.SaveMany(t.Context(), map[string]string{"a": "s3cret", "b": "s3cret"}); err != nil {
		t.Fatal(err)
	}
	var log logged
	tracks := settingsOf(byID, nil)
	tracks.Version = 1
	e := cachedIn(t, o, store, tracks, cache.Options{Logger: log.logger()}, nil)
	if got, err := e.Fetch(t.Context(), "a"); err != nil || got != titled("a") {
		t.Error(got, err)
	}
	if got := statuses(fetchManyOf(t, e, "a", "b")); got != "CA FE" {
		t.Error(got)
	}
	if n := e.Stats().Undecodable; n != 2 || log.String() == "" || strings.Contains(log.String(), "s3cret") {
		t.Errorf("%d are told of, and %q", n, log.String())
	}
}

// Each caller may do with a value what it likes.
func TestValuesAreNotShared(t *testing.T) {
	o := newOrigin(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("body")) })
	o.gate, o.came = make(chan struct{}), make(chan string, 100)
	e, err := fetch.New(clientOf(t, fetch.Options{BaseURL: o.URL}), repositoryOf(t, plain(byID)), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan []byte, 30)
	for range 10 {
		go func() {
			value, err := e.Fetch(t.Context(), "a")
			if err != nil {
				t.Error(err)
			}
			got <- value
		}()
		go func() {
			entry, _, err := e.FetchEntry(t.Context(), "a")
			if err != nil {
				t.Error(err)
			}
			got <- entry.Payload
		}()
		go func() {
			results, err := e.FetchMany(t.Context(), []string{"a"})
			if err != nil {
				t.Error(err)
			}
			got <- results[0].Value
		}()
	}
	<-o.came
	waitfor.True(t, "all share a request", func() bool {
		_, callers := e.Pending()
		return callers == 30
	})
	close(o.gate)
	for range 30 {
		value := <-got
		if string(value) != "body" {
			t.Errorf("a value is %q", value)
		}
		clear(value)
	}
	if value, err := e.Fetch(t.Context(), "a"); err != nil || string(value) != "body" || o.total() != 1 {
		t.Errorf("%q, %v", value, err)
	}
}
