package archive_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/archive"
	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/transport"
)

func har(t testing.TB, c *cache.ResponseCache, q cache.Query) (text string, n int) {
	t.Helper()
	var b bytes.Buffer
	n, err := archive.WriteHAR(t.Context(), &b, c.Contents(), q)
	check(t, err)
	return b.String(), n
}

func TestAHARKeepsEveryPart(t *testing.T) {
	from, to := fullCache(t), newCache(t)
	text, n := har(t, from, cache.Query{})
	if n != 8 || !json.Valid([]byte(text)) {
		t.Errorf("%d entries, valid: %v", n, json.Valid([]byte(text)))
	}
	saved, skipped, err := archive.ReadHAR(t.Context(), strings.NewReader(text), to.Contents(), archive.HARTarget{})
	if saved != 8 || skipped != 0 || err != nil {
		t.Fatal(saved, skipped, err)
	}
	wantEqual(t, from, to)
	have, err := to.Contents().Tables(t.Context())
	check(t, err)
	want, err := from.Contents().Tables(t.Context())
	check(t, err)
	for i := range want {
		want[i].InUse = false
	}
	if d := cmp.Diff(want, have); d != "" {
		t.Errorf("the tables differ:\n%s", d)
	}
	if none, n := har(t, from, cache.Query{MinStatus: 998, MaxStatus: 998}); n != 0 || !json.Valid([]byte(none)) {
		t.Errorf("none are %d: %s", n, none)
	}
}

// document is a HAR as a program reads it that knows nothing of ours.
type document struct {
	Log struct {
		Version string
		Creator struct{ Name, Version string }
		Entries []struct {
			StartedDateTime string
			Comment         string
			Request         struct {
				Method, URL, HTTPVersion string
				QueryString              []struct{ Name, Value string }
			}
			Response struct {
				Status                               int
				StatusText, HTTPVersion, RedirectURL string
				Headers                              []struct{ Name, Value string }
				Content                              struct {
					Size                     int
					MimeType, Text, Encoding string
				}
				BodySize int
			}
		}
	}
}

func TestContentsOfAHAR(t *testing.T) {
	c := newCache(t)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := z.Write([]byte(`{"a":"ä"}`))
	check(t, err)
	check(t, z.Close())
	bodies := map[string]struct {
		header http.Header
		body   string
		text   string
		coding string
	}{
		"text":    {http.Header{"Content-Type": {"text/plain"}}, "a <b>", "a <b>", ""},
		"image":   {http.Header{"Content-Type": {"image/png"}}, "\x89PNG\xff", "iVBOR/8=", "base64"},
		"gzip":    {http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}, zipped.String(), `{"a":"ä"}`, ""},
		"latin":   {http.Header{"Content-Type": {"text/plain; charset=iso-8859-1"}}, "\xe4", "ä", ""},
		"unknown": {http.Header{"Content-Encoding": {"xyz"}}, "\xff\xff", "//8=", "base64"},
		"nothing": {nil, "", "", ""},
	}
	var all []cache.Stored
	for name, b := range bodies {
		e, err := repository.NewEntry(200, repository.Head{Header: b.header, Proto: "HTTP/2.0"}, []byte(b.body))
		check(t, err)
		e.CachedAt = at
		all = append(all, cache.Stored{Repository: "files", Key: []cache.KeyColumn{{Name: "file", Value: name}, {Name: "n&=", Value: int64(7)}}, Entry: e})
	}
	_, err = c.Contents().Save(t.Context(), func(yield func(cache.Stored, error) bool) {
		for _, e := range all {
			if !yield(e, nil) {
				return
			}
		}
	}, nil)
	check(t, err)
	text, _ := har(t, c, cache.Query{})
	var doc document
	check(t, json.Unmarshal([]byte(text), &doc))
	if doc.Log.Version != "1.2" || doc.Log.Creator.Name != "endpointcache" || len(doc.Log.Entries) != len(bodies) {
		t.Errorf("the log is %+v", doc.Log)
	}
	for _, e := range doc.Log.Entries {
		name := e.Request.QueryString[0].Value
		want := bodies[name]
		got := e.Response.Content
		if got.Text != want.text || got.Encoding != want.coding || e.Response.BodySize != len(want.body) || e.Response.HTTPVersion != "HTTP/2.0" {
			t.Errorf("%s is %+v", name, e.Response)
		}
		if e.Request.URL != "endpointcache:///files?file="+name+"&n%26%3D=7" || !strings.Contains(e.Comment, "not known") || e.StartedDateTime != "2026-11-29T12:00:00.000000Z" {
			t.Errorf("%+v", e)
		}
	}
	to := newCache(t)
	_, _, err = archive.ReadHAR(t.Context(), strings.NewReader(text), to.Contents(), archive.HARTarget{})
	check(t, err)
	wantEqual(t, c, to)
}

