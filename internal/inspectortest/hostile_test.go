package inspectortest

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/inspector"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// running is HTML that tells by a dialog, a request or a line in the log that it runs.
const running = `</pre></script></textarea></title></svg><script>alert('script')</script><img src=x onerror=alert('image')>` +
	`<svg onload=alert('svg')><iframe src="javascript:alert('frame')"></iframe><link rel=stylesheet href=//elsewhere.test/x.css>` +
	`<form action=//elsewhere.test/><button autofocus onfocus=alert('focus')>x</button></form><base href=//elsewhere.test/>` +
	`<meta http-equiv=refresh content="0;url=//elsewhere.test/">"'` + "`${alert(1)}`{{.}}"

type hostileKey struct {
	ID string `path:"id"`
}

// hostileCache has running HTML wherever text can be: keys, names, headers, bodies.
func hostileCache(t *testing.T) (*cache.ResponseCache, []string) {
	t.Helper()
	store, err := sqlite.OpenTemp(t.Context(), nil)
	must(t, err)
	c := newCache(t, store, &cache.Options{Name: running})
	repo, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[hostileKey, string]{
		Name: "hostile", Pattern: "GET /items/{id}", Payload: payload.String(), Scope: settings.Shared,
		NameOf: func(string) string { return running },
	})
	must(t, err)
	bodies := map[string]string{
		"text/html":              running,
		"text/plain":             running,
		"application/javascript": "alert('js')",
		"image/svg+xml":          `<svg xmlns="http://www.w3.org/2000/svg" onload="alert('svg')"/>`,
		"application/json":       `{"` + "</script><script>alert(1)</script>" + `":"` + "<img src=x onerror=alert('json')>" + `","u":"javascript:alert(1)"}`,
		running:                  running,
	}
	var keys []string
	save := func(id, mediaType, body string) {
		head := repository.Head{Header: http.Header{"Content-Type": {mediaType}, "X-Html": {running}, "Location": {"javascript:alert('location')"}}}
		e, err := repository.NewEntry(http.StatusOK, head, []byte(body))
		must(t, err)
		must(t, repo.SaveEntry(t.Context(), hostileKey{id}, e, repository.ExpireIn(time.Hour)))
		keys = append(keys, id)
	}
	for mediaType, body := range bodies {
		save(mediaType+running, mediaType, body)
	}
	for _, id := range []string{"javascript:alert('key')", "\xff\xfe\x00\x1b[2J", "\u202egnp.exe", "a&key=b&table=c#d?e", "%3Cscript%3E", strings.Repeat("long ", 20_000)} {
		save(id, "text/plain", id)
	}
	return c, keys
}

func TestHostileContentIsShownAndNotRun(t *testing.T) {
	c, keys := hostileCache(t)
	evil := answering(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{"X-Html": {running + "2"}}, Body: io.NopCloser(strings.NewReader(running + "2"))}, nil
	})
	pages := serve(t, c, &inspector.Options{AllowChanges: true, Origin: evil})
	b := open(t, pages.URL, look{})
	b.visit("")
	b.shows("<script>alert('script')</script>") // the cache's name
	b.visit("lookup?url=" + "https://a.test/" + "%3Cscript%3Ealert(1)%3C/script%3E&method=%3Cscript%3E&headers=%3C/textarea%3E%3Cscript%3Ealert(2)%3C/script%3E")
	b.visit("list?key.id=" + "%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
	b.visit("list?order=%3Cscript%3Ealert(1)%3C/script%3E")
	b.visit("list")
	if n := b.count("tbody tr"); n != len(keys) {
		t.Fatalf("%d responses are listed, want %d", n, len(keys))
	}
	links := get(b, chromedp.Evaluate[[]string](`[...document.querySelectorAll("tbody a")].map((a) => a.getAttribute("href"))`))
	for _, link := range links {
		b.visit(link)
		b.shows("<img src=x onerror=alert", "javascript:alert('location')")
		if b.count("script:not([src='script.js'])")+b.count("main img")+b.count("iframe")+b.count("main link")+b.count("base") > 0 {
			t.Errorf("%s has elements of what is stored", link)
		}
		// The whole page is used: folded parts are opened, and what has the focus on load has been focused.
		b.do(chromedp.Evaluate[chromedp.Void](`document.querySelectorAll("details").forEach((d) => d.open = true)`))
		if b.count("form[action^='diff']") == 1 {
			b.follow("Compare with the origin")
			b.shows("header X-Html", "<script>alert('script')</script>")
		}
	}
	if len(links) != len(keys) {
		t.Errorf("%d links", len(links))
	}
}

// answering is an origin that answers in one way.
type answering func(*http.Request) (*http.Response, error)

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

// A body of 50 MiB is shown as far as a page should, and downloaded whole.
func TestLongBodies(t *testing.T) {
	size := 50 << 20
	if testing.Short() {
		size = 5 << 20
	}
	store, err := sqlite.OpenTemp(t.Context(), nil)
	must(t, err)
	c := newCache(t, store, nil)
	repo, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[hostileKey, []byte]{
		Name: "long", Pattern: "GET /items/{id}", Payload: payload.Bytes(), Scope: settings.Shared,
	})
	must(t, err)
	pages := serve(t, c, nil)
	item := []byte(`{"title":"<script>alert(1)</script>","n":123},`)
	for id, body := range map[string][]byte{
		"json":   append(append([]byte("["), bytes.Repeat(item, size/len(item))...), "0]"...),
		"string": []byte(`"` + strings.Repeat("x", size) + `"`),
		"deep":   []byte(strings.Repeat("[", size/2) + strings.Repeat("]", size/2)),
		"line":   bytes.Repeat([]byte("<b>x</b> "), size/9),
		"bytes":  bytes.Repeat([]byte{0xff, 0, 1}, size/3),
	} {
		mediaType := "application/json"
		if id == "line" || id == "bytes" {
			mediaType = "text/plain"
		}
		e, err := repository.NewEntry(http.StatusOK, repository.Head{Header: http.Header{"Content-Type": {mediaType}}}, body)
		must(t, err)
		must(t, repo.SaveEntry(t.Context(), hostileKey{id}, e))
		b := open(t, pages.URL, look{})
		began := time.Now()
		b.visit("entry?table=long&key=" + id)
		shown := time.Since(began)
		text := b.text()
		t.Logf("%s: %d MiB, the page appears after %v and has %d KiB of text", id, len(body)>>20, shown.Round(time.Millisecond), len(text)>>10)
		if len(text) > 1<<20 {
			t.Errorf("%s: the page has %d bytes of text", id, len(text))
		}
		resp, err := http.Get(pages.URL + mounted + "body?table=long&key=" + id)
		must(t, err)
		got, err := io.ReadAll(resp.Body)
		must(t, err)
		must(t, resp.Body.Close())
		if !bytes.Equal(got, body) || resp.Header.Get("Content-Type") != "application/octet-stream" {
			t.Errorf("%s: %d bytes of %s are downloaded, want %d", id, len(got), resp.Header.Get("Content-Type"), len(body))
		}
	}
}
