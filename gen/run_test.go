package gen_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/gen/internal/golden/listings"
	"github.com/endpointcache/endpointcache/gen/internal/golden/parameters"
	"github.com/endpointcache/endpointcache/gen/internal/golden/users"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/pages"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// api is a server that remembers what it was asked.
type api struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

func newAPI(t *testing.T, handler func(http.ResponseWriter, *http.Request)) *api {
	a := &api{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.asked = append(a.asked, r.Method+" "+r.URL.RequestURI())
		a.mu.Unlock()
		handler(w, r)
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *api) requests() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	asked := a.asked
	a.asked = nil
	return asked
}

func newCache(t *testing.T) *cache.ResponseCache {
	store, err := memory.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := cache.New(store, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func newClient(t *testing.T, base string) *fetch.Client {
	client, err := fetch.NewClient(&fetch.Options{BaseURL: base})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// roundTrip checks that a key's request is this one, and leads back to the key.
func roundTrip[K comparable, V any](t *testing.T, s settings.RepositorySettings[K, V], key K, uri string) {
	t.Helper()
	s, err := s.Resolve()
	if err != nil {
		t.Error(err)
		return
	}
	req, err := s.Endpoint.Request(t.Context(), &url.URL{Scheme: "https", Host: "api.example.com"}, key)
	if err != nil {
		t.Errorf("%s: %v", s.Name, err)
		return
	}
	if got := req.URL.RequestURI(); got != uri {
		t.Errorf("%s: the request is for %s, want %s", s.Name, got, uri)
	}
	if back, ok, err := s.Endpoint.Key(req); err != nil || !ok || back != key {
		t.Errorf("%s: the request has the key %+v, %t, %v; want %+v", s.Name, back, ok, err, key)
	}
}

func TestKeysOfTheParameters(t *testing.T) {
	roundTrip(t, parameters.GetStatus, parameters.GetStatusKey{}, "/v1/status")
	roundTrip(t, parameters.HeadStatus, parameters.HeadStatusKey{}, "/v1/status")
	//nolint:staticcheck // it is deprecated, and has a key nevertheless
	roundTrip(t, parameters.GetThing, parameters.GetThingKey{ThingID: 7, AcceptLanguage: "de", XFlags: "a, b"}, "/v1/things/7")
	roundTrip(t, parameters.Compare, parameters.CompareKey{BaseHead: "v1...v2"}, "/v1/compare/v1...v2")
	roundTrip(t, parameters.GetFile, parameters.GetFileKey{Path: "a/b/c.txt"}, "/v1/files/a/b/c.txt")
	roundTrip(t, parameters.GetReport, parameters.NewGetReportKey(parameters.GetReportFormatCSV), "/v1/report.csv")
	roundTrip(t, parameters.Exists, parameters.ExistsKey{ID: "x/y"}, "/v1/exists/x%2Fy")

	key := parameters.NewListThingsKey("q")
	const defaults = "/v1/things?q=q&deep=true&per_page=30"
	roundTrip(t, parameters.ListThings, key, defaults+"&piped=a%7Cb&order=asc")
	key.Piped = request.JoinList("a|b")
	roundTrip(t, parameters.ListThings, key, defaults+"&piped=a|b&order=asc")
	key.Piped = request.JoinList("a", "b")
	key.Archived, key.Min, key.Order = request.Some(false), request.Some(0), parameters.ListThingsOrderEmpty
	key.Tags, key.Flag = request.JoinList("b", "a,c"), request.JoinList("")
	key.FilterState, key.FilterLabels, key.X1 = "open", request.JoinList("l"), request.Some(-1)
	key.OddName0, key.QQuery, key.Status = "o", "Q", "s"
	roundTrip(t, parameters.ListThings, key, "/v1/things?q=q&archived=false&deep=true&min=0&per_page=30&tags=b&tags=a%2Cc&piped=a%7Cb"+
		"&filter%5Blabels%5D%5B%5D=l&filter%5Bstate%5D=open&x1=-1&flag=&order=&odd+name%60%5B0%5D=o&Q=Q&status=s")

	roundTrip(t, parameters.Several, parameters.SeveralKey{IDs: request.JoinList("a", "b,c")}, "/v1/several/a,b%2Cc.json")
	roundTrip(t, parameters.Label, parameters.LabelKey{Of: 7}, "/v1/label/.7")
	roundTrip(t, parameters.Matrix, parameters.MatrixKey{Of: request.JoinList("R", "100")}, "/v1/matrix/;of=R,100")

	search := parameters.NewSearchKey("text")
	search.FilterYears, search.Limit, search.AB = request.JoinList("1999", "2001"), "0", "x"
	roundTrip(t, parameters.Search, search, "/v1/search")
}

// A path that another server answers is a path of the API's own server, too.
func TestAnOperationOfAnotherServerHasNoRequestsToTheFirst(t *testing.T) {
	c := newCache(t)
	if err := parameters.Create(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	files := newAPI(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Host) })
	client := parameters.Client(c, &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, files.Listener.Addr().String())
		},
		DisableKeepAlives: true,
	}})
	stored := func(name string) int {
		repo, ok := c.Responses(name)
		if !ok {
			t.Fatalf("there is no repository %s", name)
		}
		n, err := repo.Count(t.Context(), repository.All)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for host, want := range map[string]string{
		"files.example.com":      parameters.LatestFile.Name,
		"api.example.com":        parameters.GetFile.Name,
		"staging.example.com":    parameters.GetFile.Name,
		"files.example.com:8080": parameters.GetFile.Name,
	} {
		before := stored(want)
		for range 2 {
			resp, err := client.Get("http://" + host + "/v1/files/latest")
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err := errors.Join(err, resp.Body.Close()); err != nil || string(body) != host {
				t.Errorf("%s is answered by %s, %v", host, body, err)
			}
		}
		if asked := files.requests(); len(asked) != 1 || stored(want) != before+1 {
			t.Errorf("%s is not stored in %s, by %d requests", host, want, len(asked))
		}
	}
	if base := parameters.LatestFile.BaseURL; base != "https://files.example.com" {
		t.Errorf("the base URL is %q", base)
	}
}

