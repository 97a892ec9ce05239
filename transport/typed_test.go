package transport_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

type track struct {
	Title string `json:"title"`
}

// typed is a harness with a repository of tracks in the place of that of all
// requests.
type typed struct {
	*harness
	tracks *repository.ResponseRepository[string, track]
	answer func(w http.ResponseWriter, id string) // nil: the track of that title
}

func startTyped(t *testing.T, store driver.Store, opts *options) *typed {
	t.Helper()
	ty := &typed{}
	ty.harness = startOn(t, store, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil // the clock is not the server's
		id := strings.TrimPrefix(r.URL.Path, "/tracks/")
		if ty.answer != nil {
			ty.answer(w, id)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", "Accept-Encoding")
		io.WriteString(w, `{"title": "`+id+`"}`)
	}, opts)
	ty.cache.Remove("all")
	var err error
	ty.tracks, err = cache.CreateRepository(t.Context(), ty.cache, settings.RepositorySettings[string, track]{
		Name: "tracks", Endpoint: request.Pattern[string]("/tracks/{id}"), Payload: payload.JSON[track](), NameOf: func(t track) string { return t.Title },
	})
	check(t, err)
	return ty
}

func onEachMode(t *testing.T, run func(t *testing.T, opts *options)) {
	t.Run("by the policy", func(t *testing.T) { run(t, nil) })
	t.Run("in Cache-Control mode", func(t *testing.T) { run(t, controlled()) })
}

func TestWhatIsSavedByKeyIsAHit(t *testing.T) {
	onEachMode(t, func(t *testing.T, opts *options) {
		h := startTyped(t, memoryStore(t), opts)
		check(t, h.tracks.SaveMany(t.Context(), map[string]track{"a": {"A"}, "b": {"B"}}))
		resp, body := h.get("/tracks/a")
		if !hit(resp) || body != `{"title":"A"}` || resp.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%v %q %v", hit(resp), body, resp.Header)
		}
		h.wantRequests(0)
		h.clock.Advance(settings.DefaultExpire)
		if resp, _ := h.get("/tracks/a"); hit(resp) {
			t.Error("it hits when it has expired")
		}
	})
}

func TestWhatTheTransportSavesIsReadTyped(t *testing.T) {
	onEachMode(t, func(t *testing.T, opts *options) {
		h := startTyped(t, memoryStore(t), opts)
		h.get("/tracks/a")
		h.get("/tracks/b")
		if got, ok, err := h.tracks.Get(t.Context(), "a"); got.Title != "a" || !ok || err != nil {
			t.Errorf("Get = %v, %v, %v", got, ok, err)
		}
		if got, err := h.tracks.GetMany(t.Context(), []string{"a", "b", "c"}); len(got) != 2 || got["b"].Title != "b" || err != nil {
			t.Errorf("GetMany = %v, %v", got, err)
		}
		for item, err := range h.tracks.All(t.Context()) {
			if check(t, err); item.Name != item.Key || item.Value.Title != item.Key {
				t.Errorf("%s has the name %s and the title %s", item.Key, item.Name, item.Value.Title)
			}
		}
		h.wantRequests(2)
		if resp, _ := h.get("/tracks/a?other=1"); hit(resp) {
			t.Error("a request of another endpoint hits")
		}
	})
}

// A login page, say, comes with status 200 where JSON is wanted.
func TestABodyThatIsNoValueReachesTheCallerAndIsNotStored(t *testing.T) {
	onEachMode(t, func(t *testing.T, opts *options) {
		h := startTyped(t, memoryStore(t), opts)
		h.get("/tracks/kept")
		h.clock.Advance(settings.DefaultExpire)
		h.answer = func(w http.ResponseWriter, _ string) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, "<html>log in</html>")
		}
		for _, path := range []string{"/tracks/a", "/tracks/a", "/tracks/kept"} {
			if resp, body := h.get(path); hit(resp) || resp.StatusCode != 200 || body != "<html>log in</html>" {
				t.Errorf("%s: %v %d %q", path, hit(resp), resp.StatusCode, body)
			}
		}
		if stats := h.transport.Stats(); stats.Undecodable != 3 || stats.StoreErrors != 0 || stats.Stored != 1 {
			t.Errorf("%+v", stats)
		}
		if ok, err := h.tracks.Contains(t.Context(), "a"); ok || err != nil {
			t.Errorf("Contains = %v, %v", ok, err)
		}
		// What was there has not been destroyed.
		if got, ok, err := h.tracks.Get(t.Context(), "kept", repository.AllowExpired()); got.Title != "kept" || !ok || err != nil {
			t.Errorf("Get = %v, %v, %v", got, ok, err)
		}
	})
}