// browser is a HAR as browsers write it, with these entries.
func browser(entries ...string) string {
	return "\xef\xbb\xbf" + `{"log":{"version":"1.2","creator":{"name":"WebInspector","version":"537.36"},"pages":[{"id":"page_1","title":"x"}],"entries":[` +
		strings.Join(entries, ",") + `],"comment":""}}`
}

// harEntry is an entry of a browser: parts replace the response's.
func harEntry(url, started, request, response string) string {
	return fmt.Sprintf(`{"_initiator":{"type":"other"},"pageref":"page_1","cache":{},"connection":"443","startedDateTime":%q,"time":12.3,
		"request":{"method":"GET","url":%q,"httpVersion":"http/2.0","cookies":[],"queryString":[],"headersSize":-1,"bodySize":0,"headers":[{"name":":authority","value":"api.test"},{"name":"accept","value":"*/*"}]%s},
		"response":{"httpVersion":"http/2.0","cookies":[],"redirectURL":"","headersSize":-1,"bodySize":-1,"_transferSize":10%s},
		"timings":{"blocked":1,"send":0.1,"wait":5,"receive":1}}`, started, url, request, response)
}

const ok = `,"status":200,"statusText":"","headers":[{"name":"content-type","value":"text/plain"}],"content":{"size":4,"mimeType":"text/plain","text":"body"}`

