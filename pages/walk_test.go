package pages_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/pages"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/sqlite"
)

func linkHeader(_ *http.Request, offset int) []string {
	return []string{`</lists/all?offset=0>; rel="first"`, fmt.Sprintf(`<?offset=%d>; rel="next"`, offset+size)}
}

// A store that reads no more than it has to still has the headers of a page that was
// cached, and the time that its items are known from.
func TestACachedPageHasHeadersAndTimesOnEveryStore(t *testing.T) {
	onDisk, err := sqlite.OpenMemory(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	s := newSiteOn(t, newAPI(t, 10), "", onDisk)
	s.api.link = func(r *http.Request, offset int) []string {
		if offset+size >= 10 {
			return nil
		}
		return linkHeader(r, offset)
	}
	began := s.now
	for range 2 {
		walk := pages.Walk(t.Context(), s.lists, first("all"), pages.Link[listKey, list], nil)
		if ids, err := collect(walk); err != nil || !slices.Equal(ids, numbered(10)) {
			t.Errorf("items %v, error %v", ids, err)
		}
		s.now = s.now.Add(time.Hour)
	}
	for p, err := range pages.Walk(t.Context(), s.lists, first("all"), pages.Link[listKey, list], nil) {
		if err != nil || !p.Cached || !p.Entry.CachedAt.Equal(began) {
			t.Errorf("cached: %v, at %v, want %v, error %v", p.Cached, p.Entry.CachedAt, began, err)
		}
	}
}

// told is what a page tells of the next, whatever its value is.
type told struct {
	Items []any  `json:"items"`
	Total int    `json:"total"`
	Next  string `json:"next"`
}

// Each style goes through the whole listing, in its order, with no more requests than
// it needs, and a second time with none.
func TestStyles(t *testing.T) {
	for _, test := range []struct {
		name     string
		list     string
		next     next
		total    int
		requests int
	}{
		{"offset", "all", pages.Offset(offsetOf, extent), 10, 5}, // the last of which has one item, and then none
		{"offset, full pages", "all", pages.Offset(offsetOf, extent), 9, 4},
		{"offset, with a total", "told", pages.Offset(offsetOf, extent), 9, 3},
		{"offset, nothing there", "told", pages.Offset(offsetOf, extent), 0, 1},
		{"number", "all", pages.Number(numberOf, extent), 9, 4},
		{"number, with the last", "told", pages.Number(numberOf, extent), 10, 4},
		{"cursor", "all", pages.Cursor(cursorOf, func(l list) string { return l.Cursor }), 10, 4},
		{"URL", "all", pages.URL[listKey](func(l list) string { return l.Next }), 10, 4},
		{"link", "all", pages.Link[listKey, list], 10, 4},
		{"offset, by the body", "told", pages.ByBody[told, listKey, list](pages.Offset(offsetOf, func(p told) pages.Extent {
			return pages.Extent{Items: len(p.Items), Total: p.Total}
		})), 9, 3},
		{"URL, by the body", "all", pages.ByBody[told, listKey, list](pages.URL[listKey](func(p told) string { return p.Next })), 10, 4},
		{"offset, until the end is told", "all", pages.Offset(offsetOf, func(l list) pages.Extent {
			return pages.Extent{Items: len(l.Items), End: l.Next == ""}
		}), 10, 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t, test.total)
			s.api.link = func(r *http.Request, offset int) []string {
				if offset+size >= test.total {
					return nil
				}
				return linkHeader(r, offset)
			}
			walk := pages.Walk(t.Context(), s.lists, first(test.list), test.next, nil)
			for _, requests := range []int{test.requests, 0} {
				ids, err := collect(walk)
				if err != nil || !slices.Equal(ids, numbered(test.total)) {
					t.Errorf("items %v, error %v", ids, err)
				}
				if asked := s.api.asked(); len(asked) != requests {
					t.Errorf("requests %q, want %d", asked, requests)
				}
			}
		})
	}
}

// A key keeps all but the field that counts, and a page is what a typed read finds.
func TestPagesHaveKeysOfTheirOwn(t *testing.T) {
	s := newSite(t, 7)
	var offsets []int
	for p, err := range pages.Walk(t.Context(), s.lists, listKey{List: "told", Offset: 1, Number: 1}, pages.Offset(offsetOf, extent), nil) {
		if err != nil {
			t.Fatal(err)
		}
		offsets = append(offsets, p.Key.Offset)
		value, ok, err := s.lists.Repository().Get(t.Context(), p.Key)
		if err != nil || !ok || fmt.Sprint(value) != fmt.Sprint(p.Value) || p.Key.List != "told" {
			t.Errorf("page %+v is stored as %v, %t, %v", p.Key, value, ok, err)
		}
		if p.Cached || !strings.Contains(string(p.Entry.Payload), `"items"`) {
			t.Errorf("page %+v: cached %t, payload %q", p.Key, p.Cached, p.Entry.Payload)
		}
	}
	if !slices.Equal(offsets, []int{1, 4}) {
		t.Errorf("offsets %v", offsets)
	}
}