// Its text has the key, and what could not be read.
func TestTheErrorOfABodyThatIsNoValueIsNotLogged(t *testing.T) {
	var log bytes.Buffer
	h := startTyped(t, memoryStore(t), &options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	type dated struct{ At time.Time }
	_, err := cache.CreateRepository(t.Context(), h.cache, settings.RepositorySettings[string, dated]{
		Name: "dated", Endpoint: request.Pattern[string]("/dated/{id}"), Payload: payload.JSON[dated](),
	})
	check(t, err)
	h.answer = func(w http.ResponseWriter, _ string) { io.WriteString(w, `{"At": "secret of the body"}`) }
	h.get("/dated/secret-of-the-url")
	check(t, h.transport.Close())
	if text := log.String(); strings.Contains(text, "secret") || !strings.Contains(text, "dated") {
		t.Errorf("logged: %s", text)
	}
}

func TestAStoredFailureOrRedirectIsAMissForTypedReads(t *testing.T) {
	for _, status := range []int{404, 410, 301, 308, 204} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			onEachStore(t, func(t *testing.T, open func(*testing.T) driver.Store) {
				h := startTyped(t, open(t), &options{Policy: policy.Policy{ExpireStatus: map[int]policy.Expiry{
					404: policy.After(time.Minute), 410: policy.Never(), 204: policy.After(time.Minute),
				}}})
				h.answer = func(w http.ResponseWriter, _ string) {
					w.Header().Set("Location", "/tracks/b")
					w.WriteHeader(status)
				}
				ctx := t.Context()
				h.get("/tracks/a")
				if resp, _ := h.get("/tracks/a"); !hit(resp) || resp.StatusCode != status {
					t.Errorf("through the transport: %v %d", hit(resp), resp.StatusCode)
				}
				if _, ok, err := h.tracks.Get(ctx, "a"); ok || err != nil {
					t.Errorf("Get = %v, %v", ok, err)
				}
				if _, ok, err := h.tracks.GetRaw(ctx, "a"); ok || err != nil {
					t.Errorf("GetRaw = %v, %v", ok, err)
				}
				if got, err := h.tracks.GetMany(ctx, []string{"a"}); len(got) != 0 || err != nil {
					t.Errorf("GetMany = %v, %v", got, err)
				}
				if ok, err := h.tracks.Contains(ctx, "a"); ok || err != nil {
					t.Errorf("Contains = %v, %v", ok, err)
				}
				if missing, err := h.tracks.Missing(ctx, []string{"a"}); len(missing) != 1 || err != nil {
					t.Errorf("Missing = %v, %v", missing, err)
				}
				for key, err := range h.tracks.Keys(ctx) {
					t.Errorf("Keys yields %q, %v", key, err)
				}
				for item, err := range h.tracks.All(ctx) {
					t.Errorf("All yields %v, %v", item, err)
				}
				if entry, ok, err := h.tracks.GetEntry(ctx, "a"); entry.Status != status || !ok || err != nil {
					t.Errorf("GetEntry = %d, %v, %v", entry.Status, ok, err)
				}
				if _, ok, err := h.tracks.Pop(ctx, "a"); ok || err != nil {
					t.Errorf("Pop = %v, %v", ok, err)
				}
			})
		})
	}
}

