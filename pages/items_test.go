package pages_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

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

// Items of a page from the cache fill gaps and replace nothing that is live.
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
	if err := s.tracks.Repository().Save(t.Context(), "t2", track{ID: "t2", Title: "expired"}, repository.ExpireAt(start)); err != nil {
		t.Fatal(err)
	}
	s.now = start.Add(30 * time.Minute)
	s.api.asked()
	if _, err := collect(s.into(t)); err != nil || s.api.asked() != nil {
		t.Fatalf("error %v, or a page was asked for that is cached", err)
	}
	var titles []string
	for _, id := range numbered(6) {
		e := s.stored(t, id)
		titles = append(titles, e.Name)
		if id != "t1" && !e.ExpiresAt.Equal(start.Add(time.Hour)) {
			t.Errorf("%s expires %v after the page was saved, want 1h", id, e.ExpiresAt.Sub(start))
		}
	}
	if want := []string{"Title", "newer", "Title", "Title", "Title", "Title"}; !slices.Equal(titles, want) {
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

// What the origin is remembered not to have stays so, where the page is older.
func TestCachedPagesLeaveTheAbsent(t *testing.T) {
	s := newSite(t, 3)
	rs := s.tracks.Settings()
	rs.Name, rs.ExpireAbsent = "others", time.Hour
	s.tracks = endpointOf(t, s, rs)
	if _, err := collect(s.walk(t)); err != nil {
		t.Fatal(err)
	}
	if err := s.tracks.Repository().SaveAbsent(t.Context(), []string{"t1"}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		opts []fetch.Option
		want repository.Presence
	}{{nil, repository.Absent}, {[]fetch.Option{fetch.Refresh()}, repository.Present}} {
		if _, err := collect(s.into(t, test.opts...)); err != nil {
			t.Fatal(err)
		}
		if got, err := s.tracks.Repository().Presence(t.Context(), []string{"t0", "t1"}); err != nil || got[0] != repository.Present || got[1] != test.want {
			t.Errorf("presence %v, %v, want present and %v", got, err, test.want)
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

// What fails for an item does not end the walk, and hides no other item.
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
	loose := endpointOf(t, s, rs)
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
	if failed := s.tracks.Stats().StoreErrors; n != 2 || failed != 1 {
		t.Errorf("%d pages, %d errors of the store; want 2 and 1", n, failed)
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
	return hangingTable{table, s}, err
}

func (t hangingTable) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	if t.store.release != nil {
		<-t.store.release
	}
	return t.Table.Get(ctx, keys, sel, visit)
}

func (t hangingTable) Put(ctx context.Context, entries []driver.Entry) error {
	if t.store.release != nil {
		<-t.store.release
	}
	return t.Table.Put(ctx, entries)
}

// A store that hangs holds a listing up for the endpoint's time alone, whether its pages
// are cached or not.
func TestIntoAStoreThatHangs(t *testing.T) {
	s := newSite(t, 6)
	if _, err := collect(s.walk(t)); err != nil { // which caches the pages
		t.Fatal(err)
	}
	store := &hanging{Store: s.store}
	repo, err := repository.New(t.Context(), store, s.tracks.Settings(), nil)
	if err != nil {
		t.Fatal(err)
	}
	s.tracks, err = fetch.New(s.client, repo, &fetch.EndpointOptions{
		StoreTimeout: 50 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	store.release = make(chan struct{})
	defer close(store.release)
	for i, opts := range [][]fetch.Option{nil, {fetch.Refresh()}} {
		ids, err := collect(s.into(t, opts...))
		if err != nil || !slices.Equal(ids, numbered(6)) {
			t.Errorf("items %v, error %v", ids, err)
		}
		if n := s.tracks.Stats().StoreErrors; n != int64(2*(i+1)) {
			t.Errorf("%d errors of the store, want 2 for each walk", n)
		}
	}
}

// An expiry that cannot be is told, as it is the caller's.
func TestIntoWithAnExpiryThatCannotBe(t *testing.T) {
	s := newSite(t, 3)
	_, err := collect(pages.Into(t.Context(), s.walk(t), s.tracks, payload.Array("items"), idOf, repository.ExpireIn(-2)))
	if err == nil || s.tracks.Stats().StoreErrors != 0 {
		t.Errorf("error %v, %d of the store", err, s.tracks.Stats().StoreErrors)
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
		t.Error("no error without a split")
	}
}
