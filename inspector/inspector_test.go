package inspector_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/inspector"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// noon is what the clock of all tests shows.
var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

type trackKey struct {
	ID     string `path:"id"`
	Market string `query:"market"`
}

type pages struct {
	*inspector.Inspector
	t      *testing.T
	cache  *cache.ResponseCache
	tracks *repository.ResponseRepository[trackKey, string]
	now    *time.Time
}

// newPages are the pages of a cache in memory with an empty repository of tracks.
func newPages(t *testing.T, opts inspector.Options) *pages {
	t.Helper()
	store, err := memory.New(nil)
	check(t, err)
	return newPagesOf(t, store, opts)
}

func newPagesOf(t *testing.T, store driver.Store, opts inspector.Options) *pages {
	t.Helper()
	now := noon
	clock := func() time.Time { return now }
	o := &cache.Options{Name: "music", Now: clock}
	if opts.Recorder != nil {
		o.Hooks = opts.Recorder.Hooks()
	}
	c, err := cache.New(store, o)
	check(t, err)
	t.Cleanup(func() { check(t, c.Close()) })
	tracks, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[trackKey, string]{
		Name: "tracks", Pattern: "GET api.test/tracks/{id}", Payload: payload.String(), Scope: settings.Shared,
		ExpireAbsent: time.Hour, NameOf: strings.ToUpper,
	})
	check(t, err)
	opts.Now = clock
	h, err := inspector.Handler(c, &opts)
	check(t, err)
	t.Cleanup(func() { check(t, h.Close()) })
	return &pages{h, t, c, tracks, &now}
}

// save stores a response, requested as long ago as the clock says.
func (p *pages) save(id string, status int, header http.Header, body string, lives time.Duration) {
	p.t.Helper()
	e, err := repository.NewEntry(status, repository.Head{Header: header}, []byte(body))
	check(p.t, err)
	check(p.t, p.tracks.SaveEntry(p.t.Context(), trackKey{id, "DE"}, e, repository.ExpireIn(lives)))
}

// request is one that a browser of this machine makes.
func request(method, target string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	r.Host, r.RemoteAddr = "localhost:8080", "127.0.0.1:41000"
	return r
}

func (p *pages) serve(r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w.Result()
}

// get returns a page, which has the status.
func (p *pages) get(status int, target string) string {
	p.t.Helper()
	return p.body(status, p.serve(request(http.MethodGet, target)))
}

func (p *pages) post(status int, target string) string {
	p.t.Helper()
	return p.body(status, p.serve(request(http.MethodPost, target)))
}

func (p *pages) body(status int, resp *http.Response) string {
	p.t.Helper()
	body, err := io.ReadAll(resp.Body)
	check(p.t, err)
	if resp.StatusCode != status {
		p.t.Fatalf("the status is %d, want %d:\n%s", resp.StatusCode, status, body)
	}
	return string(body)
}

// getJSON returns a page as programs get it.
func getJSON[T any](p *pages, target string) (v T) {
	p.t.Helper()
	r := request(http.MethodGet, target)
	r.Header.Set("Accept", "application/json")
	check(p.t, json.Unmarshal([]byte(p.body(http.StatusOK, p.serve(r))), &v))
	return v
}

func has(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("there is no %q on the page:\n%s", text, page)
		}
	}
}

func hasNot(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(page, text) {
			t.Errorf("there is %q on the page:\n%s", text, page)
		}
	}
}

// address is the query of the pages of a track.
func address(id string) string {
	return "table=tracks&" + url.Values{"key": {id, "DE"}}.Encode()
}

func TestOptionsAreChecked(t *testing.T) {
	if _, err := inspector.Handler(nil, nil); err == nil {
		t.Error("a nil cache is no error")
	}
	store, err := memory.New(nil)
	check(t, err)
	c, err := cache.New(store, nil)
	check(t, err)
	defer c.Close()
	for _, o := range []inspector.Options{
		{Timeout: -1}, {BaseURL: "api.test"}, {Hosts: []string{""}}, {Hosts: []string{"https://a.test"}}, {Hosts: []string{"a.test:80"}}, {Hosts: []string{"*.a.test"}},
	} {
		if _, err := inspector.Handler(c, &o); err == nil || !strings.HasPrefix(err.Error(), "inspector: ") {
			t.Errorf("%+v: %v", o, err)
		}
	}
	h, err := inspector.Handler(c, nil)
	check(t, err)
	check(t, h.Close())
	check(t, h.Close())
	w := httptest.NewRecorder()
	h.ServeHTTP(w, request("GET", "/"))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("after Close, the status is %d", w.Code)
	}
}