// asked is what a client gets for a URL that is stored, and nothing from anywhere else.
func asked(t *testing.T, c *cache.ResponseCache, url string, header http.Header) (resp *http.Response, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	check(t, err)
	req.Header = header
	nobody := errors.New("nobody answers")
	resp, err = transport.New(c, &transport.Options{Base: roundTripper(func(*http.Request) (*http.Response, error) { return nil, nobody })}).RoundTrip(req)
	if errors.Is(err, nobody) {
		return nil, ""
	}
	check(t, err)
	e, err := repository.ReadEntry(resp)
	check(t, err)
	return resp, string(e.Payload)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// rest is the catch-all into which browsers' responses are read.
func rest(t *testing.T, text string) (c *cache.ResponseCache, saved, skipped int) {
	t.Helper()
	c = newCache(t)
	any := &request.AnyOptions{Headers: []string{}}
	saved, skipped, err := archive.ReadHAR(t.Context(), strings.NewReader(text), c.Contents(), archive.HARTarget{Repository: "rest", Any: any, Expire: settings.NeverExpire})
	check(t, err)
	_, err = cache.CreateRepository(t.Context(), c, settings.CatchAll("rest", any))
	check(t, err)
	return c, saved, skipped
}

func TestAHAROfABrowser(t *testing.T) {
	const noon = "2026-11-29T12:00:00.000Z"
	zipped := base64.StdEncoding.EncodeToString([]byte("\x1f\x8b\x08 is still coded"))
	c, saved, skipped := rest(t, browser(
		harEntry("https://api.test/plain#fragment", noon, "", ok),
		harEntry("https://api.test/twice", "2026-11-29T13:00:00+01:00", "", strings.Replace(ok, `"body"`, `"newer"`, 1)),
		harEntry("https://api.test/twice", "2026-11-29T11:00:00Z", "", strings.Replace(ok, `"body"`, `"older"`, 1)),
		harEntry("https://api.test/coded", noon, "", `,"status":203,"statusText":"Fine","headers":[{"name":"Content-Encoding","value":"br"},{"name":"Content-Length","value":"2"},
			{"name":"Content-Type","value":"text/html; charset=ISO-8859-1"},{"name":"ETag","value":"\"1\""},{"name":"Content-MD5","value":"x"},{"name":"Link","value":"<a>\n<b>"},
			{"name":"Transfer-Encoding","value":"chunked"},{"name":"bad name","value":"x"},{"name":"X-Bad","value":"a\u0000b"},{"name":":status","value":"203"}],
			"content":{"size":9,"mimeType":"text/html","text":"<p>ä</p>","compression":3}`),
		harEntry("https://api.test/image", noon, "", `,"status":200,"statusText":"OK","headers":[],"content":{"size":2,"mimeType":"image/png","encoding":"base64","text":"//4="}`),
		harEntry("https://api.test/still", noon, "", `,"status":200,"statusText":"OK","headers":[{"name":"content-encoding","value":"gzip"}],"content":{"size":2,"mimeType":"text/plain","encoding":"base64","text":"`+zipped+`"}`),
		harEntry("https://api.test/gone", noon, "", `,"status":404,"statusText":"Not Found","headers":[],"content":{"size":0,"mimeType":"x-unknown"}`),
		harEntry("https://api.test/moved", noon, "", `,"status":302,"statusText":"Found","headers":[{"name":"location","value":"/plain"}],"content":{"size":0,"mimeType":""}`),
		harEntry("https://api.test/secret?api_key=hunter2", noon, `,"postData":null`, ok),
		// What is skipped.
		harEntry("https://api.test/failed", noon, "", `,"status":0,"statusText":"","headers":[],"content":{"size":0,"mimeType":"x-unknown"},"_error":"net::ERR_FAILED"`),
		harEntry("https://api.test/none", noon, "", `,"statusText":""`),
		harEntry("https://api.test/unchanged", noon, "", strings.Replace(ok, "200", "304", 1)),
		harEntry("https://api.test/part", noon, "", strings.Replace(ok, "200", "206", 1)),
		harEntry("https://api.test/lost", noon, "", `,"status":200,"statusText":"OK","headers":[],"content":{"size":7,"mimeType":"text/plain"}`),
		harEntry("https://api.test/nobase64", noon, "", `,"status":200,"statusText":"OK","headers":[],"content":{"size":7,"encoding":"base64","text":"!"}`),
		harEntry("https://api.test/notime", "yesterday", "", ok),
		harEntry("data:text/plain,x", noon, "", ok),
		harEntry("wss://api.test/socket", noon, "", ok),
		harEntry("://", noon, "", ok),
		strings.Replace(harEntry("https://api.test/put", noon, "", ok), `"GET"`, `"PUT"`, 1),
		strings.Replace(harEntry("https://api.test/odd", noon, "", ok), `"GET"`, `7`, 1),
		`{"startedDateTime":"`+noon+`"}`, `null`, `7`,
		harEntry("https://api.test/login", noon, "", `,"status":302,"statusText":"","headers":[{"name":"Location","value":"https://api.test/?access_token=hunter2"}],"content":{"size":0}`),
	))
	if saved != 8 || skipped != 17 {
		t.Errorf("%d saved, %d skipped", saved, skipped)
	}
	for url, want := range map[string]string{
		"https://api.test/plain": "body", "https://api.test/twice": "newer", "https://api.test/coded": "<p>ä</p>", "https://api.test/image": "\xff\xfe",
		"https://api.test/still": "\x1f\x8b\x08 is still coded", "https://api.test/gone": "", "https://api.test/moved": "", "https://api.test/secret?api_key=hunter2": "body",
	} {
		resp, body := asked(t, c, url, nil)
		if resp == nil || body != want {
			t.Errorf("%s is %q", url, body)
		}
	}
	coded, _ := asked(t, c, "https://api.test/coded", nil)
	for _, name := range []string{"Date", "Cache-Status", "X-From-Cache"} {
		delete(coded.Header, name)
	}
	if d := cmp.Diff(http.Header{"Content-Length": {"9"}, "Content-Type": {"text/html; charset=utf-8"}, "Etag": {`"1"`}, "Link": {"<a>", "<b>"}}, coded.Header); d != "" || coded.Status != "203 Fine" || coded.Proto != "HTTP/2.0" {
		t.Errorf("%s, %s, headers: %s", coded.Status, coded.Proto, d)
	}
	if still, _ := asked(t, c, "https://api.test/still", nil); still.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("what is still coded has %v", still.Header)
	}
	if image, _ := asked(t, c, "https://api.test/image", nil); image.Header.Get("Content-Type") != "image/png" {
		t.Errorf("the image has %v", image.Header)
	}
	for _, e := range contentsOf(t, c) {
		if !e.ExpiresAt.IsZero() || strings.Contains(fmt.Sprint(e), "hunter2") {
			t.Errorf("%+v", e)
		}
	}
}

