package pages_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/pages"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

func idOf(_ listKey, t track) (string, bool) { return t.ID, true }

func (s *site) walk(t testing.TB, opts ...fetch.Option) iter.Seq2[*page, error] {
	return pages.Walk(t.Context(), s.lists, first("told"), pages.Offset(offsetOf, extent), &pages.Options{Fetch: opts})
}

func (s *site) into(t testing.TB, opts ...fetch.Option) iter.Seq2[*page, error] {
	return pages.Into(t.Context(), s.walk(t, opts...), s.tracks, payload.Array("items"), idOf)
}

// stored is the entry of a track, which is to be there and live.
func (s *site) stored(t testing.TB, id string) repository.Entry {
	t.Helper()
	e, ok, err := s.tracks.Repository().GetEntry(t.Context(), id)
	if err != nil || !ok {
		t.Fatalf("track %s: %t, %v", id, ok, err)
	}
	return e
}

// Items are saved as if they had been fetched alone, before the loop sees their page.
func TestIntoSavesTheItems(t *testing.T) {
	s := newSite(t, 7)
	seen := 0
	for p, err := range s.into(t) {
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range p.Value.Items {
			seen++
			e := s.stored(t, item.ID)
			if want := fmt.Sprintf(`{"id":%q,"title":"Title"}`, item.ID); string(e.Payload) != want || e.Name != "Title" || e.Status != http.StatusOK {
				t.Errorf("track %s is stored as %q, named %q, status %d", item.ID, e.Payload, e.Name, e.Status)
			}
			if got := e.ExpiresAt.Sub(s.now); got != time.Hour {
				t.Errorf("track %s expires after %v", item.ID, got)
			}
			header, err := e.Header()
			if err != nil || header.Get("Content-Type") != "application/json" || header.Get("Date") == "" || header.Get("ETag") != "" || header.Get("Content-Length") != "" {
				t.Errorf("track %s has the headers %v, %v", item.ID, header, err)
			}
		}
	}
	if n, err := s.tracks.Repository().Count(t.Context(), repository.All); n != 7 || seen != 7 || err != nil {
		t.Errorf("%d tracks are stored and %d were seen, %v; want 7", n, seen, err)
	}
	s.api.asked()
	if _, err := s.tracks.Fetch(t.Context(), "t3"); err != nil || s.api.asked() != nil {
		t.Errorf("a track of a page was asked for, %v", err)
	}
}