// A client of the API's own server would be asked for what another one answers.
func TestTypedCallsAskTheServerOfTheirOperation(t *testing.T) {
	c := newCache(t)
	if err := parameters.Create(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	both := newAPI(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "{}") })
	client := newClient(t, both.URL)
	if _, err := parameters.Fetcher(c, client, parameters.LatestFile, nil); err == nil || !strings.Contains(err.Error(), "https://files.example.com") {
		t.Errorf("the error is %v", err)
	}
	if _, err := parameters.Fetcher(c, nil, parameters.LatestFile, nil); err == nil {
		t.Error("there is a fetcher without a client")
	}
	if _, err := parameters.Fetcher(c, client, parameters.GetStatus, nil); err != nil {
		t.Error(err)
	}
	for _, base := range []string{"https://files.example.com", "https://Files.example.com", "https://files.example.com:443/v1", "https://files.example.com./"} {
		if _, err := parameters.Fetcher(c, newClient(t, base), parameters.LatestFile, nil); err != nil {
			t.Error(err)
		}
	}
	for _, base := range []string{"http://files.example.com", "https://files.example.com:80"} {
		if _, err := parameters.Fetcher(c, newClient(t, base), parameters.LatestFile, nil); err == nil {
			t.Errorf("a client of %s is taken", base)
		}
	}
	for _, base := range []string{both.URL, both.URL + "/", "", settings.AnyBaseURL} {
		own := parameters.LatestFile
		own.BaseURL = base
		files, err := parameters.Fetcher(c, client, own, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := files.Fetch(t.Context(), parameters.LatestFileKey{}); err != nil {
			t.Error(err)
		}
	}
	if asked := both.requests(); len(asked) != 1 {
		t.Errorf("the server was asked for %q", asked)
	}
}

