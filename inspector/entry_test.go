package inspector_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/identity"
	"github.com/endpointcache/endpointcache/inspector"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

var jsonType = http.Header{"Content-Type": {"application/json"}}

func TestAnEntryIsShownWhole(t *testing.T) {
	p := newPages(t, inspector.Options{})
	p.save("a", 200, http.Header{"Content-Type": {"application/json"}, "Etag": {`"v1"`}, "X-Twice": {"1", "2"}},
		`{"title":"Lantern","plays":12345678901234567890,"tags":[],"of":{"deep":[true,null,1.0]}}`, time.Hour)
	*p.now = p.now.Add(15 * time.Minute)
	page := p.get(200, "/entry?"+address("a"))
	has(t, page, "200", "OK", "<dt>id</dt>", "GET https://api.test/tracks/a?market=DE", "Etag", "X-Twice",
		"served from the store", `<svg class="timeline" role="img"`, "2026-11-29 13:00:00 UTC",
		"12345678901234567890", "&#34;title&#34;", "<details open>", `<span class="j-literal">null</span>`, `<span class="j-number">1.0</span>`, "[]")
	hasNot(t, page, "Compare with the origin", "Expire now", "Delete") // nothing allows them
	*p.now = p.now.Add(time.Hour)
	has(t, p.get(200, "/entry?"+address("a")), "confirmed by the origin first")
	got := getJSON[struct {
		Status    int
		Request   string
		Freshness struct{ Verdict string }
		Headers   []struct{ Name, Value string }
		Body      struct {
			Kind, Text string
			Size       int
		}
	}](p, "/entry?"+address("a"))
	if got.Status != 200 || got.Freshness.Verdict != "confirmed by the origin first" || got.Body.Kind != "json" || !strings.Contains(got.Body.Text, "Lantern") || len(got.Headers) < 4 {
		t.Errorf("%+v", got)
	}
}

// A time is in the same words in the sentence as beside the instant, however it is rounded.
func TestTimesAgree(t *testing.T) {
	p := newPages(t, inspector.Options{})
	p.save("a", 200, http.Header{"Content-Type": {"text/plain"}, "Etag": {`"v1"`}}, "", 7*24*time.Hour)
	for _, tt := range []struct {
		passes         time.Duration
		left, then, by string
	}{
		{10 * time.Second, "It is fresh for another 7d.", "in 7d", "<dd>10s</dd>"},
		{40 * time.Minute, "It is fresh for another 6d23h.", "in 6d23h", "40m10s ago"},
		{167*time.Hour + 19*time.Minute + 49*time.Second + time.Second/2, "It is fresh for another moment.", ">now<", "7d ago"},
		{time.Second, "It has just expired,", ">now<", "7d ago"},
		{3*time.Hour + 20*time.Minute, "It expired 3h20m ago,", ">3h20m ago<", "<dd>7d3h</dd>"},
	} {
		*p.now = p.now.Add(tt.passes)
		has(t, p.get(200, "/entry?"+address("a")), tt.left, tt.then, tt.by)
	}
}

func TestBodiesOfAllKinds(t *testing.T) {
	p := newPages(t, inspector.Options{})
	long := `[` + strings.Repeat(`{"n":1},`, 100_000) + `0]`
	for _, test := range []struct {
		id, mediaType, body string
		want                []string
	}{
		{"empty", "", "", []string{"It is empty."}},
		{"text", "text/plain", "a\nb <i>", []string{"<pre", "a\nb &lt;i&gt;"}},
		{"binary", "image/png", "\x89PNG\r\n\x1a\n\x00\x00", []string{"This is no text.", "89 50 4e 47"}},
		{"broken", "application/json", `{"a":1,`, []string{`<pre`, `{&#34;a&#34;:1,`}},
		{"lines", "application/x-ndjson", "{\"a\":1}\n{\"b\":2}\n", []string{"&#34;a&#34;", "&#34;b&#34;"}},
		{"long", "application/json", long, []string{"+ items", "The rest is in the download."}},
		{"deep", "application/json", strings.Repeat("[", 300) + strings.Repeat("]", 300), []string{"…"}},
	} {
		p.save(test.id, 200, http.Header{"Content-Type": {test.mediaType}}, test.body, time.Hour)
		has(t, p.get(200, "/entry?"+address(test.id)), test.want...)
	}
}

