package doors

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/transport"
)

// ranged asks for a range of a track.
func (h *house) ranged(id, spec string) (status int, body string, isHit bool) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, h.api.URL+"/tracks/"+id, nil)
	check(h.t, err)
	req.Header.Set("Range", spec)
	resp, err := h.http.Do(req)
	check(h.t, err)
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	check(h.t, err)
	return resp.StatusCode, string(all), resp.Header.Get("X-From-Cache") == "1"
}

// partly lets the origin answer a request for a range with the first ten bytes, and any
// other with all.
func (h *house) partly() {
	const whole = `{"id":"a","version":1}`
	h.api.set("Cache-Control", "max-age=60", "Etag", `"1"`)
	h.api.mu.Lock()
	defer h.api.mu.Unlock()
	h.api.answer = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.Header.Get("Range") {
		case "":
			io.WriteString(w, whole)
		case "bytes=0-9":
			w.Header().Set("Content-Range", "bytes 0-9/22")
			w.WriteHeader(http.StatusPartialContent)
			io.WriteString(w, whole[:10])
		default:
			w.Header().Set("Content-Range", "bytes 10-21/22")
			w.WriteHeader(http.StatusPartialContent)
			io.WriteString(w, whole[10:])
		}
	}
}

// To typed callers a stored part is nothing, and theirs takes its place.
func TestAPartIsAMissForAllDoors(t *testing.T) {
	o := option{cache: cache.Options{Policy: policy.Policy{CacheControl: policy.On}}}
	through(t, o, func(t *testing.T, h *house, ask func(string) answered) {
		h.partly()
		if status, body, _ := h.ranged("a", "bytes=0-9"); status != 206 || body != `{"id":"a",` {
			t.Fatalf("%d %q", status, body)
		}
		if _, _, isHit := h.ranged("a", "bytes=0-9"); !isHit {
			t.Fatal("the part is not stored")
		}
		r := h.fetcher.Repository()
		if ok, err := r.Contains(t.Context(), "a"); ok || err != nil {
			t.Errorf("Contains = %v, %v", ok, err)
		}
		if _, ok, err := r.Get(t.Context(), "a"); ok || err != nil {
			t.Errorf("Get = %v, %v", ok, err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.api.URL+"/tracks/a", nil)
		check(t, err)
		if resp, ok, err := r.GetResponse(t.Context(), req); ok || err != nil { //nolint:bodyclose // it is none
			t.Errorf("GetResponse = %v, %v", resp, err)
		}
		h.clock.advance(time.Second)
		want(t, "the whole", ask("a"), version(1))
		want(t, "again", ask("a"), version(1))
		if v, ok, err := r.Get(t.Context(), "a"); !ok || err != nil || v.Version != 1 {
			t.Errorf("Get = %v, %v, %v", v, ok, err)
		}
		if status, _, isHit := h.ranged("a", "bytes=12-15"); status != 206 || !isHit {
			t.Errorf("a range of the whole: %d, hit: %v", status, isHit)
		}
		h.wantRequests(2)
	})
}

// What was asked for before a part came, and comes after it, takes its place.
func TestAWholeThatComesAfterAPartForAllDoors(t *testing.T) {
	o := option{cache: cache.Options{Policy: policy.Policy{CacheControl: policy.On}}}
	through(t, o, func(t *testing.T, h *house, ask func(string) answered) {
		h.partly()
		begun, release := make(chan struct{}, 1), make(chan struct{})
		h.api.mu.Lock()
		inner := h.api.answer
		h.api.answer = func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") == "" {
				begun <- struct{}{}
				<-release
			}
			inner(w, r)
		}
		h.api.mu.Unlock()
		done := make(chan struct{})
		go func() {
			defer close(done)
			want(t, "the whole", ask("a"), version(1))
		}()
		<-begun
		h.clock.advance(time.Second)
		h.ranged("a", "bytes=0-9")
		close(release)
		<-done
		if v, ok, err := h.fetcher.Repository().Get(t.Context(), "a"); !ok || err != nil || v.Version != 1 {
			t.Errorf("Get = %v, %v, %v", v, ok, err)
		}
		h.wantRequests(2)
	})
}

// A whole that was made of parts is a value as any other.
func TestPartsBecomeAValueForAllDoors(t *testing.T) {
	o := option{cache: cache.Options{Policy: policy.Policy{CacheControl: policy.On}}}
	o.settings.NameOf = func(v track) string { return "track " + v.ID }
	through(t, o, func(t *testing.T, h *house, ask func(string) answered) {
		h.partly()
		h.ranged("a", "bytes=10-")
		h.ranged("a", "bytes=0-9")
		want(t, "the whole", ask("a"), version(1))
		h.wantRequests(2)
		if e, _, err := h.fetcher.Repository().GetEntry(t.Context(), "a"); err != nil || e.Status != 200 || e.Name != "track a" {
			t.Errorf("stored: %d %q, %v", e.Status, e.Name, err)
		}
	})
}