// Requests that an API may answer differently have different keys, or none.
func TestNoTwoRequestsShareAKey(t *testing.T) {
	s, err := parameters.ListThings.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[parameters.ListThingsKey]string)
	for _, query := range []string{
		"q=a", "q=a&archived=false", "q=a&archived=true", "q=a&min=0", "q=a&min=1", "q=a&deep=false", "q=a&tags=b", "q=a&tags=b&tags=c",
		"q=a&tags=", "q=a&flag", "q=a&flag=x", "q=a&order=", "q=a&order=desc", "q=a&level=1", "q=a&Q=b", "q=b", "q=a&piped=a", "q=a&x1=0",
		"q=a&filter[state]=x", "q=a&filter[min]=0", "q=a&ids=1,2", "q=a&ids=2,1", "q=a&ids=1%2C2",
		"q=a&piped=a%7Cc", "q=a&piped=a|c", "q=a&colours=red%20green", "q=a&colours=red+green", "q=a&shape=a,1", "q=a&shape=a%2C1", "q=a&wrong=0",
	} {
		key, ok, err := s.Endpoint.Key(httptest.NewRequest(http.MethodGet, "/v1/things?"+query, nil))
		if err != nil || !ok {
			t.Errorf("%s: %t, %v", query, ok, err)
			continue
		}
		if other, twice := seen[key]; twice {
			t.Errorf("%s and %s have one key", query, other)
		}
		seen[key] = query
	}
	for _, query := range []string{"", "q=a&page=2", "q=a&filter[other]=1", "q=a&min=x", "q=a&min=1&min=2"} {
		if key, ok, _ := s.Endpoint.Key(httptest.NewRequest(http.MethodGet, "/v1/things?"+query, nil)); ok {
			t.Errorf("%s has the key %+v", query, key)
		}
	}
	for _, same := range [][2]string{{"q=a", "q=a&per_page=30"}, {"q=a", "q=a&order=asc&deep=true"}, {"q=a", "q=a&trace=1"}} {
		a, _, _ := s.Endpoint.Key(httptest.NewRequest(http.MethodGet, "/v1/things?"+same[0], nil))
		b, ok, _ := s.Endpoint.Key(httptest.NewRequest(http.MethodGet, "/v1/things?"+same[1], nil))
		if !ok || a != b {
			t.Errorf("%s and %s have the keys %+v and %+v", same[0], same[1], a, b)
		}
	}
}

// total is how many tracks each listing has, two on a page.
const total = 5