func TestSaveResponseAndTheTransportAgree(t *testing.T) {
	h := startTyped(t, memoryStore(t), nil)
	resp, err := (&http.Client{Transport: h.base}).Do(h.request("GET", "/tracks/a", ""))
	check(t, err)
	if ok, err := h.cache.SaveResponse(t.Context(), resp); !ok || err != nil {
		t.Fatal(ok, err)
	}
	want := bodyOf(t, resp)
	got, body := h.get("/tracks/a")
	if !hit(got) || body != want || got.StatusCode != 200 || got.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%v %q", hit(got), body)
	}
	h.get("/tracks/b")
	back, ok, err := h.cache.GetResponse(t.Context(), h.request("GET", "/tracks/b", ""))
	if err != nil || !ok || bodyOf(t, back) != `{"title": "b"}` {
		t.Errorf("%v %v", ok, err)
	}
	if ok, err := h.cache.DeleteResponse(t.Context(), h.request("GET", "/tracks/a", "")); !ok || err != nil {
		t.Error(ok, err)
	}
	if resp, _ := h.get("/tracks/a"); hit(resp) {
		t.Error("what was deleted hits")
	}
}

// Two searches are two entries, and the search is a read although it is a POST.
func TestASearchByPOSTIsCached(t *testing.T) {
	bodies := request.Func(func(req *http.Request) (searchKey, bool, error) {
		if req.Method != http.MethodPost || req.URL.Path != "/search" {
			return searchKey{}, false, nil
		}
		hash, err := request.JSONBodyHash(req)
		return searchKey{hash}, err == nil, nil
	}, nil)
	for _, test := range []struct {
		name     string
		endpoint request.Endpoint[searchKey]
		policy   policy.Policy
	}{
		{"its pattern names POST", posts{bodies}, policy.Policy{}},
		{"the repository's policy names POST", bodies, policy.Policy{Methods: []string{"POST"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := start(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				w.Write(append([]byte("found "), body...))
			}, nil)
			_, err := cache.CreateRepository(t.Context(), h.cache, settings.RepositorySettings[searchKey, string]{
				Name: "search", Endpoint: test.endpoint, Payload: payload.String(), Policy: test.policy,
			})
			check(t, err)
			for _, want := range []struct {
				body, answer string
				hit          bool
			}{
				{`{"q": "a"}`, `found {"q": "a"}`, false},
				{`{"q": "b"}`, `found {"q": "b"}`, false},
				{`{"q":"a"}`, `found {"q": "a"}`, true},
				{`{"q": "b"}`, `found {"q": "b"}`, true},
			} {
				if resp, body := h.do(h.request("POST", "/search", want.body)); body != want.answer || hit(resp) != want.hit {
					t.Errorf("%s: %v %q", want.body, hit(resp), body)
				}
			}
			h.wantRequests(2)
			// Other POSTs are no searches, and no reads.
			h.do(h.request("POST", "/other", "{}"))
			h.do(h.request("POST", "/other", "{}"))
			h.wantRequests(4)
		})
	}
}

// posts is an endpoint that names POST.
type posts struct{ request.Endpoint[searchKey] }

type searchKey struct{ Body string }

func (posts) Methods() []string { return []string{http.MethodPost} }

// A policy of all repositories that names POST is about reads that are POSTs: those
// of an endpoint that is declared for GET stay out.
func TestAMethodOfThePolicyDoesNotMixWithAnotherMethodsEntries(t *testing.T) {
	h := startTyped(t, memoryStore(t), &options{Policy: policy.Policy{Methods: []string{"POST"}}})
	h.get("/tracks/a")
	h.do(h.request("POST", "/tracks/a", ""))
	h.wantRequests(2)
}

func TestAHeadIsAnsweredByAGet(t *testing.T) {
	h := startTyped(t, memoryStore(t), nil)
	_, want := h.get("/tracks/a")
	resp, body := h.do(h.request("HEAD", "/tracks/a", ""))
	if !hit(resp) || body != "" || resp.ContentLength != int64(len(want)) {
		t.Errorf("%v %q, length %d", hit(resp), body, resp.ContentLength)
	}
	// The other way round it cannot be.
	h.do(h.request("HEAD", "/tracks/b", ""))
	if resp, body := h.get("/tracks/b"); hit(resp) || body == "" {
		t.Errorf("%v %q", hit(resp), body)
	}
	if ok, err := h.tracks.Contains(t.Context(), "b"); !ok || err != nil {
		t.Errorf("Contains = %v, %v", ok, err)
	}
}