// What a request was authorized by is not stored, and nobody else gets its response.
func TestCredentialsInAHAR(t *testing.T) {
	headers := `,"headers":[{"name":"Cookie","value":"session=hunter2"},{"name":"Authorization","value":"Bearer hunter3"}]`
	own := harEntry("https://api.test/me", "2026-11-29T12:00:00Z", headers, strings.Replace(ok, `"headers":[`, `"headers":[{"name":"Set-Cookie","value":"session=hunter4"},`, 1))
	c, saved, skipped := rest(t, browser(own))
	if saved != 1 || skipped != 0 {
		t.Errorf("%d saved, %d skipped", saved, skipped)
	}
	if resp, _ := asked(t, c, "https://api.test/me", nil); resp != nil {
		t.Error("somebody without the credentials gets the response")
	}
	resp, body := asked(t, c, "https://api.test/me", http.Header{"Cookie": {"session=hunter2"}, "Authorization": {"Bearer hunter3"}})
	if body != "body" || resp.Header.Get("Set-Cookie") != "" {
		t.Errorf("with the credentials: %q", body)
	}
	for _, e := range contentsOf(t, c) {
		if strings.Contains(fmt.Sprint(e), "hunter") {
			t.Errorf("%+v", e)
		}
	}
	// An endpoint of which nobody has said whose its responses are.
	c = newCache(t)
	_, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[struct {
		ID string `path:"id"`
	}, string]{Name: "users", Pattern: "GET api.test/{id}", Payload: payload.String()})
	check(t, err)
	saved, skipped, err = archive.ReadHAR(t.Context(), strings.NewReader(browser(own)), c.Contents(), archive.HARTarget{Repository: "rest"})
	if saved != 0 || skipped != 1 || err != nil {
		t.Errorf("%d saved, %d skipped, %v", saved, skipped, err)
	}
}

func TestAHARForEndpoints(t *testing.T) {
	c := newCache(t)
	_, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[struct {
		ID string `path:"id"`
	}, string]{
		Name: "tracks", Pattern: "GET /tracks/{id}", Payload: payload.String(), NameOf: strings.ToUpper, Expire: time.Hour,
	})
	check(t, err)
	text := browser(
		harEntry("https://one.test/tracks/1", "2026-11-29T12:00:00Z", "", ok),
		harEntry("https://two.test/tracks/1", "2026-11-29T12:00:00Z", "", strings.Replace(ok, `"body"`, `"two"`, 1)),
		harEntry("https://two.test/albums/1", "2026-11-29T12:00:00Z", "", ok),
	)
	saved, skipped, err := archive.ReadHAR(t.Context(), strings.NewReader(text), c.Contents(), archive.HARTarget{})
	if saved != 2 || skipped != 1 || err != nil {
		t.Errorf("%d saved, %d skipped, %v", saved, skipped, err)
	}
	for url, want := range map[string]string{"https://one.test/tracks/1": "body", "https://two.test/tracks/1": "two"} {
		if _, body := asked(t, c, url, nil); body != want {
			t.Errorf("%s is %q", url, body)
		}
	}
	names := ""
	for _, e := range contentsOf(t, c) {
		names += e.Table + " " + e.Name + " "
	}
	if names != "tracks BODY tracks@https://two.test TWO " {
		t.Errorf("the names are %q", names)
	}
}

// The response to a write is not saved as that to a read of the same URL, whatever an endpoint makes of its request.
func TestAHAROfMethodsThatAreNotCached(t *testing.T) {
	c := newCache(t)
	_, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[string, string]{
		Name: "paths", Payload: payload.String(), Expire: time.Hour,
		Endpoint: request.Func(func(req *http.Request) (string, bool, error) { return req.URL.Path, true, nil }, nil),
	})
	check(t, err)
	text := browser(
		harEntry("https://one.test/tracks/1", "2026-11-29T12:00:00Z", "", ok),
		strings.Replace(harEntry("https://one.test/tracks/1", "2026-11-29T12:00:01Z", "", strings.Replace(ok, `"body"`, `"written"`, 1)), `"GET"`, `"POST"`, 1),
	)
	saved, skipped, err := archive.ReadHAR(t.Context(), strings.NewReader(text), c.Contents(), archive.HARTarget{})
	if _, body := asked(t, c, "https://one.test/tracks/1", nil); body != "body" || saved != 1 || skipped != 1 || err != nil {
		t.Errorf("%d saved, %d skipped, %v, and the track is %q", saved, skipped, err, body)
	}
}

// A file cannot fill the store with tables.
func TestAHAROfManyHosts(t *testing.T) {
	c := newCache(t)
	_, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[string, string]{
		Name: "tracks", Pattern: "GET /tracks/{id}", Payload: payload.String(),
	})
	check(t, err)
	var entries []string
	for i := range 80 {
		entries = append(entries, harEntry(fmt.Sprintf("https://%d.test/tracks/1", i), "2026-11-29T12:00:00Z", "", ok))
	}
	saved, skipped, err := archive.ReadHAR(t.Context(), strings.NewReader(browser(entries...)), c.Contents(), archive.HARTarget{})
	if saved != 65 || skipped != 15 || err != nil {
		t.Errorf("%d saved, %d skipped, %v", saved, skipped, err)
	}
}