// answerListing answers in the style of its path.
func answerListing(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	first := 0
	number := func(name string) int { n, _ := strconv.Atoi(q.Get(name)); return n }
	switch r.URL.Path {
	case "/link", "/number":
		first = 2 * (number("page") - 1)
	case "/cursor":
		first, _ = strconv.Atoi(strings.TrimPrefix(q.Get("cursor"), "at "))
	case "/last":
		if after := q.Get("starting_after"); after != "" {
			first, _ = strconv.Atoi(after[1:])
			first++
		}
	case "/url":
		first = number("token")
	default:
		first = number("offset") + number("skip") + number("from")
	}
	list := []map[string]any{}
	for i := first; i < min(first+2, total); i++ {
		list = append(list, map[string]any{"id": fmt.Sprint("t", i), "title": "Title"})
	}
	more := first+2 < total
	var body any
	switch r.URL.Path {
	case "/link":
		if more {
			w.Header().Set("Link", fmt.Sprintf(`</link?per_page=2&page=%d>; rel="next"`, number("page")+1))
		}
		body = list
	case "/number":
		body = map[string]any{"items": list, "meta": map[string]any{"total_pages": 3}}
	case "/offset":
		body = map[string]any{"data": list, "total": total}
	case "/more":
		body = map[string]any{"results": list, "has_more": more}
	case "/cursor":
		pagination := map[string]any{"next_cursor": nil}
		if more {
			pagination["next_cursor"] = fmt.Sprint("at ", first+2)
		}
		body = map[string]any{"items": list, "pagination": pagination}
	case "/last":
		body = map[string]any{"data": list, "has_more": more}
	case "/url":
		answer := map[string]any{"items": list, "next": nil}
		if more {
			answer["next"] = fmt.Sprint("?token=", first+2)
		}
		body = answer
	case "/configured":
		body = map[string]any{"page": map[string]any{"items": list}}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

// walk goes through a listing and tells how many requests it took, the first time and again.
func walk[K comparable, V any](t *testing.T, c *cache.ResponseCache, a *api, client *fetch.Client, s settings.RepositorySettings[K, V], first K, next pages.Next[K, V], requests int) {
	t.Helper()
	f, err := listings.Fetcher(c, client, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{requests, 0} {
		var found []string
		for page, err := range pages.Walk(t.Context(), f, first, next, nil) {
			if err != nil {
				t.Errorf("%s: %v", s.Name, err)
				return
			}
			for part := range strings.SplitSeq(string(page.Entry.Payload), `"id":"`) {
				if id, _, ok := strings.Cut(part, `"`); ok && strings.HasPrefix(id, "t") && len(id) == 2 {
					found = append(found, id)
				}
			}
		}
		if !slices.Equal(found, []string{"t0", "t1", "t2", "t3", "t4"}) {
			t.Errorf("%s: the items are %v", s.Name, found)
		}
		if asked := a.requests(); len(asked) != want {
			t.Errorf("%s: %d requests, want %d: %v", s.Name, len(asked), want, asked)
		}
	}
}

func TestListingsAreWalkedInEachStyle(t *testing.T) {
	a := newAPI(t, answerListing)
	c := newCache(t)
	if err := listings.Create(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	client := newClient(t, a.URL)
	walk(t, c, a, client, listings.ListByLink, listings.NewListByLinkKey(), listings.ListByLinkNext, 3)
	walk(t, c, a, client, listings.ListByNumber, listings.NewListByNumberKey(), listings.ListByNumberNext, 3)
	walk(t, c, a, client, listings.ListByOffset, listings.NewListByOffsetKey(), listings.ListByOffsetNext, 3)
	walk(t, c, a, client, listings.ListByMore, listings.ListByMoreKey{}, listings.ListByMoreNext, 3)
	walk(t, c, a, client, listings.ListByCursor, listings.ListByCursorKey{}, listings.ListByCursorNext, 3)
	walk(t, c, a, client, listings.ListByLast, listings.ListByLastKey{}, listings.ListByLastNext, 3)
	walk(t, c, a, client, listings.ListByURL, listings.ListByURLKey{}, listings.ListByURLNext, 3)
	walk(t, c, a, client, listings.ListConfigured, listings.ListConfiguredKey{}, listings.ListConfiguredNext, 4)
}

func TestManyItemsAreFetchedTogether(t *testing.T) {
	a := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"tracks": [{"id": "c", "title": "C"}, {"id": "a", "title": "A"}]}`)
	})
	c := newCache(t)
	if err := listings.Create(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	f, err := listings.Fetcher(c, newClient(t, a.URL), listings.GetTrack, nil)
	if err != nil {
		t.Fatal(err)
	}
	keys := []listings.GetTrackKey{{ID: "a", Market: "DE"}, {ID: "b", Market: "DE"}, {ID: "c", Market: "DE"}}
	results, err := f.FetchMany(t.Context(), keys)
	if err != nil {
		t.Fatal(err)
	}
	if results[0].Value.Title != "A" || results[2].Value.Title != "C" || results[1].Status != fetch.Absent {
		t.Errorf("the results are %+v", results)
	}
	if asked := a.requests(); !slices.Equal(asked, []string{"GET /tracks?ids=a,b,c&market=DE"}) {
		t.Errorf("the requests are %v", asked)
	}
}

func TestWritesMakeOldWhatIsAtTheirPath(t *testing.T) {
	a := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"id": "x", "tracks": []}`)
	})
	c := newCache(t)
	if err := listings.Create(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	client := listings.Client(c, a.Client())
	do := func(method, path string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, a.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var body any
		_ = json.NewDecoder(resp.Body).Decode(&body)
		resp.Body.Close()
	}
	reads := []string{"/tracks?ids=a", "/tracks/a?market=DE", "/tracks/b?market=DE", "/albums/1", "/albums/2"}
	for _, test := range []struct {
		method, path string
		again        []string // what is read anew
	}{
		{http.MethodPost, "/tracks", []string{"/tracks?ids=a"}},
		{http.MethodPut, "/tracks/a", []string{"/tracks?ids=a", "/tracks/a?market=DE"}},
		{http.MethodPost, "/tracks/b/publish", []string{"/tracks/b?market=DE"}},
		{http.MethodPatch, "/albums/2", []string{"/albums/2"}},
		{http.MethodPost, "/mail", nil},
	} {
		for _, path := range reads {
			do(http.MethodGet, path)
		}
		a.requests()
		do(test.method, test.path)
		a.requests()
		for _, path := range reads {
			do(http.MethodGet, path)
		}
		var want []string
		for _, path := range test.again {
			want = append(want, "GET "+path)
		}
		if got := a.requests(); !slices.Equal(got, want) {
			t.Errorf("after %s %s: %v are read anew, want %v", test.method, test.path, got, want)
		}
	}
}

// Whatever carries the credentials, nobody gets another's answer.
func TestCredentialsOfEachKindKeepUsersApart(t *testing.T) {
	a := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, "%q", fmt.Sprint(r.Header.Get("Authorization"), r.Header.Get("X-Member"), r.Header.Get("X-Api-Key"), r.Header.Get("Cookie"), r.URL.RawQuery))
	})
	c := newCache(t)
	if err := users.Create(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	client := users.Client(c, a.Client())
	get := func(uri string, header http.Header) (body string, cached bool) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.URL+uri, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = header.Clone()
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
			t.Fatal(err)
		}
		return body, resp.Header.Get("X-From-Cache") != ""
	}
	for _, test := range []struct {
		uri    func(user string) string
		header func(user string) http.Header
	}{
		{same("/me"), headerOf("Authorization")},
		{same("/either"), headerOf("Authorization")},
		{func(user string) string { return "/keyed?api_key=" + user }, none},
		{same("/odd"), headerOf("X-Member")},
		{func(user string) string { return "/odd?house=" + user }, none},
		{same("/odd"), headerOf("Authorization")},
		{same("/session"), headerOf("Cookie")},
		{same("/param"), headerOf("X-Api-Key")},
	} {
		bodies := make(map[string]bool)
		for range 2 {
			for _, user := range []string{"ann", "bob"} {
				body, _ := get(test.uri(user), test.header(user))
				if !strings.Contains(body, user) {
					t.Errorf("%s: %s got %q", test.uri(user), user, body)
				}
				bodies[body] = true
			}
		}
		if _, cached := get(test.uri("ann"), test.header("ann")); !cached {
			t.Errorf("%s is not cached", test.uri("ann"))
		}
		if len(bodies) != 2 {
			t.Errorf("%s: the bodies are %v", test.uri("x"), bodies)
		}
	}
}

func same(uri string) func(string) string { return func(string) string { return uri } }

func none(string) http.Header { return http.Header{} }

func headerOf(name string) func(string) http.Header {
	return func(user string) http.Header { return http.Header{name: {"user=" + user}} }
}