// hostile is HTML that would run in a page that shows it as it is.
const hostile = `</pre></script><script>alert(1)</script><img src=x onerror=alert(2)>"'><svg onload=alert(3)>`

func TestHostileContentIsText(t *testing.T) {
	p := newPages(t, inspector.Options{AllowChanges: true})
	ids := []string{hostile, "javascript:alert(1)", "\xff\xfe\x00", "\u202egnp.exe", "../../etc", "a&key=b", "", "%3Cscript%3E"}
	for _, id := range ids {
		p.save(id, 200, http.Header{"Content-Type": {"text/html"}, "X-Evil": {hostile}, "Location": {"javascript:alert(1)"}}, hostile, time.Hour)
		p.save(id+"json", 200, jsonType, `{"`+"<script>"+`":"</script><script>alert(1)</script>","u":"javascript:alert(1)"}`, time.Hour)
	}
	seen := 0
	list := getJSON[struct{ Entries []struct{ Entry string } }](p, "/list")
	pages := []string{p.get(200, "/list"), p.get(200, "/list?key.id="+url.QueryEscape(hostile))}
	for _, e := range list.Entries {
		pages = append(pages, p.get(200, "/"+e.Entry))
		seen++
	}
	if seen != 2*len(ids) {
		t.Fatalf("%d entries are found by their links, want %d", seen, 2*len(ids))
	}
	for _, page := range pages {
		hasNot(t, page, "<script>", "<img src=x", "<svg onload", `="javascript:`, "\u202e", "\x00", "\xff")
	}
}

