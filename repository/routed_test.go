package repository_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

func get(t *testing.T, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	check(t, err)
	return req
}

// response is a made answer to a request.
func response(req *http.Request, status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Request: req,
		ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)),
	}
}

func readAll(t *testing.T, resp *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	check(t, err)
	check(t, resp.Body.Close())
	return string(body)
}

func TestResponsesComeBackAsTheyWere(t *testing.T) {
	// 1.10 and é would change if the body were decoded and encoded again.
	const body = "{ \"title\":\"Caf\u00e9 \\u00e9\", \"price\": 1.10 }\n"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["X-Many"] = []string{"a", "b, c"}
		w.Header()["X-Latin"] = []string{"caf\xe9"}
		w.Header()["x-lower"] = []string{"<&>"}
		w.Header().Set("Set-Cookie", "session=secret")
		w.Header().Set("Keep-Alive", "timeout=5")
		io.WriteString(w, body)
	}))
	defer server.Close()
	onEachStore(t, func(t *testing.T, store driver.Store, clock *clock) {
		s := tracks
		s.Endpoint = request.Pattern[trackKey]("/v1/tracks/{id}")
		r := create(t, store, s, clock)
		resp, err := server.Client().Do(get(t, server.URL+"/v1/tracks/a"))
		check(t, err)
		if ok, err := r.SaveResponse(t.Context(), resp); err != nil || !ok {
			t.Fatalf("SaveResponse = %v, %v", ok, err)
		}
		if got := readAll(t, resp); got != body {
			t.Errorf("after the save, the body is %q", got)
		}
		req := get(t, server.URL+"/v1/tracks/a")
		stored, ok, err := r.GetResponse(t.Context(), req)
		if err != nil || !ok {
			t.Fatalf("GetResponse = %v, %v", ok, err)
		}
		if got := readAll(t, stored); got != body {
			t.Errorf("the stored body is %q", got)
		}
		want := resp.Header.Clone()
		want.Del("Set-Cookie")
		want.Del("Keep-Alive")
		if d := cmp.Diff(want, stored.Header); d != "" {
			t.Error(d)
		}
		if stored.Status != resp.Status || stored.Proto != resp.Proto || stored.ProtoMajor != 1 || stored.Request != req {
			t.Errorf("stored %q %q, was %q %q", stored.Status, stored.Proto, resp.Status, resp.Proto)
		}
		if e, _, err := r.GetEntry(t.Context(), trackKey{ID: "a"}); err != nil || e.Name != "Café é" {
			t.Errorf("the name is %q, %v", e.Name, err)
		}
	})
}

func TestUnusualStatusLinesAreKept(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store, clock *clock) {
		r := create(t, store, tracks, clock)
		resp := response(get(t, "https://api.example.com/v1/tracks/a"), 200, "{}")
		resp.Status, resp.Proto, resp.ProtoMajor, resp.ProtoMinor = "200 Fine", "HTTP/2.0", 2, 0
		if ok, err := r.SaveResponse(t.Context(), resp); err != nil || !ok {
			t.Fatalf("SaveResponse = %v, %v", ok, err)
		}
		stored, _, err := r.GetResponse(t.Context(), resp.Request)
		check(t, err)
		if stored.Status != "200 Fine" || stored.Proto != "HTTP/2.0" || stored.ProtoMajor != 2 {
			t.Errorf("stored %q %q", stored.Status, stored.Proto)
		}
	})
}

func TestBulkResponsesFollowTheRequests(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store, clock *clock) {
		ctx := t.Context()
		r := create(t, store, tracks, clock)
		a, b := get(t, "https://API.example.com:443/v1/tracks/a?market=DE"), get(t, "https://api.example.com/v1/tracks/b")
		unkeyed := get(t, "https://api.example.com.evil.org/v1/tracks/a?market=DE")
		n, err := r.SaveResponses(ctx, []*http.Response{
			response(a, 200, `{"title":"old"}`), response(unkeyed, 200, "{}"), response(b, 404, "{}"), nil,
			response(b, 204, ""), response(b, 206, "{}"), response(a, 200, `{"title":"new"}`), {StatusCode: 200},
		})
		if err != nil || n != 2 {
			t.Errorf("SaveResponses = %d, %v", n, err)
		}
		got, err := r.GetResponses(ctx, []*http.Request{b, a, unkeyed, nil, a})
		check(t, err)
		if len(got) != 5 || got[0] != nil || got[2] != nil || got[3] != nil {
			t.Fatalf("GetResponses = %v", got)
		}
		for _, i := range []int{1, 4} {
			if body := readAll(t, got[i]); body != `{"title":"new"}` {
				t.Errorf("response %d is %q", i, body)
			}
		}
		if ok, err := r.DeleteResponse(ctx, unkeyed); err != nil || ok {
			t.Errorf("DeleteResponse of an unkeyable request = %v, %v", ok, err)
		}
		if n, err := r.DeleteResponses(ctx, []*http.Request{a, b, nil, a}); err != nil || n != 1 {
			t.Errorf("DeleteResponses = %d, %v", n, err)
		}
	})
}