func TestThePagesWorkUnderAnyPath(t *testing.T) {
	p := newPages(t, inspector.Options{})
	p.save("a", 200, nil, "x", time.Hour)
	stripped := http.StripPrefix("/debug/cache", p)
	for _, h := range []http.Handler{p, stripped, http.StripPrefix("/debug/cache/", p)} {
		for _, target := range []string{"/debug/cache/", "/debug/cache/list", "/debug/cache/entry?" + address("a"), "/debug/cache/style.css"} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, request("GET", target))
			if w.Code != http.StatusOK {
				t.Errorf("%s: %d", target, w.Code)
			}
			for _, link := range strings.Split(w.Body.String(), `="`) {
				if strings.HasPrefix(link, "/") || strings.HasPrefix(link, "http") {
					t.Errorf("%s has a link that is not relative: %.40s", target, link)
				}
			}
		}
	}
	// Without the slash at its end, links would lead elsewhere.
	w := httptest.NewRecorder()
	stripped.ServeHTTP(w, request("GET", "/debug/cache?x=1"))
	if w.Code != http.StatusFound || w.Header().Get("Location") != "./cache/" {
		t.Errorf("%d, %s", w.Code, w.Header().Get("Location"))
	}
}

func TestRepositories(t *testing.T) {
	p := newPages(t, inspector.Options{})
	has(t, p.get(200, "/"), "tracks", "0 B")
	p.save("a", 200, nil, "12345", time.Hour)
	p.save("b", 404, nil, "", time.Hour)
	*p.now = p.now.Add(time.Minute)
	p.save("c", 200, nil, "", time.Hour)
	*p.now = p.now.Add(time.Hour - time.Second)
	type tables struct {
		Tables []struct {
			Repository, Key, Endpoint      string
			Live, Expired, Absent, Entries int
			Bytes                          int64
			InUse                          bool
			Oldest, Newest                 struct{ Time time.Time }
		}
		Counting bool
	}
	var got tables
	for {
		if got = getJSON[tables](p, "/"); !got.Counting && got.Tables[0].Entries == 3 {
			break
		}
		time.Sleep(10 * time.Millisecond) // what is known is young for a second
	}
	row := got.Tables[0]
	if len(got.Tables) != 1 || row.Repository != "tracks" || row.Live != 1 || row.Expired != 2 || row.Absent != 1 || row.Bytes < 5 || !row.InUse ||
		row.Key != "id / market" || !row.Oldest.Time.Equal(noon) || !row.Newest.Time.Equal(noon.Add(time.Minute)) {
		t.Errorf("%+v", got)
	}
	page := p.get(200, "/")
	has(t, page, `href="list?repository=tracks"`, `href="list?repository=tracks&amp;state=expired"`, `href="list?repository=tracks&amp;status=404-410"`, "1h1m ago", "59m59s ago")
}

func TestSearch(t *testing.T) {
	p := newPages(t, inspector.Options{})
	p.save("alpha", 200, nil, "one", time.Hour)
	p.save("alpine", 200, nil, "three", 3*time.Hour)
	*p.now = p.now.Add(2 * time.Hour)
	p.save("beta", 404, nil, "", time.Hour)
	p.save("be*", 500, nil, strings.Repeat("y", 300), time.Hour)
	for _, test := range []struct{ query, want string }{
		{"", "alpha alpine be* beta"},
		{"repository=tracks", "alpha alpine be* beta"},
		{"key.id=alpha", "alpha"},
		{"key.id=al*", "alpha alpine"},
		{`key.id=be\*`, "be*"},
		{"key.market=DE&key.id=b*", "be* beta"},
		{"key.market=FR", ""},
		{"name=ONE", "alpha"},
		{"name=T*", "alpine"},
		{"status=200", "alpha alpine"},
		{"status=4xx", "beta"},
		{"status=404-500", "be* beta"},
		{"state=live", "alpine be* beta"},
		{"state=expired", "alpha"},
		{"younger=1h", "be* beta"},
		{"older=1h", "alpha alpine"},
		{"older=1d", ""},
		{"older=1d12h", ""},
		{"order=cached&descending=1&status=2xx", "alpine alpha"},
		{"order=expires", "alpha beta be* alpine"},
		{"order=size&descending=1&limit=1", "be*"},
		{"order=name&status=200", "alpha alpine"},
		{"order=used&status=500", "be*"},
	} {
		got := getJSON[struct {
			Entries []struct{ Key, Entry string }
		}](p, "/list?"+test.query)
		var keys []string
		for _, e := range got.Entries {
			keys = append(keys, strings.TrimSuffix(e.Key, " / DE"))
			has(t, p.get(200, "/"+e.Entry), "<h1>")
		}
		want := strings.Fields(test.want)
		if test.query == "order=expires" { // two expire at once
			if len(keys) != 4 || keys[0] != "alpha" {
				t.Errorf("%s: %q", test.query, keys)
			}
			continue
		}
		if fmt.Sprint(keys) != fmt.Sprint(want) {
			t.Errorf("%s: %q, want %q", test.query, keys, want)
		}
	}
	page := p.get(200, "/list?key.id=al*&order=size&descending=1")
	has(t, page, `value="al*"`, `aria-sort="descending"`, `<option value="size" selected>`)
	has(t, p.get(200, "/list?key.id=none"), "Nothing that is stored fits the search.")
}