func TestABodyIsAFileToSave(t *testing.T) {
	p := newPages(t, inspector.Options{})
	p.save(`"\n/`+"\x00", 200, http.Header{"Content-Type": {"text/html"}}, hostile, time.Hour)
	resp := p.serve(request(http.MethodGet, "/body?"+address(`"\n/`+"\x00")))
	if got := p.body(200, resp); got != hostile {
		t.Errorf("the body is %q", got)
	}
	for name, want := range map[string]string{
		"Content-Type":            "application/octet-stream",
		"Content-Disposition":     "attachment; filename=tracks-___n_____x00_____DE.txt",
		"X-Content-Type-Options":  "nosniff",
		"Content-Security-Policy": "sandbox; default-src 'none'",
	} {
		got := resp.Header.Get(name)
		if name == "Content-Disposition" {
			if !strings.HasPrefix(got, "attachment; filename=tracks-") || strings.ContainsAny(got, "\"/\\\x00") {
				t.Errorf("%s: %s", name, got)
			}
			continue
		}
		if got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestLookUp(t *testing.T) {
	p := newPages(t, inspector.Options{})
	p.save("a", 200, jsonType, `{}`, time.Hour)
	has(t, p.get(200, "/lookup"), `<form class="search" action="lookup" method="post">`)
	found := p.get(200, "/lookup?url="+url.QueryEscape("https://api.test/tracks/a?market=DE"))
	has(t, found, "It is stored", "served from the store", `href="entry?key=a&amp;key=DE&amp;table=tracks"`)
	form := request(http.MethodPost, "/lookup")
	form.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	form.Body = io.NopCloser(strings.NewReader("headers=Accept:%20*/*&url=" + url.QueryEscape("https://api.test/tracks/a?market=DE")))
	has(t, p.body(200, p.serve(form)), "It is stored", "Accept: */*")
	has(t, p.get(200, "/lookup?url="+url.QueryEscape("/tracks/a?market=DE")), "tracks")
	missed := p.get(200, "/lookup?url="+url.QueryEscape("https://api.test/tracks/a?market=FR"))
	has(t, missed, "It is not stored", "<dd><code><bdi>FR</bdi></code></dd>", "Stored under keys that differ in one column")
	has(t, p.get(200, "/lookup?url=tracks"), "The URL is neither a whole one")
	has(t, p.get(200, "/lookup?url=https://a.test/&method=A%20B"), "There is no such method.")
	has(t, p.get(200, "/lookup?url=https://a.test/&headers=nothing"), "Each line of the headers")
}

// A Host among the headers is the name by which the origin is asked.
func TestLookupsByAnotherHost(t *testing.T) {
	p := newPages(t, inspector.Options{})
	items, err := cache.CreateRepository(t.Context(), p.cache, settings.RepositorySettings[string, string]{
		Name: "items", Pattern: "GET /items/{id}", BaseURL: "https://api.test", Scope: settings.Shared,
	})
	check(t, err)
	check(t, items.Save(t.Context(), "1", "one"))
	has(t, p.get(200, "/lookup?url=https://api.test/items/1"), "It is stored")
	has(t, p.get(200, "/lookup?url=https://api.test/items/1&headers=Host:+staging.test"), "It is not stored", "of the origin https://staging.test@api.test")
}

// lookUp posts the form.
func (p *pages) lookUp(status int, fields url.Values) string {
	p.t.Helper()
	r := request(http.MethodPost, "/lookup")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Body = io.NopCloser(strings.NewReader(fields.Encode()))
	return p.body(status, p.serve(r))
}

// A request with a body is looked up by it, and one of an identity by that.
func TestLookupsByBodyAndIdentity(t *testing.T) {
	type searchKey struct {
		Text string `body:"q,required"`
		Lang string `header:"Accept-Language"`
	}
	p := newPages(t, inspector.Options{})
	hasNot(t, p.get(200, "/lookup"), `name="identity"`)
	found, err := cache.CreateRepository(t.Context(), p.cache, settings.RepositorySettings[searchKey, string]{
		Name: "found", Pattern: "POST api.test/search", Scope: settings.Shared,
	})
	check(t, err)
	check(t, found.Save(t.Context(), searchKey{"lantern", "de"}, "x"))
	mine, err := cache.CreateRepository(t.Context(), p.cache, settings.RepositorySettings[string, string]{
		Name: "mine", Pattern: "GET api.test/me/{id}", Scope: settings.PerIdentity,
	})
	check(t, err)
	check(t, mine.Save(identity.With(t.Context(), "alice"), "1", "x"))

	search := url.Values{"url": {"https://api.test/search"}, "headers": {"Accept-Language: de"}, "body": {"\r\n{\"q\": \r\n\"lantern\"}"}}
	page := p.lookUp(200, search) // the method of a body is POST
	has(t, page, "It is stored", "lantern / de", "spellcheck=\"false\" autocapitalize=\"off\">\n\n{&#34;q&#34;: \n&#34;lantern&#34;}</textarea>")
	search.Set("method", "get")
	has(t, p.lookUp(200, search), "It is not stored")
	search.Set("method", "post")
	has(t, p.lookUp(200, search), "It is stored")
	search.Set("body", `{"q": "candle"}`)
	has(t, p.lookUp(200, search), "It is not stored", "<bdi>candle</bdi>")

	of := url.Values{"url": {"https://api.test/me/1"}}
	has(t, p.lookUp(200, of), `name="identity"`, "It is not stored")
	of.Set("identity", "alice")
	has(t, p.lookUp(200, of), "It is stored", `value="alice"`)
	of.Set("identity", "bob")
	has(t, p.lookUp(200, of), "It is not stored")

	search.Set("body", strings.Repeat("x", 9<<20))
	has(t, p.lookUp(http.StatusRequestEntityTooLarge, search), "longer than 8.0 MiB")
}

// The pages of responses with long keys have links that servers and proxies take, and so has the list's next page.
func TestLongKeys(t *testing.T) {
	p := newPages(t, inspector.Options{AllowChanges: true})
	const most = 8000 // bytes of an address that a proxy takes
	long := strings.Repeat("\u00e4", 100_000)
	broken := strings.Repeat("\xff", 5000)
	ids := []string{long + "1", long + "2", broken + "1", broken + "2", "short"}
	for _, id := range ids {
		p.save(id, 200, nil, "the body of "+id[len(id)-1:], time.Hour)
	}
	type entries struct {
		Entries []struct{ Key, Entry string }
		Next    string
	}
	bodies := make(map[string]int)
	for _, e := range getJSON[entries](p, "/list").Entries {
		if len(e.Entry) > most {
			t.Errorf("a link has %d bytes", len(e.Entry))
		}
		bodies[p.get(200, "/"+strings.Replace(e.Entry, "entry?", "body?", 1))]++
		has(t, p.get(200, "/"+e.Entry), "Expire now")
	}
	if fmt.Sprint(bodies) != "map[the body of 1:2 the body of 2:2 the body of t:1]" {
		t.Errorf("%v", bodies)
	}
	// Each page is reached from the one before.
	var shown []string
	for page, r := 0, request(http.MethodGet, "/list?limit=1"); r != nil && page < len(ids); page++ {
		html := p.body(200, p.serve(r))
		has(t, html, "<tbody>")
		shown, r = append(shown, html), nil
		if _, form, ok := strings.Cut(html, `<form action="list?limit=1" method="post"><input type="hidden" name="after" value="`); ok {
			after, _, _ := strings.Cut(form, `"`)
			r = request(http.MethodPost, "/list?limit=1")
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Body = io.NopCloser(strings.NewReader(url.Values{"after": {after}}.Encode()))
		} else if _, link, ok := strings.Cut(html, `rel="next" href="`); ok {
			link, _, _ = strings.Cut(link, `"`)
			if len(link) > most {
				t.Errorf("the link to the next page has %d bytes", len(link))
			}
			r = request(http.MethodGet, "/"+strings.ReplaceAll(link, "&amp;", "&"))
		}
	}
	if len(shown) != len(ids) {
		t.Errorf("%d pages, want %d", len(shown), len(ids))
	}
	link := ""
	for _, e := range getJSON[entries](p, "/list?key.id="+url.QueryEscape(long+"2")).Entries {
		link = e.Entry
	}
	resp := p.serve(request(http.MethodPost, "/"+strings.Replace(link, "entry?", "delete?", 1)))
	if resp.StatusCode != http.StatusSeeOther {
		t.Errorf("the deletion: %d", resp.StatusCode)
	}
	p.get(http.StatusNotFound, "/"+link)
	if n, err := p.tracks.Count(t.Context(), repository.All); n != len(ids)-1 || err != nil {
		t.Error(n, err)
	}
	p.get(http.StatusBadRequest, "/entry?table=tracks&key=a&key=DE&digest=x")
	p.get(http.StatusNotFound, "/entry?table=tracks&key=a&key=DE&digest=x&digest=")
}

// A link has as much of a long value as fits, so that a store reads few of the keys that begin alike.
func TestLinksTellLongKeysApart(t *testing.T) {
	p := newPages(t, inspector.Options{})
	alike := strings.Repeat("a", 2000)
	p.save(alike+"1"+strings.Repeat("b", 9000), 200, nil, "x", time.Hour)
	p.save(alike+"2"+strings.Repeat("\u00e4", 9000), 200, nil, "x", time.Hour)
	p.save(strings.Repeat("\u00e4", 500)+"3"+strings.Repeat("\u00e4", 9000), 200, nil, "x", time.Hour)
	began := ""
	for _, e := range getJSON[struct{ Entries []struct{ Entry string } }](p, "/list").Entries {
		_, query, _ := strings.Cut(e.Entry, "?")
		q, err := url.ParseQuery(query)
		check(t, err)
		began += strings.Trim(q.Get("key"), "ab\u00e4")
		if len(e.Entry) > 4100 {
			t.Errorf("a link has %d bytes", len(e.Entry))
		}
	}
	if began != "123" {
		t.Errorf("the links have the beginnings until %q", began)
	}
}
