package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/archive"
	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

func lines(t testing.TB, c *cache.ResponseCache, q cache.Query) (text string, n int) {
	t.Helper()
	var b bytes.Buffer
	n, err := archive.WriteLines(t.Context(), &b, c.Contents(), q)
	check(t, err)
	return b.String(), n
}

func TestLinesKeepEveryPart(t *testing.T) {
	from, to := fullCache(t), newCache(t)
	text, n := lines(t, from, cache.Query{})
	if n != 8 || strings.Count(text, "\n") != 1+2+1+8+1 {
		t.Errorf("%d responses in %d lines", n, strings.Count(text, "\n"))
	}
	if !strings.HasPrefix(text, `{"format":"endpointcache","version":1}`+"\n") || !strings.Contains(text, `"body":{"text":"{\"title\":\"<Track> & 1\"}"}`) {
		t.Errorf("the text begins with %.2000s", text)
	}
	n, err := archive.ReadLines(t.Context(), strings.NewReader(text), to.Contents())
	if n != 8 || err != nil {
		t.Fatal(n, err)
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
	sorted := func(text string) []string { return slices.Sorted(strings.Lines(text)) }
	if again, _ := lines(t, to, cache.Query{}); !slices.Equal(sorted(again), sorted(text)) {
		t.Errorf("written again, the text is another")
	}
	if some, n := lines(t, from, cache.Query{Name: "Track 1"}); n != 1 || strings.Count(some, "\n") != 6 {
		t.Errorf("a query selects %d:\n%s", n, some)
	}
}

// What is found by a digest is found in another store, too, unless that makes other digests already.
func TestTheKeyOfDigestsGoesAlong(t *testing.T) {
	asked := func() *http.Request {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.test/?access_token=secret", nil)
		check(t, err)
		return req
	}
	open := func(c *cache.ResponseCache) *repository.ResponseRepository[request.AnyKey, []byte] {
		all := settings.CatchAll("all", nil)
		all.Scope = settings.Shared
		r, err := cache.CreateRepository(t.Context(), c, all)
		check(t, err)
		return r
	}
	from := newCache(t)
	r := open(from)
	key, _, err := r.Key(asked())
	check(t, err)
	check(t, r.Save(t.Context(), key, []byte("x")))
	text, _ := lines(t, from, cache.Query{})

	to := newCache(t)
	_, err = archive.ReadLines(t.Context(), strings.NewReader(text), to.Contents())
	check(t, err)
	if _, ok, err := open(to).GetResponse(t.Context(), asked()); !ok || err != nil {
		t.Errorf("found in another store: %v, %v", ok, err)
	}

	other := newCache(t)
	open(other)
	keyLine := func() string {
		text, _ := lines(t, other, cache.Query{})
		_, rest, _ := strings.Cut(text, `{"digestKey":`)
		line, _, _ := strings.Cut(rest, "\n")
		return line
	}
	own := keyLine()
	if _, err = archive.ReadLines(t.Context(), strings.NewReader(text), other.Contents()); err != nil {
		t.Fatal(err)
	}
	if now := keyLine(); now != own || own == "" || strings.Contains(text, own) {
		t.Errorf("the key %s of a store has become %s", own, now)
	}
}

// Wherever a file is cut short, what came before is saved, and the error names the line.
func TestLinesThatAreCutShort(t *testing.T) {
	text, _ := lines(t, fullCache(t), cache.Query{Match: func(e cache.Stored) bool { return e.Size < 1<<16 }})
	want := 0 // complete lines of responses
	for i := 0; i < len(text)-2; i++ {
		whole := text[i] == '\n' || i+1 < len(text) && text[i+1] == '\n' // the newline may be missing
		if whole && text[i] != '\n' && strings.HasPrefix(text[strings.LastIndexByte(text[:i], '\n')+1:], `{"response"`) {
			want++
		}
		if !whole && i%7 != 0 {
			continue
		}
		c := newCache(t)
		n, err := archive.ReadLines(t.Context(), strings.NewReader(text[:i+1]), c.Contents())
		line := fmt.Sprintf("line %d: ", 1+strings.Count(text[:i+1], "\n"))
		if whole && text[i] != '\n' {
			line = fmt.Sprintf("line %d: ", 2+strings.Count(text[:i+1], "\n"))
		}
		if i < 38 { // in the first line
			line = "line"
		}
		if err == nil || !strings.Contains(err.Error(), line) || i > 38 && !errors.Is(err, archive.ErrCutShort) || n != want || len(contentsOf(t, c)) != want {
			t.Fatalf("after %d bytes: %d, %v, want %d and %q", i+1, n, err, want, line)
		}
	}
}

func TestLinesThatCannotBeRead(t *testing.T) {
	const first = `{"format":"endpointcache","version":1}` + "\n"
	const table = `{"table":{"name":"tracks","repository":"tracks","key":[{"name":"key","kind":"string"}]}}` + "\n"
	response := func(parts string) string {
		return `{"response":{"table":"tracks","key":["a"],"status":200,"cachedAt":"2026-11-29T12:00:00Z"` + parts + "}}\n"
	}
	for name, tt := range map[string]struct {
		text, want string
		is         error
	}{
		"nothing":                    {"", "line 1: ", archive.ErrCutShort},
		"no JSON":                    {"tracks\n", "line 1: ", archive.ErrFormat},
		"another format":             {`{"format":"har","version":1}`, "line 1: ", archive.ErrFormat},
		"a HAR":                      {`{"log":{"version":"1.2"}}`, "line 1: ", archive.ErrFormat},
		"a newer version":            {`{"format":"endpointcache","version":2,"more":[]}`, "line 1: ", archive.ErrVersion},
		"an unknown line":            {first + `{"page":{}}` + "\n", "line 2: ", archive.ErrFormat},
		"an empty object":            {first + "{}\n", "line 2: ", archive.ErrFormat},
		"two in one":                 {first + `{"end":{"responses":0},"table":{}}` + "\n", "line 2: ", archive.ErrFormat},
		"an unknown kind":            {first + strings.Replace(table, `"string"`, `"float"`, 1), "line 2: ", archive.ErrFormat},
		"an unknown part":            {first + table + response(`,"colour":"red"`), "line 3: ", archive.ErrFormat},
		"an unknown table":           {first + response(""), `line 2: the file is not of this format: there is no table "tracks"`, archive.ErrFormat},
		"a key of two values":        {first + table + strings.Replace(response(""), `["a"]`, `["a","b"]`, 1), "line 3: ", archive.ErrFormat},
		"a value of no kind":         {first + table + strings.Replace(response(""), `["a"]`, `[null]`, 1), "line 3: ", archive.ErrFormat},
		"a value of another kind":    {first + table + strings.Replace(response(""), `["a"]`, `[7]`, 1), `line 3: cache: save: a response for "tracks"`, nil},
		"no status":                  {first + table + strings.Replace(response(""), `200`, `0`, 1), "line 3: cache: save: ", nil},
		"headers that are none":      {first + table + response(`,"head":{"a":1}`), "line 3: ", archive.ErrFormat},
		"base64 that is none":        {first + table + response(`,"body":{"base64":"!"}`), "line 3: ", archive.ErrFormat},
		"two bodies":                 {first + table + response(`,"body":{"base64":"AAAA","text":"a"}`), "line 3: ", archive.ErrFormat},
		"a wrong number":             {first + table + response("") + `{"end":{"responses":2}}`, "line 4: ", archive.ErrFormat},
		"a table behind responses":   {first + table + response("") + table, "line 4: ", archive.ErrFormat},
		"more behind the end":        {first + table + `{"end":{"responses":0}}` + "\n" + table, "line 4: ", archive.ErrFormat},
		"two values on a line":       {first + table + strings.TrimSpace(response("")) + response(""), "line 3: ", archive.ErrFormat},
		"a table of the cache's own": {first + strings.ReplaceAll(table, `"tracks"`, `"endpointcache_records"`) + strings.ReplaceAll(response(""), "tracks", "endpointcache_records"), "line 3: ", nil},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			_, err := archive.ReadLines(t.Context(), strings.NewReader(tt.text), c.Contents())
			if err == nil || !strings.Contains(err.Error(), tt.want) || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("the error is %v, want %s", err, tt.want)
			}
		})
	}
}