func TestHARsThatCannotBeRead(t *testing.T) {
	whole := browser(harEntry("https://api.test/a", "2026-11-29T12:00:00Z", "", ok), harEntry("https://api.test/b", "2026-11-29T12:00:00Z", "", ok))
	second := strings.LastIndex(whole, `{"_initiator"`)
	read := func(text string) (saved int, err error) {
		saved, _, err = archive.ReadHAR(t.Context(), strings.NewReader(text), newCache(t).Contents(), archive.HARTarget{Repository: "rest"})
		return saved, err
	}
	for i := 0; i < len(whole); i += 3 {
		want := 0
		if i > second {
			want = 1
		}
		if i >= len(whole)-len(`,"comment":""}}`)-2 {
			want = 2
		}
		if saved, err := read(whole[:i]); !errors.Is(err, archive.ErrCutShort) || saved != want {
			t.Fatalf("after %d bytes: %d saved, want %d, %v", i, saved, want, err)
		}
	}
	if _, err := read(whole[:second+20]); !strings.Contains(err.Error(), "entry 2: ") {
		t.Errorf("the error is %v", err)
	}
	for text, is := range map[string]error{
		`[]`: archive.ErrFormat, `{"format":"endpointcache"}`: archive.ErrFormat, `{"log":{}}`: archive.ErrFormat, `{"log":[]}`: archive.ErrFormat,
		`{"log":{"entries":{}}}`: archive.ErrFormat, `{"log":{"entries":[}]}}`: archive.ErrFormat, `x`: archive.ErrFormat,
		`{"log":{"_endpointcache":{"version":2},"entries":[]}}`:       archive.ErrVersion,
		`{"log":{"_endpointcache":{"version":1,"x":1},"entries":[]}}`: archive.ErrFormat,
		strings.Replace(whole, `"time":12.3`, `"time":`, 1):           archive.ErrFormat,
	} {
		if _, err := read(text); !errors.Is(err, is) {
			t.Errorf("%.60s: %v", text, err)
		}
	}
	own, _ := har(t, fullCache(t), cache.Query{Name: "Track 1"})
	for from, to := range map[string]string{
		`"cachedAt"`: `"cached"`, `"key":["id 1"]`: `"key":[7]`, `"table":"tracks"`: `"table":"x"`, `"_endpointcache":{"table"`: `"_endpointcache":{"body":{"base64":"!"},"table"`,
	} {
		if _, err := read(strings.Replace(own, from, to, 1)); err == nil || !strings.Contains(err.Error(), "entry 1: ") {
			t.Errorf("%s: %v", to, err)
		}
	}
	// Of a program that has put our members elsewhere, entries are read as any program's.
	if saved, err := read(`{"log":{"entries":[]}}`); saved != 0 || err != nil {
		t.Errorf("%d, %v", saved, err)
	}
}

func FuzzReadHAR(f *testing.F) {
	text, _ := har(f, fullCache(f), cache.Query{Match: func(e cache.Stored) bool { return e.Size < 1<<12 }})
	f.Add(text)
	f.Add(browser(harEntry("https://api.test/a", "2026-11-29T12:00:00Z", "", ok)))
	files, err := os.ReadDir("testdata/har")
	check(f, err)
	for _, file := range files {
		data, err := os.ReadFile("testdata/har/" + file.Name())
		check(f, err)
		f.Add(string(data))
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := newCache(t)
		saved, skipped, err := archive.ReadHAR(t.Context(), strings.NewReader(text), c.Contents(), archive.HARTarget{Repository: "rest"})
		stored := contentsOf(t, c)
		if saved < 0 || skipped < 0 || len(stored) > saved {
			t.Fatalf("%d saved, %d skipped, %d stored, %v", saved, skipped, len(stored), err)
		}
		again := newCache(t)
		written, _ := har(t, c, cache.Query{})
		if saved, skipped, err := archive.ReadHAR(t.Context(), strings.NewReader(written), again.Contents(), archive.HARTarget{}); err != nil || saved != len(stored) || skipped != 0 {
			t.Fatalf("what was saved and written is read as %d and %d of %d, %v", saved, skipped, len(stored), err)
		}
		wantEqual(t, c, again)
	})
}
