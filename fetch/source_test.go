package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/fetch"
	polite "github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

// trackSource asks o for tracks, in batches of that size.
func trackSource(t testing.TB, o *origin, size int) *fetch.Source[string] {
	t.Helper()
	return sourceOf(t, clientOf(t, fetch.Options{BaseURL: o.URL}), settingsOf(byID, batchOf(size)))
}

func TestBatchesAreTheFewest(t *testing.T) {
	type key struct {
		ID     string `path:"id"`
		Market string `query:"market"`
	}
	o := newOrigin(t, nil)
	client := clientOf(t, fetch.Options{BaseURL: o.URL})
	s := settings.RepositorySettings[key, track]{
		Name: "tracks", Payload: payload.JSON[track](), Endpoint: request.Pattern[key]("/tracks/{id}"),
		Batch: request.BatchPattern[key]("/tracks?ids={id}", 2, splitTracks, nil),
	}
	keys := []key{{"a", ""}, {"b", "DE"}, {"c", ""}, {"x,y", ""}, {"d", ""}, {"e", "DE"}, {"f", "DE"}, {"g", "US"}}
	want := []string{
		"/tracks/d", "/tracks/f?market=DE", "/tracks/g?market=US", "/tracks/x%2Cy", "/tracks?ids=a,c", "/tracks?ids=b,e&market=DE",
	}
	for _, repo := range []*repository.ResponseRepository[key, track]{nil, repositoryOf(t, s)} {
		f, err := fetch.Uncached(client, s, nil)
		if repo != nil {
			f, err = fetch.New(client, repo, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		before := o.total()
		if _, err := f.FetchMany(t.Context(), keys); err != nil {
			t.Fatal(err)
		}
		got := o.seen()[before:]
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

// refusing serves tracks, and refuses whatever asks for a bad one.
func refusing(code int, bad ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ids, _ := idsOf(r)
		for _, id := range append(ids, r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]) {
			if slices.Contains(bad, id) {
				w.WriteHeader(code)
				return
			}
		}
		serve(w, r)
	}
}

// check compares answers with what they should be: none for bad keys.
func check(t *testing.T, keys []string, got []fetch.Answer, bad ...string) {
	t.Helper()
	for i, a := range got {
		if isBad := slices.Contains(bad, keys[i]); isBad != (a.Err != nil) {
			t.Errorf("%s: %v", keys[i], a.Err)
		} else if !isBad && string(a.Entry.Payload) != trackBody(keys[i]) {
			t.Errorf("%s has the answer %s", keys[i], a.Entry.Payload)
		}
	}
}

func TestOneBadKeyIsFoundByHalves(t *testing.T) {
	for _, size := range []int{2, 3, 5, 16, 50} {
		keys := numbered(size)
		for _, bad := range keys {
			o := newOrigin(t, refusing(http.StatusBadRequest, bad))
			check(t, keys, answers(t, trackSource(t, o, size), keys...), bad)
			if most := 1 + 2*bits.Len(uint(size-1)); o.total() > most {
				t.Errorf("%d requests to find %s of %d keys, want at most %d", o.total(), bad, size, most)
			}
			o.Close()
		}
	}
}

func TestManyBadKeys(t *testing.T) {
	keys := numbered(32)
	for name, test := range map[string]struct {
		bad  []string
		most int
	}{
		"all":           {keys, 2*len(keys) - 1},
		"every second":  {everySecond(keys), 2*len(keys) - 1},
		"the first two": {keys[:2], 1 + 2*5},
		"both ends":     {[]string{keys[0], keys[31]}, 1 + 4*5},
		"none":          {nil, 1},
	} {
		o := newOrigin(t, refusing(http.StatusUnprocessableEntity, test.bad...))
		check(t, keys, answers(t, trackSource(t, o, 32), keys...), test.bad...)
		if o.total() > test.most {
			t.Errorf("%s: %d requests, want at most %d", name, o.total(), test.most)
		}
	}
}

func everySecond(keys []string) (every []string) {
	for i := 0; i < len(keys); i += 2 {
		every = append(every, keys[i])
	}
	return every
}

func TestWhatHalvesABatch(t *testing.T) {
	keys := numbered(4)
	for code, halved := range map[int]bool{
		400: true, 404: true, 409: true, 410: true, 413: true, 414: true, 422: true, 431: true, 451: true,
		401: false, 402: false, 403: false, 405: false, 407: false, 418: false, 204: false, 206: false, 304: false, 501: false,
	} {
		o := newOrigin(t, refusing(code, keys[2]))
		got := answers(t, trackSource(t, o, 4), keys...)
		if halved {
			check(t, keys, got, keys[2])
		} else {
			check(t, keys, got, keys...)
		}
		if (o.total() > 1) != halved {
			t.Errorf("%d: %d requests", code, o.total())
		}
	}
}

func TestWhatPassesIsRetriedAndNotHalved(t *testing.T) {
	keys := numbered(4)
	for _, code := range []int{408, 425, 429, 500, 502, 503} {
		o := newOrigin(t, status(code))
		source := sourceOf(t, clientOf(t, fetch.Options{BaseURL: o.URL, Retry: retries(2)}), settingsOf(byID, batchOf(4)))
		check(t, keys, answers(t, source, keys...), keys...)
		if o.total() != 3 {
			t.Errorf("%d: %d requests, want 3", code, o.total())
		}
	}
}

// An API that takes fewer keys than was declared is no reason to fail.
func TestBatchThatIsTooLarge(t *testing.T) {
	keys := numbered(40)
	for name, test := range map[string]struct {
		refuse func(w http.ResponseWriter)
		want   int
	}{
		"414":  {func(w http.ResponseWriter) { w.WriteHeader(http.StatusRequestURITooLong) }, 7},
		"body": {func(w http.ResponseWriter) { io.WriteString(w, strings.Repeat(" ", 10_000)) }, 7},
		"400":  {func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadRequest) }, 20},
	} {
		o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
			if ids, many := idsOf(r); many && len(ids) > 10 {
				test.refuse(w)
				return
			}
			serve(w, r)
		})
		source := sourceOf(t, clientOf(t, fetch.Options{BaseURL: o.URL, MaxBody: 8_000}), settingsOf(byID, batchOf(50)))
		check(t, keys, answers(t, source, keys...))
		if o.total() > test.want {
			t.Errorf("%s: %d requests, want at most %d", name, o.total(), test.want)
		}
	}
}

