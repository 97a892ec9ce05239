package pages_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/pages"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

func init() { exchange.DefaultStoreTimeout = waitfor.Limit }

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listKey is the key of a page in any of the styles.
type listKey struct {
	List   string `path:"list"`
	Offset int    `query:"offset" default:"0"`
	Number int    `query:"page" default:"1"`
	Cursor string `query:"cursor" default:""`
}

// first is the key of the first page.
func first(list string) listKey { return listKey{List: list, Number: 1} }

type list struct {
	Items  []track `json:"items"`
	Total  int     `json:"total,omitempty"`
	Last   int     `json:"last,omitempty"`
	Cursor string  `json:"cursor,omitempty"`
	Next   string  `json:"next,omitempty"`
}

type track struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

type (
	page      = pages.Page[listKey, list]
	listing   = fetch.Fetcher[listKey, list]
	next      = pages.Next[listKey, list]
	tracks    = fetch.Fetcher[string, track]
	trackItem = pages.Item[string, track]
)

// api is a server of a listing of tracks, three on a page.
type api struct {
	*httptest.Server
	total int
	link  func(*http.Request, int) []string // the Link headers of the page at an offset
	title string

	mu       sync.Mutex
	requests []string
}

const size = 3

func newAPI(t testing.TB, total int) *api {
	a := &api{total: total, title: "Title"}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	return a
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.requests = append(a.requests, r.URL.RequestURI())
	a.mu.Unlock()
	q := r.URL.Query()
	offset, _ := strconv.Atoi(q.Get("offset"))
	if number, _ := strconv.Atoi(q.Get("page")); number > 1 {
		offset = size * (number - 1)
	}
	if cursor := q.Get("cursor"); cursor != "" {
		offset, _ = strconv.Atoi(strings.TrimPrefix(cursor, "from "))
	}
	var l list
	l.Items = []track{}
	for i := offset; i < min(offset+size, a.total); i++ {
		l.Items = append(l.Items, track{ID: fmt.Sprint("t", i), Title: a.title})
	}
	if strings.HasSuffix(r.URL.Path, "/told") {
		l.Total, l.Last = a.total, (a.total+size-1)/size
	}
	if offset+size < a.total {
		l.Cursor = fmt.Sprint("from ", offset+size)
		l.Next = fmt.Sprint("?offset=", offset+size)
	}
	if a.link != nil {
		w.Header()["Link"] = a.link(r, offset)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("ETag", `"page"`)
	json.NewEncoder(w).Encode(l)
}

// asked returns the requests since it was last called.
func (a *api) asked() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	asked := a.requests
	a.requests = nil
	return asked
}

// site is an API, a store, and endpoints between them.
type site struct {
	api    *api
	store  driver.Store
	cache  *cache.ResponseCache
	client *fetch.Client
	now    time.Time

	lists  *listing
	tracks *tracks
}

func newSite(t testing.TB, total int) *site { return newSiteAt(t, newAPI(t, total), "") }

// newSiteAt is for an API behind a path of a proxy.
func newSiteAt(t testing.TB, a *api, path string) *site {
	t.Helper()
	store, err := memory.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return newSiteOn(t, a, path, store)
}

// newSiteOn is for another store, which is closed with the test.
func newSiteOn(t testing.TB, a *api, path string, store driver.Store) *site {
	t.Helper()
	s := &site{api: a, store: store, now: time.Now().UTC().Truncate(time.Second)}
	var err error
	s.cache = cacheOf(t, s.store, &cache.Options{Now: func() time.Time { return s.now }})
	s.client, err = fetch.NewClient(&fetch.Options{BaseURL: a.URL + path, Retry: &origin.RetryOptions{Retries: origin.NoRetries}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.client.Close() })
	s.lists = fetcherOf(t, s, settings.RepositorySettings[listKey, list]{
		Name:     "lists",
		Endpoint: request.Pattern[listKey]("/lists/{list}", request.IgnoreQuery("market")),
		Payload:  payload.JSON[list](),
		Expire:   24 * time.Hour,
	})
	s.tracks = fetcherOf(t, s, settings.RepositorySettings[string, track]{
		Name:     "tracks",
		Endpoint: request.Pattern[string]("/tracks/{id}"),
		Payload:  payload.JSON[track](),
		NameOf:   func(t track) string { return t.Title },
		Expire:   time.Hour,
	})
	return s
}

func fetcherOf[K comparable, V any](t testing.TB, s *site, rs settings.RepositorySettings[K, V]) *fetch.Fetcher[K, V] {
	t.Helper()
	f, err := fetch.Create(t.Context(), s.cache, s.client, rs, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func cacheOf(t testing.TB, store driver.Store, opts *cache.Options) *cache.ResponseCache {
	t.Helper()
	opts.Logger = slog.New(slog.DiscardHandler)
	c, err := cache.New(store, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func offsetOf(k *listKey) *int    { return &k.Offset }
func numberOf(k *listKey) *int    { return &k.Number }
func cursorOf(k *listKey) *string { return &k.Cursor }

func extent(l list) pages.Extent {
	return pages.Extent{Items: len(l.Items), Total: l.Total, Last: l.Last}
}

// collect goes through a walk to its end and returns the ids of all items.
func collect(walk iter.Seq2[*page, error]) (ids []string, err error) {
	for p, e := range walk {
		if p != nil {
			for _, item := range p.Value.Items {
				ids = append(ids, item.ID)
			}
		}
		err = errors.Join(err, e)
	}
	return ids, err
}

func numbered(n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprint("t", i))
	}
	return ids
}