func TestStepOfItemsThatAreLeftOut(t *testing.T) {
	s := newSite(t, 9)
	filtered := func(l list) pages.Extent { return pages.Extent{Items: len(l.Items) - 1, Step: size, Total: l.Total} }
	ids, err := collect(pages.Walk(t.Context(), s.lists, first("told"), pages.Offset(offsetOf, filtered), nil))
	if err != nil || !slices.Equal(ids, numbered(9)) {
		t.Errorf("items %v, error %v", ids, err)
	}
}

func TestBreakEndsTheWalk(t *testing.T) {
	s := newSite(t, 100)
	for p, err := range pages.Walk(t.Context(), s.lists, first("all"), pages.Offset(offsetOf, extent), nil) {
		if err != nil {
			t.Fatal(err)
		}
		if p.Key.Offset == 2*size {
			break
		}
	}
	if asked := s.api.asked(); len(asked) != 3 {
		t.Errorf("requests %q, want 3", asked)
	}
	// It goes on from the cache.
	if _, err := collect(pages.Walk(t.Context(), s.lists, first("all"), pages.Offset(offsetOf, extent), nil)); err != nil {
		t.Error(err)
	}
	if asked := s.api.asked(); len(asked) != 32 {
		t.Errorf("%d requests for the rest, want 32", len(asked))
	}
}

func TestLoopIsAnError(t *testing.T) {
	for name, test := range map[string]next{
		"the same page": func(p *page) (listKey, bool, error) { return p.Key, true, nil },
		"the one before": func(p *page) (listKey, bool, error) {
			key := p.Key
			key.Offset = (key.Offset + size) % (3 * size)
			return key, true, nil
		},
		"the same token": pages.Cursor(cursorOf, func(list) string { return "from 3" }),
		"the same URL":   pages.URL[listKey](func(list) string { return "/lists/all?page=1" }),
	} {
		s := newSite(t, 100)
		ids, err := collect(pages.Walk(t.Context(), s.lists, first("all"), test, nil))
		if !errors.Is(err, pages.ErrLoop) || len(ids) == 0 || len(ids) > 9 {
			t.Errorf("%s: error %v after %v", name, err, ids)
		}
	}
}

func TestMaxPages(t *testing.T) {
	s := newSite(t, 9)
	walk := func(limit int) ([]string, error) {
		return collect(pages.Walk(t.Context(), s.lists, first("told"), pages.Offset(offsetOf, extent), &pages.Options{MaxPages: limit}))
	}
	if ids, err := walk(2); !errors.Is(err, pages.ErrMaxPages) || len(ids) != 6 {
		t.Errorf("2 pages: items %v, error %v", ids, err)
	}
	if ids, err := walk(3); err != nil || len(ids) != 9 {
		t.Errorf("3 pages: items %v, error %v", ids, err)
	}
	if _, err := walk(-1); err == nil {
		t.Error("a negative limit is no error")
	}
}

