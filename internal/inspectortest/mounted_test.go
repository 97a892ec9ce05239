package inspectortest

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/inspector"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// itemsCache has one item, of that name.
func itemsCache(t *testing.T, name string) *cache.ResponseCache {
	t.Helper()
	store, err := sqlite.OpenTemp(t.Context(), nil)
	must(t, err)
	c := newCache(t, store, &cache.Options{Name: name})
	items, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[hostileKey, string]{
		Name: "items", Pattern: "GET /items/{id}", Payload: payload.String(), Scope: settings.Shared,
	})
	must(t, err)
	must(t, items.Save(t.Context(), hostileKey{name + "'s item"}, "x"))
	return c
}

// Two inspectors of one program are used behind a proxy, which has another name, another path and asks for a password.
func TestTwoInspectorsBehindAProxy(t *testing.T) {
	program := http.NewServeMux()
	for _, name := range []string{"one", "two"} {
		pages, err := inspector.Handler(itemsCache(t, name), &inspector.Options{AllowChanges: true, Hosts: []string{"cache.test"}})
		must(t, err)
		t.Cleanup(func() { must(t, pages.Close()) })
		program.Handle("/inner/"+name+"/", http.StripPrefix("/inner/"+name, pages))
	}
	inside := httptest.NewServer(program)
	defer inside.Close()
	to, err := url.Parse(inside.URL + "/inner")
	must(t, err)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.SetXForwarded()
		r.Out.Host = r.In.Host
		r.Out.Header.Del("Authorization")
	}}
	outside := httptest.NewServer(http.StripPrefix(strings.TrimSuffix(mounted, "/"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "alice" || password != "secret" {
			w.Header().Set("WWW-Authenticate", "Basic")
			http.Error(w, "Who are you?", http.StatusUnauthorized)
			return
		}
		proxy.ServeHTTP(w, r)
	})))
	defer outside.Close()

	b := open(t, strings.Replace(outside.URL, "http://127.0.0.1", "http://alice:secret@cache.test", 1), look{})
	for _, name := range []string{"one", "two"} {
		b.visit(name + "/")
		b.shows(name, "1 live")
		b.follow("items")
		b.follow(name + "'s item")
		b.follow("Expire now")
		b.shows("The response has expired now")
		b.follow("Look up")
		b.fill("url", "/items/"+url.PathEscape(name+"'s item"))
		b.follow("Look it up")
		b.shows("It is stored", "fetched from the origin")
		b.follow("Live")
		b.follow("Repositories")
		b.shows(name)
		if at := get(b, chromedp.Location()); !strings.HasSuffix(at, mounted+name+"/") {
			t.Errorf("the links lead to %s", at)
		}
	}
}

// A page that is kept up says when it no longer is.
func TestAServerThatFails(t *testing.T) {
	m := newMusic(t, 0, policy.Policy{}, inspector.Options{})
	m.fill(t.Context(), t, 10)
	inside, err := url.Parse(m.pages.URL)
	must(t, err)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(inside) }}
	var fails atomic.Bool
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fails.Load() {
			http.Error(w, "Log in.", http.StatusUnauthorized)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	defer outside.Close()
	b := open(t, outside.URL, look{})
	b.visit("live")
	b.shows("Hit rate")
	b.hides("no longer up to date")
	outdated := func() bool { return strings.Contains(b.text(), "no longer up to date") }
	fails.Store(true)
	waitfor.True(t, "the notice that the page is not shown", outdated)
	fails.Store(false)
	waitfor.True(t, "the end of the notice", func() bool { return !outdated() })
	outside.Close()
	waitfor.True(t, "the notice that the server does not answer", outdated)
	b.shows("Hit rate") // what was there last
	for _, logged := range b.caught() {
		if !strings.Contains(logged, "ERR_CONNECTION_REFUSED") {
			t.Error(logged)
		}
	}
}

// A small screen leaves columns out, but not the one that is sorted by.
func TestWhatIsSortedByIsOnAPhone(t *testing.T) {
	pages := serve(t, itemsCache(t, "one"), nil)
	b := open(t, pages.URL, look{width: 320})
	for page, want := range map[string]string{"list": "Key ↑,Name,Status,Expires", "list?order=size": "Key,Name,Status,Expires,Size ↑"} {
		b.visit(page)
		if got := get(b, chromedp.Evaluate[string](`[...document.querySelectorAll("thead th")].filter((e) => e.offsetParent).map((e) => e.textContent).join()`)); got != want {
			t.Errorf("%s has the columns %s, want %s", page, got, want)
		}
	}
}

// A request with a body is looked up, without JavaScript as well.
func TestLookUpARequestWithABody(t *testing.T) {
	type searchKey struct {
		Text string `body:"q,required"`
		Lang string `header:"Accept-Language"`
	}
	store, err := sqlite.OpenTemp(t.Context(), nil)
	must(t, err)
	c := newCache(t, store, nil)
	found, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[searchKey, string]{
		Name: "found", Pattern: "POST api.test/search", Payload: payload.String(), Scope: settings.Shared, Expire: time.Hour,
	})
	must(t, err)
	must(t, found.Save(t.Context(), searchKey{"two\nlines", "de"}, "x"))
	b := open(t, serve(t, c, nil).URL, look{noScript: true})
	b.visit("lookup")
	b.do(chromedp.Click(chromedp.CSS("details summary")))
	b.fill("url", "https://api.test/search")
	b.fill("headers", "Content-Type: application/json\nAccept-Language: de")
	b.fill("body", "{\n  \"q\": \"two\\nlines\"\n}")
	b.follow("Look it up")
	b.shows("It is stored", "served from the store", `two\nlines`)
	b.fill("body", `{"q": "</textarea><script>alert('body')</script>"}`)
	b.follow("Look it up")
	b.shows("It is not stored")
	if value := get(b, chromedp.Value(chromedp.CSS("#body"))); !strings.Contains(value, "<script>alert('body')") {
		t.Errorf("the form has the body %q", value)
	}
}