// The bytes of an item are those of the page, whatever a decoder would make of them.
func TestItemsKeepTheirBytes(t *testing.T) {
	s := newSite(t, 0)
	items := []string{`{ "id" : "a", "title": "caf\u00e9", "n": 1.10, "big": 12345678901234567890 }`, `{"id":"b","title":"<&>"}`}
	s.api.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"items": [`+items[0]+` , null, `+items[1]+"\n]}")
	})
	if _, err := collect(pages.Into(t.Context(), pages.Walk(t.Context(), s.lists, first("x"), pages.Link, nil), s.tracks, payload.Array("items"), idOf)); err != nil {
		t.Fatal(err)
	}
	for i, id := range []string{"a", "b"} {
		if e := s.stored(t, id); string(e.Payload) != items[i] {
			t.Errorf("%s is stored as %q, want %q", id, e.Payload, items[i])
		}
	}
}

// Items of a page from the cache fill gaps and replace nothing that is newer than it.
func TestCachedPagesReplaceNothing(t *testing.T) {
	s := newSite(t, 6)
	start := s.now
	if _, err := collect(s.walk(t)); err != nil {
		t.Fatal(err)
	}
	if n, _ := s.tracks.Repository().Count(t.Context(), repository.All); n != 0 {
		t.Fatalf("%d tracks are stored by a walk alone", n)
	}
	s.now = start.Add(10 * time.Minute)
	if err := s.tracks.Repository().Save(t.Context(), "t1", track{ID: "t1", Title: "newer"}); err != nil {
		t.Fatal(err)
	}
	if err := s.tracks.Repository().Save(t.Context(), "t2", track{ID: "t2", Title: "expired"}, repository.ExpireAt(start.Add(time.Minute))); err != nil {
		t.Fatal(err)
	}
	s.now = start.Add(30 * time.Minute)
	s.api.asked()
	if _, err := collect(s.into(t)); err != nil || s.api.asked() != nil {
		t.Fatalf("error %v, or a page was asked for that is cached", err)
	}
	var titles []string
	for _, id := range numbered(6) {
		e, ok, err := s.tracks.Repository().GetEntry(t.Context(), id, repository.AllowExpired())
		if err != nil || !ok {
			t.Fatalf("track %s: %t, %v", id, ok, err)
		}
		titles = append(titles, e.Name)
		if e.Name == "Title" && !e.ExpiresAt.Equal(start.Add(time.Hour)) {
			t.Errorf("%s expires %v after the page was saved, want 1h", id, e.ExpiresAt.Sub(start))
		}
	}
	if want := []string{"Title", "newer", "expired", "Title", "Title", "Title"}; !slices.Equal(titles, want) {
		t.Errorf("titles %q, want %q", titles, want)
	}

	// A page that has just been fetched is the newest.
	s.api.title = "newest"
	if _, err := collect(s.into(t, fetch.Refresh())); err != nil {
		t.Fatal(err)
	}
	if e := s.stored(t, "t1"); e.Name != "newest" || !e.ExpiresAt.Equal(s.now.Add(time.Hour)) {
		t.Errorf("after a refresh, the title is %q, and it expires at %v", e.Name, e.ExpiresAt)
	}
}

// An absence that is remembered stays, where the page with the item is older.
func TestCachedPagesLeaveTheAbsent(t *testing.T) {
	s := newSite(t, 3)
	rs := s.tracks.Settings()
	rs.Name, rs.ExpireAbsent = "others", time.Hour
	s.cache.Remove("tracks")
	s.tracks = fetcherOf(t, s, rs)
	if _, err := collect(s.walk(t)); err != nil {
		t.Fatal(err)
	}
	s.now = s.now.Add(time.Minute)
	s.api.Config.Handler = http.NotFoundHandler()
	if _, err := s.tracks.Fetch(t.Context(), "t1"); !errors.Is(err, fetch.ErrAbsent) {
		t.Fatal(err)
	}
	s.api.Config.Handler = s.api
	s.now = s.now.Add(time.Minute)
	for _, test := range []struct {
		opts []fetch.Option
		want bool
	}{{nil, false}, {[]fetch.Option{fetch.Refresh()}, true}} {
		if _, err := collect(s.into(t, test.opts...)); err != nil {
			t.Fatal(err)
		}
		s.stored(t, "t0")
		if _, ok, err := s.tracks.Repository().Get(t.Context(), "t1"); err != nil || ok != test.want {
			t.Errorf("the track that was absent is there: %t, %v", ok, err)
		}
	}
}

func TestItems(t *testing.T) {
	s := newSite(t, 7)
	items := pages.Items(t.Context(), s.walk(t), s.tracks, payload.Array("items"), func(_ listKey, t track) (string, bool) {
		return t.ID, t.ID != "t2" // which is not to be saved
	})
	var got []trackItem
	for item, err := range items {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, item)
	}
	for i, item := range got {
		want := trackItem{Key: fmt.Sprint("t", i), Value: track{ID: fmt.Sprint("t", i), Title: "Title"}}
		if item != want {
			t.Errorf("item %d is %+v, want %+v", i, item, want)
		}
	}
	if n, _ := s.tracks.Repository().Count(t.Context(), repository.All); n != 6 || len(got) != 7 {
		t.Errorf("%d items, %d are stored; want 7 and 6", len(got), n)
	}

	s.api.asked()
	for range pages.Items(t.Context(), s.walk(t, fetch.Refresh()), s.tracks, payload.Array("items"), idOf) {
		break
	}
	if asked := s.api.asked(); len(asked) != 1 {
		t.Errorf("requests %q after the first item, want 1", asked)
	}
}

// An API's client may have no cache.
func TestItemsWithoutARepository(t *testing.T) {
	s := newSite(t, 7)
	lists, err := fetch.Uncached(s.client, s.lists.Settings(), nil)
	if err != nil {
		t.Fatal(err)
	}
	tracks, err := fetch.Uncached(s.client, s.tracks.Settings(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		n := 0
		walk := pages.Walk(t.Context(), lists, first("all"), pages.Offset(offsetOf, extent), nil)
		for _, err := range pages.Items(t.Context(), walk, tracks, payload.Array("items"), idOf) {
			if n++; err != nil {
				t.Fatal(err)
			}
		}
		if asked := s.api.asked(); n != 7 || len(asked) != 4 {
			t.Errorf("%d items, requests %q", n, asked)
		}
	}
}

// An item that fails does not end the walk, and hides no other item.
func TestItemsThatFail(t *testing.T) {
	s := newSite(t, 0)
	s.api.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("offset") == "3" {
			io.WriteString(w, `{"items":[{"id":"d"}], "total": 4}`)
			return
		}
		io.WriteString(w, `{"items":[{"id":"a"},{"id":"b","title":7},{"id":"c"}], "total": 4}`)
	})
	rs := settings.RepositorySettings[listKey, payloadItems]{
		Name: "loose", Endpoint: s.lists.Settings().Endpoint, Payload: payload.JSON[payloadItems](),
	}
	s.cache.Remove("lists")
	loose := fetcherOf(t, s, rs)
	walk := func() iter.Seq2[*pages.Page[listKey, payloadItems], error] {
		return pages.Walk(t.Context(), loose, first("x"), pages.Offset(offsetOf, func(p payloadItems) pages.Extent {
			return pages.Extent{Items: len(p.Items), Total: p.Total}
		}), nil)
	}
	var ids []string
	failed := 0
	for item, err := range pages.Items(t.Context(), walk(), s.tracks, payload.Array("items"), idOf) {
		if err == nil {
			ids = append(ids, item.Key)
			continue
		}
		failed++
		var undecodable *repository.DecodeError
		if !errors.As(err, &undecodable) || undecodable.Repository != "tracks" {
			t.Errorf("error %v, want one of decoding", err)
		}
	}
	if !slices.Equal(ids, []string{"a", "c", "d"}) || failed != 1 {
		t.Errorf("items %v, %d errors", ids, failed)
	}
	for _, id := range ids {
		s.stored(t, id)
	}

	pagesSeen, failed := 0, 0
	for p, err := range pages.Into(t.Context(), walk(), s.tracks, payload.Array("tracks"), idOf) {
		if p != nil {
			pagesSeen++
		}
		if err != nil && strings.Contains(err.Error(), "tracks") {
			failed++
		}
	}
	if pagesSeen != 2 || failed != 2 {
		t.Errorf("%d pages, %d errors; want 2 pages that have no tracks", pagesSeen, failed)
	}
}

type payloadItems struct {
	Items []any `json:"items"`
	Total int   `json:"total"`
}

// A store that fails takes no page from the loop, and fails none.
func TestIntoAStoreThatFails(t *testing.T) {
	s := newSite(t, 6)
	n := 0
	for p, err := range s.into(t) {
		if p != nil {
			n++
		}
		if err != nil {
			t.Error(err)
		}
		s.store.Close() // the pages come from the origin now
	}
	if failed := s.cache.Stats().StoreErrors; n != 2 || failed == 0 {
		t.Errorf("%d pages, %d errors of the store; want 2 and some", n, failed)
	}
}

// hanging is a store whose tables do not answer, once they are told to hang.
type hanging struct {
	driver.Store
	release chan struct{} // nil: they answer
}

type hangingTable struct {
	driver.Table
	store *hanging
}

func (s *hanging) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	table, err := s.Store.OpenTable(ctx, spec)
	if spec.Name == "endpointcache_records" { // the cache's own
		return table, err
	}
	return hangingTable{table, s}, err
}

func (t hangingTable) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	if t.store.release != nil {
		<-t.store.release
	}
	return t.Table.Get(ctx, keys, sel, visit)
}

func (t hangingTable) PutIf(ctx context.Context, entries []driver.Entry, c driver.Condition) ([]bool, error) {
	if t.store.release != nil {
		<-t.store.release
	}
	return t.Table.PutIf(ctx, entries, c)
}

// A store that hangs holds a listing up for the cache's time alone, whether its pages
// are cached or not.
func TestIntoAStoreThatHangs(t *testing.T) {
	s := newSite(t, 6)
	if _, err := collect(s.walk(t)); err != nil { // which caches the pages
		t.Fatal(err)
	}
	store := &hanging{Store: s.store}
	hung := cacheOf(t, store, &cache.Options{StoreTimeout: 50 * time.Millisecond})
	var err error
	if s.tracks, err = fetch.Create(t.Context(), hung, s.client, s.tracks.Settings(), nil); err != nil {
		t.Fatal(err)
	}
	store.release = make(chan struct{})
	t.Cleanup(func() { close(store.release) }) // before the cache is closed
	for i, opts := range [][]fetch.Option{nil, {fetch.Refresh()}} {
		ids, err := collect(s.into(t, opts...))
		if err != nil || !slices.Equal(ids, numbered(6)) {
			t.Errorf("items %v, error %v", ids, err)
		}
		if n := hung.Stats().StoreErrors; n != int64(2*(i+1)) {
			t.Errorf("%d errors of the store, want 2 for each walk", n)
		}
	}
}

// An expiry that cannot be is told, as it is the caller's.
func TestIntoWithAnExpiryThatCannotBe(t *testing.T) {
	s := newSite(t, 3)
	_, err := collect(pages.Into(t.Context(), s.walk(t), s.tracks, payload.Array("items"), idOf, repository.ExpireIn(-2)))
	if err == nil || s.cache.Stats().StoreErrors != 0 {
		t.Errorf("error %v, %d of the store", err, s.cache.Stats().StoreErrors)
	}
}

func TestErrorsOfTheWalkPassThrough(t *testing.T) {
	s := newSite(t, 100)
	walk := pages.Walk(t.Context(), s.lists, first("all"), pages.Offset(offsetOf, extent), &pages.Options{MaxPages: 2})
	ids, err := collect(pages.Into(t.Context(), walk, s.tracks, payload.Array("items"), idOf))
	if !errors.Is(err, pages.ErrMaxPages) || len(ids) != 6 {
		t.Errorf("items %v, error %v", ids, err)
	}
	n := 0
	var last error
	for _, err := range pages.Items(t.Context(), walk, s.tracks, payload.Array("items"), idOf) {
		n, last = n+1, err
	}
	if !errors.Is(last, pages.ErrMaxPages) || n != 7 {
		t.Errorf("%d turns, the last with %v", n, last)
	}
	if _, err := collect(pages.Into[listKey, list, string, track](t.Context(), walk, s.tracks, nil, idOf)); err == nil {
		t.Error("no error without a function for the items")
	}
}

// What a page of many days ago says replaces no item that was fetched since, though that
// has expired meanwhile.
func TestAnOldPageReplacesNoNewerItem(t *testing.T) {
	s := newSite(t, 3)
	day := 24 * time.Hour
	lists := s.lists.Settings()
	lists.Name, lists.Expire = "old_lists", 30*day
	tracks := s.tracks.Settings()
	tracks.Name, tracks.Expire = "week_tracks", 7*day
	s.cache.Remove("lists")
	s.cache.Remove("tracks")
	s.lists, s.tracks = fetcherOf(t, s, lists), fetcherOf(t, s, tracks)
	start := s.now
	if _, err := collect(s.into(t)); err != nil {
		t.Fatal(err)
	}
	if e := s.stored(t, "t1"); !e.CachedAt.Equal(start) || !e.ExpiresAt.Equal(start.Add(7*day)) {
		t.Errorf("an item of a page of now is cached at %v, expires at %v", e.CachedAt, e.ExpiresAt)
	}
	s.now = start.Add(8 * day)
	s.api.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"id":"t1","title":"newer"}`)
	})
	if _, err := s.tracks.Fetch(t.Context(), "t1"); err != nil {
		t.Fatal(err)
	}
	s.now = start.Add(16 * day)
	if _, err := collect(s.into(t)); err != nil {
		t.Fatal(err)
	}
	e, ok, err := s.tracks.Repository().GetEntry(t.Context(), "t1", repository.AllowExpired())
	if err != nil || !ok || e.Name != "newer" || !e.ExpiresAt.Equal(start.Add(15*day)) {
		t.Errorf("the track is %q, expires at %v, %v", e.Name, e.ExpiresAt, err)
	}
}