// What a server tells as the next page is only a key: no other host is asked, and
// nothing that is not the endpoint's.
func TestForeignURLIsAnError(t *testing.T) {
	for _, test := range []struct {
		url  string
		want error // nil: it is followed
	}{
		{"http://evil.example.com/lists/all?offset=3", pages.ErrForeign},
		{"//evil.example.com/lists/all?offset=3", pages.ErrForeign},
		{"http://HOST@evil.example.com/lists/all?offset=3", pages.ErrForeign},
		{"http://api.HOST/lists/all?offset=3", pages.ErrForeign},
		{"http://127.0.0.1/lists/all?offset=3", pages.ErrForeign}, // another port
		{"ftp://HOST/lists/all?offset=3", pages.ErrForeign},
		{"javascript:alert(1)", pages.ErrForeign},
		{"/other/all?offset=3", pages.ErrForeign},
		{"/lists/all/more?offset=3", pages.ErrForeign},
		{"?offset=3&admin=1", pages.ErrForeign},
		{"?offset=x", pages.ErrForeign},
		{"?offset=3", nil},
		{"/lists/all?offset=3", nil},
		{"all?offset=3", nil},
		{"../lists/all?offset=3", nil},
		{"//HOST/lists/all?offset=3", nil},
		{"http://HOST/lists/all?offset=3#top", nil},
		{"https://HOST/lists/all?offset=3", nil}, // behind something that ends TLS, or does not
		{"http://me:pw@HOST/lists/all?offset=3", nil},
	} {
		s := newSite(t, 4)
		host := strings.TrimPrefix(s.api.URL, "http://")
		next := pages.URL[listKey](func(l list) string {
			if l.Next == "" {
				return ""
			}
			return strings.ReplaceAll(test.url, "HOST", host)
		})
		ids, err := collect(pages.Walk(t.Context(), s.lists, first("all"), next, nil))
		switch {
		case test.want != nil:
			if !errors.Is(err, test.want) || len(ids) != 3 {
				t.Errorf("%s: items %v, error %v", test.url, ids, err)
			}
			if asked := s.api.asked(); len(asked) != 1 {
				t.Errorf("%s: requests %q", test.url, asked)
			}
		case err != nil || !slices.Equal(ids, numbered(4)):
			t.Errorf("%s: items %v, error %v", test.url, ids, err)
		}
	}
}

// Behind a proxy, the server tells its own path or the proxy's, and with or without the
// query that the base adds.
func TestURLBehindAProxy(t *testing.T) {
	for _, url := range []string{"?offset=3&market=DE", "/proxy/lists/all?offset=3", "/lists/all?market=DE&offset=3"} {
		a := newAPI(t, 4)
		s := newSiteAt(t, a, "/proxy/?market=DE")
		next := pages.URL[listKey](func(l list) string {
			if l.Next == "" {
				return ""
			}
			return url
		})
		ids, err := collect(pages.Walk(t.Context(), s.lists, first("all"), next, nil))
		if err != nil || !slices.Equal(ids, numbered(4)) {
			t.Errorf("%s: items %v, error %v", url, ids, err)
		}
		if asked := a.asked(); len(asked) != 2 || !strings.HasPrefix(asked[1], "/proxy/lists/all?") || strings.Count(asked[1], "market=DE") != 1 {
			t.Errorf("%s: requests %q", url, asked)
		}
	}
}

// Where the base stands for the endpoint's own host, the server may tell either.
func TestURLOfTheEndpointsHost(t *testing.T) {
	for url, want := range map[string]error{
		"?offset=3": nil,
		"https://api.example.com/lists/all?offset=3":     nil,
		"https://API.example.com:443/lists/all?offset=3": nil,
		"https://www.example.com/lists/all?offset=3":     pages.ErrForeign,
	} {
		s := newSite(t, 4)
		rs := s.lists.Settings()
		rs.Name, rs.Endpoint = "hosted", request.Pattern[listKey]("GET api.example.com/lists/{list}")
		hosted := fetcherOf(t, s, rs)
		next := pages.URL[listKey](func(l list) string {
			if l.Next == "" {
				return ""
			}
			return url
		})
		ids, err := collect(pages.Walk(t.Context(), hosted, first("all"), next, nil))
		if !errors.Is(err, want) || want == nil && !slices.Equal(ids, numbered(4)) {
			t.Errorf("%s: items %v, error %v", url, ids, err)
		}
	}
}

func TestMalformedURLIsNotTold(t *testing.T) {
	s := newSite(t, 4)
	_, err := collect(pages.Walk(t.Context(), s.lists, first("all"), pages.URL[listKey](func(list) string { return "http://[::1/?token=secret" }), nil))
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
}

func TestMalformedLinkIsAnError(t *testing.T) {
	s := newSite(t, 4)
	s.api.link = func(*http.Request, int) []string { return []string{`<?offset=3; rel="next"`} }
	if ids, err := collect(pages.Walk(t.Context(), s.lists, first("all"), pages.Link, nil)); err == nil || len(ids) != 3 {
		t.Errorf("items %v, error %v: a listing that breaks off is not complete", ids, err)
	}
}