func TestLinesOfAnotherDeclaration(t *testing.T) {
	text, _ := lines(t, fullCache(t), cache.Query{})
	c := newCache(t)
	_, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[string, string]{Name: "tracks", Version: 5, Payload: payload.String()})
	check(t, err)
	if n, err := archive.ReadLines(t.Context(), strings.NewReader(text), c.Contents()); !errors.Is(err, driver.ErrSchema) || !strings.Contains(err.Error(), "version 4") {
		t.Errorf("%d, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n, err := archive.WriteLines(ctx, &strings.Builder{}, fullCache(t).Contents(), cache.Query{}); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := archive.ReadLines(ctx, strings.NewReader(text), newCache(t).Contents()); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d, %v", n, err)
	}
	var none context.Context
	if n, err := archive.ReadLines(none, strings.NewReader(text), newCache(t).Contents()); n != 0 || err == nil {
		t.Errorf("%d, %v", n, err)
	}
}

// failingWriter is a disk that is full.
type failingWriter struct{ left int }

var errFull = errors.New("no space left on the disk")

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestLinesOnAFullDisk(t *testing.T) {
	c := fullCache(t)
	for _, left := range []int{0, 5000, 500_000} {
		if _, err := archive.WriteLines(t.Context(), &failingWriter{left}, c.Contents(), cache.Query{}); !errors.Is(err, errFull) {
			t.Errorf("with room for %d bytes: %v", left, err)
		}
	}
}

func FuzzReadLines(f *testing.F) {
	text, _ := lines(f, fullCache(f), cache.Query{Match: func(e cache.Stored) bool { return e.Size < 1<<12 }})
	f.Add(text)
	f.Add(`{"format":"endpointcache","version":1}` + "\n" + `{"end":{"responses":0}}`)
	f.Fuzz(func(t *testing.T, text string) {
		c := newCache(t)
		n, err := archive.ReadLines(t.Context(), strings.NewReader(text), c.Contents())
		stored := contentsOf(t, c)
		if len(stored) > n {
			t.Fatalf("%d are stored of %d, %v", len(stored), n, err)
		}
		again := newCache(t)
		written, _ := lines(t, c, cache.Query{})
		if m, err := archive.ReadLines(t.Context(), strings.NewReader(written), again.Contents()); err != nil || m != len(stored) {
			t.Fatalf("what was saved and written is read as %d of %d, %v", m, len(stored), err)
		}
		wantEqual(t, c, again)
	})
}