func TestAResponseThatCannotBeUsedReplacesNothing(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store, clock *clock) {
		ctx := t.Context()
		r := create(t, store, tracks, clock)
		req, other := get(t, "https://api.example.com/v1/tracks/a"), get(t, "https://api.example.com/v1/tracks/b")
		check(t, r.Save(ctx, trackKey{ID: "a"}, track{Title: "good"}))

		cut := response(req, 200, `{"title":"cut"}`)
		cut.ContentLength++
		broken := response(req, 200, "")
		broken.ContentLength = -1
		broken.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"ti`), iotestErr{}))
		n, err := r.SaveResponses(ctx, []*http.Response{response(req, 200, "<html>"), cut, broken, response(other, 200, "{}")})
		var decode *repository.DecodeError
		if n != 1 || !errors.As(err, &decode) || !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, errBroken) {
			t.Errorf("SaveResponses = %d, %v", n, err)
		}
		if got, err := io.ReadAll(broken.Body); string(got) != `{"ti` || !errors.Is(err, errBroken) {
			t.Errorf("the reader of the broken body gets %q, %v", got, err)
		}
		if v, ok, err := r.Get(ctx, trackKey{ID: "a"}); err != nil || !ok || v.Title != "good" {
			t.Errorf("Get = %v, %v, %v", v, ok, err)
		}
	})
}

var errBroken = errors.New("broken")

type iotestErr struct{}

func (iotestErr) Read([]byte) (int, error) { return 0, errBroken }

func TestARedirectedURLHits(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/v1/tracks/a":
			http.Redirect(w, req, "/step", http.StatusFound)
		case "/step":
			http.Redirect(w, req, "/final", http.StatusMovedPermanently)
		default:
			io.WriteString(w, `{"title":"A"}`)
		}
	}))
	defer server.Close()
	onEachStore(t, func(t *testing.T, store driver.Store, clock *clock) {
		s := tracks
		s.Endpoint = request.Pattern[trackKey]("/v1/tracks/{id}")
		r := create(t, store, s, clock)
		req := get(t, server.URL+"/v1/tracks/a")
		resp, err := server.Client().Do(req)
		check(t, err)
		if ok, err := r.SaveResponse(t.Context(), resp); err != nil || !ok {
			t.Fatalf("SaveResponse = %v, %v", ok, err)
		}
		if _, ok, err := r.GetResponse(t.Context(), req); err != nil || !ok {
			t.Errorf("GetResponse = %v, %v", ok, err)
		}
	})
}