func TestAnswersOfBatches(t *testing.T) {
	a, b, c := trackBody("a"), trackBody("b"), trackBody("c")
	for name, test := range map[string]struct {
		body    string
		want    []string // "": absent
		batches int      // requests for several keys
	}{
		"in order":         {`{"tracks":[` + a + `,` + b + `,` + c + `]}`, []string{a, b, c}, 1},
		"another order":    {`{"tracks":[` + c + `,` + a + `,` + b + `]}`, []string{a, b, c}, 1},
		"one left out":     {`{"tracks":[` + a + `,` + c + `]}`, []string{a, "", c}, 1},
		"null":             {`{"tracks":[` + a + `,null,` + c + `]}`, []string{a, "", c}, 1},
		"all null":         {`{"tracks":[null,null,null]}`, []string{"", "", ""}, 1},
		"none":             {`{"tracks":[]}`, []string{"", "", ""}, 1},
		"others besides":   {`{"tracks":[` + trackBody("x") + `,` + a + `,` + b + `,` + c + `,` + trackBody("y") + `]}`, []string{a, b, c}, 1},
		"one twice":        {`{"tracks":[` + a + `,` + a + `,` + b + `,` + c + `]}`, []string{a, b, c}, 1},
		"cut":              {`{"tracks":[` + a + `,` + b + `,`, []string{a, b, c}, 2},
		"a page to log in": {`<html>`, []string{a, b, c}, 2},
		"of another type":  {`[]`, []string{a, b, c}, 2},
		"of no bytes":      {``, []string{a, b, c}, 2},
	} {
		batches := 0
		o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
			if _, many := idsOf(r); !many {
				serve(w, r)
				return
			}
			batches++
			io.WriteString(w, test.body)
		})
		for i, got := range answers(t, trackSource(t, o, 5), "a", "b", "c") {
			if isAbsent := test.want[i] == ""; isAbsent != errors.Is(got.Err, fetch.ErrAbsent) || string(got.Entry.Payload) != test.want[i] {
				t.Errorf("%s: answer %d is %q, %v", name, i, got.Entry.Payload, got.Err)
			}
		}
		if batches != test.batches {
			t.Errorf("%s: %d batches, want %d", name, batches, test.batches)
		}
	}
}