func TestFailingPageEndsTheWalk(t *testing.T) {
	s := newSite(t, 100)
	s.api.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("offset") {
		case "3":
			http.NotFound(w, r)
		default:
			s.api.ServeHTTP(w, r)
		}
	})
	ids, err := collect(pages.Walk(t.Context(), s.lists, first("all"), pages.Offset(offsetOf, extent), nil))
	if !errors.Is(err, fetch.ErrAbsent) || len(ids) != 3 {
		t.Errorf("items %v, error %v", ids, err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	for p, err := range pages.Walk(ctx, s.lists, listKey{List: "all", Offset: 6, Number: 1}, pages.Offset(offsetOf, extent), nil) {
		if n++; n == 1 {
			cancel()
		} else if p != nil || !errors.Is(err, context.Canceled) || n > 2 {
			t.Errorf("page %v, error %v", p, err)
		}
	}
	if n != 2 {
		t.Errorf("the loop had %d turns, want a page and an error", n)
	}
}

func TestRefresh(t *testing.T) {
	s := newSite(t, 9)
	for range 2 {
		_, err := collect(pages.Walk(t.Context(), s.lists, first("told"), pages.Offset(offsetOf, extent), &pages.Options{Fetch: []fetch.Option{fetch.Refresh()}}))
		if asked := s.api.asked(); err != nil || len(asked) != 3 {
			t.Errorf("requests %q, error %v", asked, err)
		}
	}
}

func TestFieldThatCannotCountOn(t *testing.T) {
	type smallKey struct {
		Page  uint8
		Other int8
	}
	small := pages.Number(func(k *smallKey) *uint8 { return &k.Page }, func(int) pages.Extent { return pages.Extent{Items: 1} })
	if _, ok, err := small(&pages.Page[smallKey, int]{Key: smallKey{Page: 255}}); ok || err == nil {
		t.Errorf("after page 255 of a uint8: %t, %v", ok, err)
	}
	other := pages.Offset(func(k *smallKey) *int8 { return &k.Other }, func(int) pages.Extent { return pages.Extent{Items: 300} })
	if key, ok, err := other(&pages.Page[smallKey, int]{}); ok || err == nil {
		t.Errorf("an offset of 300 in an int8: %+v, %t, %v", key, ok, err)
	}
}

func TestWithoutEndpointOrNext(t *testing.T) {
	s := newSite(t, 1)
	if _, err := collect(pages.Walk(t.Context(), s.lists, first("all"), nil, nil)); err == nil {
		t.Error("no error without next")
	}
	if _, err := collect(pages.Walk[listKey, list](t.Context(), nil, first("all"), pages.Link, nil)); err == nil {
		t.Error("no error without an endpoint")
	}
}

// A cursor lives for an hour at the origin, and the page that told it for a day here.
func TestAStoredPageWhoseCursorHasExpired(t *testing.T) {
	for _, code := range []int{http.StatusBadRequest, http.StatusNotFound, http.StatusGone, http.StatusUnprocessableEntity} {
		s := newSite(t, 0)
		generation, refused := 1, false
		s.api.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch cursor := r.URL.Query().Get("cursor"); {
			case cursor == "":
				fmt.Fprintf(w, `{"items":[{"id":"t0"}],"cursor":"g%d"}`, generation)
			case refused || cursor != fmt.Sprint("g", generation):
				w.WriteHeader(code)
			default:
				io.WriteString(w, `{"items":[{"id":"t1"}]}`)
			}
		})
		walk := pages.Walk(t.Context(), s.lists, first("all"), pages.Cursor(cursorOf, func(l list) string { return l.Cursor }), nil)
		for range walk {
			break // the first page is cached
		}
		generation = 2
		if ids, err := collect(walk); err != nil || !slices.Equal(ids, numbered(2)) {
			t.Errorf("status %d: items %v, %v", code, ids, err)
		}
		// The page is asked for once more, and no more often.
		generation, refused = 3, true
		repo := s.lists.Repository()
		if _, err := repo.Delete(t.Context(), listKey{List: "all", Number: 1, Cursor: "g2"}); err != nil {
			t.Fatal(err)
		}
		requests := s.lists.Requests()
		var status *fetch.StatusError
		if ids, err := collect(walk); !errors.As(err, &status) || status.Code != code || len(ids) != 1 {
			t.Errorf("status %d: items %v, %v", code, ids, err)
		}
		if n := s.lists.Requests() - requests; n != 3 {
			t.Errorf("status %d: %d requests, want 3", code, n)
		}
	}
}

func TestABodyThatTellsTheNextPageInAnotherFormIsAnError(t *testing.T) {
	s := newSite(t, 10)
	type odd struct {
		Items string `json:"items"`
	}
	next := pages.ByBody[odd, listKey, list](pages.Offset(offsetOf, func(odd) pages.Extent { return pages.Extent{Items: 1} }))
	_, err := collect(pages.Walk(t.Context(), s.lists, first("all"), next, nil))
	if err == nil || !strings.Contains(err.Error(), "cannot be decoded") {
		t.Errorf("the error is %v", err)
	}
}