func TestDecompressedBodiesHaveTheirOwnLength(t *testing.T) {
	const body = `{"title":"A"}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		io.WriteString(z, body)
		z.Close()
		w.Write(b.Bytes())
	}))
	defer server.Close()
	onEachStore(t, func(t *testing.T, store driver.Store, clock *clock) {
		s := tracks
		s.Endpoint = request.Pattern[trackKey]("/v1/tracks/{id}")
		r := create(t, store, s, clock)
		resp, err := server.Client().Do(get(t, server.URL+"/v1/tracks/a"))
		check(t, err)
		if ok, err := r.SaveResponse(t.Context(), resp); err != nil || !ok {
			t.Fatalf("SaveResponse = %v, %v", ok, err)
		}
		stored, _, err := r.GetResponse(t.Context(), resp.Request)
		check(t, err)
		if got := readAll(t, stored); got != body || stored.ContentLength != int64(len(body)) || stored.Header.Get("Content-Encoding") != "" {
			t.Errorf("stored %q of length %d, %v", got, stored.ContentLength, stored.Header)
		}
	})
}

// An entry is one of any status and header that a program has by itself.
func TestEntriesOfAProgramsOwn(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store, clock *clock) {
		ctx := t.Context()
		r := create(t, store, settings.RepositorySettings[string, []byte]{Name: "b", Payload: payload.Bytes()}, clock)
		e, err := repository.NewEntry(404, repository.Head{Header: http.Header{"A": {"", "b"}}}, []byte("gone"))
		check(t, err)
		check(t, r.SaveEntry(ctx, "k", e))
		got, ok, err := r.GetEntry(ctx, "k")
		if err != nil || !ok || got.Status != 404 || string(got.Payload) != "gone" || !got.CachedAt.Equal(clock.Now().Truncate(1000)) {
			t.Errorf("GetEntry = %+v, %v, %v", got, ok, err)
		}
		if header, err := got.Header(); err != nil || len(header["A"]) != 2 {
			t.Errorf("Header = %v, %v", header, err)
		}
		if _, err := repository.NewEntry(200, repository.Head{Header: http.Header{":proto": {"x"}}}, nil); err == nil {
			t.Error("a header's name began with a colon")
		}
	})
}

// A value that was saved without a response is a sensible one.
func TestASavedValueIsAResponse(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store, clock *clock) {
		r := create(t, store, tracks, clock)
		check(t, r.Save(t.Context(), trackKey{ID: "a"}, track{Title: "A"}))
		resp, ok, err := r.GetResponse(t.Context(), get(t, "https://api.example.com/v1/tracks/a"))
		if err != nil || !ok || resp.Status != "200 OK" || resp.Header.Get("Content-Type") != "application/json" {
			t.Errorf("GetResponse = %+v, %v, %v", resp, ok, err)
		}
	})
}

// A refusal, a redirect or an answer without content is kept for requests; to who
// asks for values it is a miss, on every way to ask.
func TestAnEntryWithoutAValueIsAMissForTypedReads(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store, clock *clock) {
		ctx := t.Context()
		r := create(t, store, tracks, clock)
		there, gone := trackKey{ID: "there"}, trackKey{ID: "gone"}
		keys := []trackKey{there, gone}
		for _, status := range []int{204, 205, 206, 301, 304, 404, 500} {
			check(t, r.Save(ctx, there, track{Title: "T"}))
			e, err := repository.NewEntry(status, repository.Head{}, []byte("<html>"))
			check(t, err)
			check(t, r.SaveEntry(ctx, gone, e)) // it is not decoded
			if _, ok, err := r.Get(ctx, gone); ok || err != nil {
				t.Errorf("%d: Get = %v, %v", status, ok, err)
			}
			if _, ok, err := r.GetRaw(ctx, gone); ok || err != nil {
				t.Errorf("%d: GetRaw = %v, %v", status, ok, err)
			}
			if ok, err := r.Contains(ctx, gone); ok || err != nil {
				t.Errorf("%d: Contains = %v, %v", status, ok, err)
			}
			if found, err := r.GetMany(ctx, keys); len(found) != 1 || err != nil {
				t.Errorf("%d: GetMany = %v, %v", status, found, err)
			}
			if missing, err := r.Missing(ctx, keys); err != nil || !slices.Equal(missing, []trackKey{gone}) {
				t.Errorf("%d: Missing = %v, %v", status, missing, err)
			}
			for key, err := range r.Keys(ctx) {
				if key != there || err != nil {
					t.Errorf("%d: Keys yields %v, %v", status, key, err)
				}
			}
			for item, err := range r.All(ctx) {
				if item.Key != there || err != nil {
					t.Errorf("%d: All yields %v, %v", status, item.Key, err)
				}
			}
			if entries, err := r.GetEntries(ctx, keys); err != nil || entries[gone].Status != status {
				t.Errorf("%d: GetEntries = %v, %v", status, entries, err)
			}
			if n, err := r.Count(ctx, repository.Live); n != 2 || err != nil {
				t.Errorf("%d: Count = %d, %v", status, n, err)
			}
			if _, ok, err := r.Pop(ctx, gone); ok || err != nil {
				t.Errorf("%d: Pop = %v, %v", status, ok, err)
			}
		}
	})
}