func TestPartsHaveTheHeadersThatHoldForThem(t *testing.T) {
	header := http.Header{
		"Content-Type": {"application/json"}, "Date": {"Sat, 21 Nov 2026 10:00:00 GMT"}, "Age": {"7"},
		"Cache-Control": {"max-age=60", "private"}, "Expires": {"0"},
	}
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		for name, values := range header {
			w.Header()[name] = values
		}
		for _, name := range []string{"ETag", "Last-Modified", "Link", "Set-Cookie", "X-Request-Id", "Content-Location"} {
			w.Header().Set(name, "x")
		}
		serve(w, r)
	})
	for _, a := range answers(t, trackSource(t, o, 5), "a", "b") {
		got, err := a.Entry.Header()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(header, got); diff != "" || a.Entry.Status != 200 {
			t.Error(a.Entry.Status, diff)
		}
	}
}

func TestBatchWithoutAnEndpoint(t *testing.T) {
	o := newOrigin(t, refusing(http.StatusNotFound, "bad"))
	keys := []string{"a", "bad", "b", "c", "d"}
	noRequest := request.Func(func(*http.Request) (string, bool, error) { return "", false, nil }, nil)
	for name, endpoint := range map[string]request.Endpoint[string]{"none": nil, "that builds no requests": noRequest} {
		source := sourceOf(t, clientOf(t, fetch.Options{BaseURL: o.URL}), settingsOf(endpoint, batchOf(4)))
		got := answers(t, source, keys...)
		check(t, keys, got, "bad")
		if !errors.Is(got[1].Err, fetch.ErrAbsent) {
			t.Errorf("%s: %v", name, got[1].Err)
		}
	}
	for _, uri := range o.seen() {
		if !strings.HasPrefix(uri, "/tracks?ids=") {
			t.Errorf("request %s", uri)
		}
	}
	broken := newOrigin(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") })
	source := sourceOf(t, clientOf(t, fetch.Options{BaseURL: broken.URL}), settingsOf(nil, batchOf(4)))
	for _, a := range answers(t, source, "a", "b") {
		if a.Err == nil || !strings.Contains(a.Err.Error(), broken.URL+"/tracks: ") || errors.Is(a.Err, fetch.ErrAbsent) {
			t.Error(a.Err)
		}
	}
}

// Keys that are none of Batches are asked for nevertheless.
func TestKeysThatAreNoBatch(t *testing.T) {
	o := newOrigin(t, nil)
	client := clientOf(t, fetch.Options{BaseURL: o.URL})
	for name, source := range map[string]*fetch.Source[string]{
		"no batch": sourceOf(t, client, settingsOf(byID, nil)),
		"a batch":  sourceOf(t, client, settingsOf(byID, batchOf(2))),
	} {
		for _, keys := range [][]string{nil, {"a", "b", "c", "x,y", "d"}} {
			got := make([]fetch.Answer, len(keys))
			source.Fetch(t.Context(), keys, func(i int, a fetch.Answer) { got[i] = a })
			t.Run(name, func(t *testing.T) { check(t, keys, got) })
		}
	}
}

func TestBatchThatDoesNotKeepItsPromises(t *testing.T) {
	o := newOrigin(t, nil)
	funcs := request.BatchFuncs[string]{
		MaxKeys: 4,
		Build: func(ctx context.Context, base *url.URL, keys []string) (*http.Request, error) {
			if slices.Contains(keys, "unbuildable") {
				return nil, fmt.Errorf("unbuildable")
			}
			return http.NewRequestWithContext(ctx, http.MethodGet, base.JoinPath("tracks").String()+"?ids="+strings.Join(keys, ","), nil)
		},
	}
	for name, test := range map[string]struct {
		take     payload.Split
		keys     []string
		requests int
	}{
		"too few":        {func([]byte, []string) ([][]byte, error) { return nil, nil }, numbered(2), 3},
		"too many":       {func([]byte, []string) ([][]byte, error) { return make([][]byte, 9), nil }, numbered(2), 3},
		"not one of all": {splitTracks, []string{"a", "unbuildable", "b", "c"}, 3}, // the halves, and the good key of one
	} {
		before := o.total()
		funcs.Take = test.take
		source := sourceOf(t, clientOf(t, fetch.Options{BaseURL: o.URL}), settingsOf(byID, request.BatchFunc(funcs)))
		check(t, test.keys, answers(t, source, test.keys...))
		if n := o.total() - before; n != test.requests {
			t.Errorf("%s: %d requests, want %d", name, n, test.requests)
		}
	}

	funcs.Take = func([]byte, []string) ([][]byte, error) { panic("oops") }
	source := sourceOf(t, clientOf(t, fetch.Options{BaseURL: o.URL}), settingsOf(byID, request.BatchFunc(funcs)))
	defer func() {
		if p := recover(); p != "oops" {
			t.Errorf("recovered %v", p)
		}
	}()
	source.Fetch(t.Context(), []string{"a", "b"}, func(int, fetch.Answer) {})
}

func TestSourceEndsWithItsContext(t *testing.T) {
	o := newOrigin(t, refusing(http.StatusBadRequest, "t000000"))
	o.came, o.gate = make(chan string, 100), make(chan struct{})
	source := trackSource(t, o, 8)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-o.came
		cancel()
	}()
	n := 0
	source.Fetch(ctx, numbered(8), func(_ int, a fetch.Answer) {
		n++
		if !errors.Is(a.Err, context.Canceled) {
			t.Error(a.Err)
		}
	})
	if n != 8 || o.total() != 1 || source.InFlight() != 0 || source.Requests() != 1 {
		t.Errorf("%d answers after %d requests", n, o.total())
	}
}