// A range that has all is a value, too, and what cannot be decoded is none.
func TestARangeOfAllForAllDoors(t *testing.T) {
	o := option{cache: cache.Options{Policy: policy.Policy{CacheControl: policy.On}}}
	o.settings.NameOf = func(v track) string { return "track " + v.ID }
	for body, asked := range map[string]int64{`{"id":"a","version":1}`: 1, `{"id":"a","version":1 `: 3} {
		through(t, o, func(t *testing.T, h *house, ask func(string) answered) {
			h.api.set("Cache-Control", "max-age=60", "Etag", `"1"`)
			h.api.mu.Lock()
			h.api.answer = func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Range") == "" {
					io.WriteString(w, `{"id":"a","version":1}`)
					return
				}
				w.Header().Set("Content-Range", "bytes 0-21/22")
				w.WriteHeader(http.StatusPartialContent)
				io.WriteString(w, body)
			}
			h.api.mu.Unlock()
			for range 2 {
				if status, got, _ := h.ranged("a", "bytes=0-"); status != 206 || got != body {
					t.Fatalf("%d %q", status, got)
				}
			}
			want(t, "the whole", ask("a"), version(1))
			h.wantRequests(asked)
			e, ok, err := h.fetcher.Repository().GetEntry(t.Context(), "a")
			if !ok || err != nil || e.Status != 200 || e.Name != "track a" {
				t.Errorf("stored: %d %q, %v", e.Status, e.Name, err)
			}
		})
	}
}

// undated is a base whose responses have no Date.
type undated struct{ base http.RoundTripper }

func (u undated) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := u.base.RoundTrip(req)
	if err == nil {
		resp.Header.Del("Date")
	}
	return resp, err
}

// RFC 9110, section 6.6.1: what came without a Date has that of its receipt, whoever
// fetched it and whoever reads it.
func TestAStoredResponseHasADate(t *testing.T) {
	for name, p := range map[string]policy.Policy{"by policy": {Expire: policy.After(time.Hour)}, "Cache-Control mode": {CacheControl: policy.On, Expire: policy.After(time.Hour)}} {
		t.Run(name, func(t *testing.T) {
			base := &http.Transport{}
			t.Cleanup(base.CloseIdleConnections)
			o := option{
				cache:  cache.Options{Policy: p},
				client: fetch.Options{Client: &http.Client{Transport: undated{base}}},
				base:   func(base http.RoundTripper) http.RoundTripper { return undated{base} },
			}
			through(t, o, func(t *testing.T, h *house, ask func(string) answered) {
				received := h.clock.Now().Format(http.TimeFormat)
				want(t, "first", ask("a"), version(1))
				h.clock.advance(time.Minute)
				ctx, r := t.Context(), h.fetcher.Repository()
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.api.URL+"/tracks/a", nil)
				check(t, err)
				saved := req.Clone(ctx)
				saved.URL.Path = "/tracks/saved"
				undated := &http.Response{StatusCode: 200, Header: http.Header{"X-A": {"b"}}, Body: io.NopCloser(strings.NewReader("{}")), ContentLength: 2, Request: saved}
				if ok, err := r.SaveResponse(ctx, undated); !ok || err != nil {
					t.Fatal(ok, err)
				}
				dates := map[string]http.Header{}
				resp, err := transport.New(h.cache, nil).RoundTrip(req)
				check(t, err)
				check(t, resp.Body.Close())
				dates["RoundTrip"] = resp.Header
				resp, ok, err := r.GetResponse(ctx, req)
				check(t, err)
				if ok {
					check(t, resp.Body.Close())
					dates["GetResponse"] = resp.Header
				}
				resp, ok, err = h.cache.GetResponse(ctx, req)
				check(t, err)
				if ok {
					check(t, resp.Body.Close())
					dates["the cache's GetResponse"] = resp.Header
				}
				for name, get := range map[string]func() (repository.Entry, error){
					"FetchEntry": func() (repository.Entry, error) { e, _, err := h.fetcher.FetchEntry(ctx, "a"); return e, err },
					"GetEntry":   func() (repository.Entry, error) { e, _, err := r.GetEntry(ctx, "a"); return e, err },
				} {
					e, err := get()
					check(t, err)
					dates[name], err = e.Header()
					check(t, err)
				}
				for name, header := range dates {
					if got := header["Date"]; len(got) != 1 || got[0] != received {
						t.Errorf("%s: the date is %q, want %q", name, got, received)
					}
				}
				if len(dates) != 5 {
					t.Errorf("only %d doors have the response", len(dates))
				}
				e, _, err := r.GetEntry(ctx, "saved")
				check(t, err)
				header, err := e.Header()
				check(t, err)
				if want := h.clock.Now().Format(http.TimeFormat); header.Get("Date") != want {
					t.Errorf("what was saved as a response: %v, want a date of %s", header, want)
				}
				_, err = r.Delete(ctx, "saved")
				check(t, err)
			})
		})
	}
}