// Of many repositories, the form has the columns of one.
func TestSearchAmongManyRepositories(t *testing.T) {
	type artistKey struct {
		A string `path:"a"`
		B string `query:"b"`
		C string `query:"c"`
		D string `query:"d"`
		E string `query:"e"`
		F string `query:"f"`
	}
	type albumKey struct {
		G string `path:"g"`
		H string `query:"h"`
		I string `query:"i"`
		J string `query:"j"`
		K string `query:"k"`
	}
	p := newPages(t, inspector.Options{})
	artists, err := cache.CreateRepository(t.Context(), p.cache, settings.RepositorySettings[artistKey, string]{Name: "artists", Pattern: "GET api.test/artists/{a}"})
	check(t, err)
	check(t, artists.Save(t.Context(), artistKey{A: "x"}, "x"))
	albums, err := cache.CreateRepository(t.Context(), p.cache, settings.RepositorySettings[albumKey, string]{Name: "albums", Pattern: "GET api.test/albums/{g}"})
	check(t, err)
	check(t, albums.Save(t.Context(), albumKey{G: "y"}, "y"))
	page := p.get(200, "/list?key.g=y")
	has(t, page, `name="key.g"`, ">y / ")
	hasNot(t, page, `name="key.a"`, ">x / ")
	has(t, p.get(200, "/list?repository=artists"), `name="key.a"`, `name="key.f"`)
}

func TestSearchesThatAreWrong(t *testing.T) {
	p := newPages(t, inspector.Options{})
	for query, want := range map[string]string{
		"status=many":       "A status is written as",
		"status=5-4":        "A status is written as",
		"state=asleep":      "There is no state",
		"older=long":        "An age is written as",
		"younger=-1h":       "An age is written as",
		"order=colour":      "There is no order",
		"limit=0":           "A page has 1 to 1000",
		"limit=1001":        "A page has 1 to 1000",
		"after=nonsense":    "This page of the list is not to be had",
		"status=<script>":   "not &#34;&lt;script&gt;&#34;",
		"order=%e2%80%ae\n": `\u202e`,
	} {
		has(t, p.get(http.StatusBadRequest, "/list?"+strings.ReplaceAll(query, "\n", "")), want)
	}
	numbers, err := cache.CreateRepository(t.Context(), p.cache, settings.RepositorySettings[int, string]{Name: "numbers", Pattern: "GET /numbers/{number}"})
	check(t, err)
	check(t, numbers.Save(t.Context(), 12, "twelve"))
	has(t, p.get(http.StatusBadRequest, "/list?repository=numbers&key.key=1*"), "The key column key has no texts")
	p.get(http.StatusNotFound, "/list?repository=none")
	p.get(http.StatusNotFound, "/nothing")
	p.get(http.StatusNotFound, "/entry?table=none&key=1")
	p.get(http.StatusBadRequest, "/entry?table=tracks&key=1")
	has(t, p.get(http.StatusNotFound, "/entry?"+address("none")), "Nothing is stored under this key.")
}

func TestTheListGoesOnPageByPage(t *testing.T) {
	p := newPages(t, inspector.Options{})
	for i := range 25 {
		p.save(fmt.Sprintf("%02d", i), 200, nil, strings.Repeat("x", i), time.Hour)
	}
	var keys []string
	for next := "list?limit=10&order=size&descending=1"; next != ""; {
		got := getJSON[struct {
			Entries []struct{ Key string }
			Next    string
		}](p, "/"+next)
		for _, e := range got.Entries {
			keys = append(keys, e.Key)
		}
		next = got.Next
	}
	if len(keys) != 25 || keys[0] != "24 / DE" || keys[24] != "00 / DE" {
		t.Errorf("%q", keys)
	}
	has(t, p.get(200, "/list?limit=10"), `rel="next"`)
}

// Pages whose store is gone say so, with a status by which programs know it.
func TestAStoreThatIsClosed(t *testing.T) {
	p := newPages(t, inspector.Options{AllowChanges: true, Recorder: new(inspector.Recorder)})
	p.save("a", 200, nil, "x", time.Hour)
	has(t, p.get(200, "/list"), "a / DE")
	check(t, p.cache.Close())
	for _, target := range []string{"/", "/list", "/entry?" + address("a"), "/body?" + address("a"), "/lookup?url=/tracks/a"} {
		has(t, p.get(http.StatusServiceUnavailable, target), "That did not work", "closed")
	}
	has(t, p.post(http.StatusServiceUnavailable, "/expire?"+address("a")), "closed")
	has(t, p.get(200, "/live"), "Hit rate") // it is of what was recorded
}

func TestOnlyGETShows(t *testing.T) {
	p := newPages(t, inspector.Options{})
	for target, allowed := range map[string]string{"/": "GET, HEAD", "/list": "GET, HEAD, POST", "/entry": "GET, HEAD", "/lookup": "GET, HEAD, POST", "/diff": "POST", "/delete": "POST"} {
		resp := p.serve(request(http.MethodPut, target))
		if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != allowed {
			t.Errorf("%s: %d, %q", target, resp.StatusCode, resp.Header.Get("Allow"))
		}
	}
	resp := p.serve(request(http.MethodHead, "/"))
	if body, _ := io.ReadAll(resp.Body); len(body) > 0 || resp.StatusCode != 200 || resp.Header.Get("Content-Length") == "0" {
		t.Errorf("HEAD: %d, %q", resp.StatusCode, body)
	}
}