func TestRequestsOfASourceAreLimited(t *testing.T) {
	o := newOrigin(t, nil)
	o.came, o.gate = make(chan string, 100), make(chan struct{})
	source := trackSource(t, o, 8).Limited(2)
	ctx, cancel := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	callers.Go(func() {
		defer cancel()
		<-o.came
		<-o.came
	})
	var ended atomic.Int32
	for range 5 {
		callers.Go(func() {
			source.Fetch(ctx, []string{"a", "b"}, func(_ int, a fetch.Answer) {
				if errors.Is(a.Err, context.Canceled) {
					ended.Add(1)
				}
			})
		})
	}
	callers.Wait()
	if ended.Load() != 10 || o.total() != 2 {
		t.Errorf("%d answers are cancelled, after %d requests", ended.Load(), o.total())
	}
	close(o.gate)
	for _, n := range []int{2, 1} {
		source := source.Limited(n)
		check(t, []string{"a", "b"}, answers(t, source, "a", "b"))
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	for want, opts := range map[string]fetch.Options{
		"Retries":          {Retry: &polite.RetryOptions{Retries: -2}},
		"MaxWait":          {Retry: &polite.RetryOptions{MaxWait: -1}},
		"MaxBody":          {MaxBody: -1},
		"Timeout":          {Timeout: -time.Second},
		"https://host":     {BaseURL: "api.example.com"},
		"cannot be parsed": {BaseURL: "http://s3cret@[::1"},
		"both":             {Client: http.DefaultClient, Transport: short{}},
	} {
		client, err := fetch.NewClient(&opts)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", want, err)
			client.Close()
		}
	}
	client := clientOf(t, fetch.Options{})
	if _, err := fetch.NewSource[string, track](nil, settingsOf(byID, nil)); err == nil {
		t.Error("a source without a client")
	}
	if _, err := fetch.NewSource(client, settingsOf(nil, nil)); err == nil {
		t.Error("a source without an endpoint")
	}
	if _, err := fetch.New[string, track](client, nil, nil); err == nil {
		t.Error("an endpoint without a repository")
	}
	for want, opts := range map[string]fetch.FetcherOptions{
		"Gather": {Gather: -1}, "Concurrency": {Concurrency: -1},
	} {
		if _, err := fetch.Uncached(client, settingsOf(byID, nil), &opts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
