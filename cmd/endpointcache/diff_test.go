package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	cacheidentity "github.com/endpointcache/endpointcache/identity"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/settings"
)

// handlerOrigin answers by a handler, whatever host a request is for, and remembers the requests.
type handlerOrigin struct {
	http.Handler
	requests []*http.Request
}

func (o *handlerOrigin) RoundTrip(req *http.Request) (*http.Response, error) {
	o.requests = append(o.requests, req)
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	recorder := httptest.NewRecorder()
	o.ServeHTTP(recorder, req)
	return recorder.Result(), nil
}

// theAPI is the origin of what fill saves, as it is now.
func theAPI() *handlerOrigin {
	mux := http.NewServeMux()
	answer := func(pattern, body string, header ...string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Date", "Fri, 29 Nov 2126 12:00:00 GMT")
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			io.WriteString(w, body)
		})
	}
	answer("/v1/tracks/aero", `{"id":"aero","title":"Aerodynamic \u001b[31m(live)","n":12345678901234567891,"new":[1,2]}`, "Etag", `"a2"`)
	answer("/v1/tracks/harder", `{ "title": "Harder, Better", "id": "harder" }`)
	answer("/v1/tracks/gone", `{"id":"gone"}`)
	mux.HandleFunc("/v1/pages", func(w http.ResponseWriter, _ *http.Request) {
		http.Redirect(w, &http.Request{Method: http.MethodGet}, "https://api.music.test/v1/tracks/harder", http.StatusFound)
	})
	return &handlerOrigin{Handler: mux}
}

func TestDiffOnEveryStore(t *testing.T) {
	onEveryStore(t, func(t *testing.T, p *location) {
		p.program.origin = theAPI()
		filled(t, p).golden(t, "diff")
	})
}

// What the command line tells is sent, and shown only as far as it is no secret.
func TestDiffSendsWhatIsSaid(t *testing.T) {
	p := filled(t, newLocation(t, "sqlite"))
	origin := theAPI()
	p.program.origin = origin
	r := p.run(t, "", "diff", "tracks", "harder", "-H", "Authorization: Bearer "+password, "--header=X-Tenant: 5")
	if r.code != exitOK || strings.Contains(r.stdout+r.stderr, password) || !strings.Contains(r.stderr, "X-Tenant: 5") {
		t.Errorf("it prints %+v", r)
	}
	if len(origin.requests) != 1 || origin.requests[0].Header.Get("Authorization") != "Bearer "+password {
		t.Errorf("%d requests are sent", len(origin.requests))
	}
	if u := origin.requests[0].URL.String(); u != music+"/v1/tracks/harder?market=DE" {
		t.Errorf("the request is to %s", u)
	}
}

func TestDiffOfAPostAsks(t *testing.T) {
	p := newLocation(t, "sqlite")
	c := p.cache(t, nil)
	r, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[string, string]{
		Name: "searches", Pattern: "POST api.music.test/v1/searches/{id}", Payload: payload.String(),
	})
	check(t, err)
	check(t, r.Save(t.Context(), "1", "found"))
	check(t, c.Close())
	origin := theAPI()
	p.program.origin = origin
	args := []string{"diff", "searches", "1"}
	if r := p.run(t, "", args...); r.code != exitUsage || len(origin.requests) > 0 {
		t.Errorf("without a terminal: %+v", r)
	}
	if r := p.run(t, "n\n", args...); r.code != exitError || len(origin.requests) > 0 {
		t.Errorf("after a no: %+v", r)
	}
	if r := p.run(t, "y\n", args...); r.code != exitDifferent || len(origin.requests) != 1 {
		t.Errorf("after a yes: %+v", r)
	}
}

// What is one identity's own is compared with the answer to credentials, not to nobody in particular.
func TestDiffOfAnIdentitysResponse(t *testing.T) {
	p := newLocation(t, "sqlite")
	c := p.cache(t, nil)
	own := tracks
	own.Scope = settings.PerIdentity
	r, err := cache.CreateRepository(t.Context(), c, own)
	check(t, err)
	check(t, r.Save(cacheidentity.With(t.Context(), "alice"), trackKey{"harder", "DE"}, track{"harder", "Harder, Better"}))
	check(t, c.Close())
	origin := theAPI()
	p.program.origin = origin
	args := []string{"diff", "tracks", "alice", "harder", "DE"}
	got := p.run(t, "", args...)
	if got.code != exitUsage || len(origin.requests) > 0 || !strings.Contains(got.stderr, "alice alone") || !strings.Contains(got.stderr, "--header") {
		t.Errorf("without credentials: %+v", got)
	}
	got = p.run(t, "", append(args, "-H", "Authorization: Bearer a")...)
	if got.code == exitUsage || len(origin.requests) != 1 || !strings.Contains(got.stderr, "alice alone") {
		t.Errorf("with credentials: %+v", got)
	}
}

// The request of an identity is looked up as that of the one that is named.
func TestLookUpAsAnIdentity(t *testing.T) {
	p := newLocation(t, "sqlite")
	c := p.cache(t, nil)
	own := tracks
	own.Scope = settings.PerIdentity
	r, err := cache.CreateRepository(t.Context(), c, own)
	check(t, err)
	check(t, r.Save(cacheidentity.With(t.Context(), "alice"), trackKey{"harder", "DE"}, track{"harder", "Harder, Better"}))
	check(t, c.Close())
	address := music + "/v1/tracks/harder?market=DE"
	for _, tt := range []struct {
		code int
		out  string
		args []string
	}{
		{exitNothing, "nothing tells whose request this is", []string{"why", address}},
		{exitOK, "alice harder DE", []string{"why", address, "--as", "alice"}},
		{exitNothing, `the identity "bob" alone`, []string{"why", address, "--as", "bob"}},
		{exitOK, "Harder, Better", []string{"show", address, "--as", "alice"}},
		{exitUsage, "--as is for a URL", []string{"show", "tracks", "alice", "harder", "DE", "--as", "bob"}},
	} {
		if got := p.run(t, "", tt.args...); got.code != tt.code || !strings.Contains(got.stdout+got.stderr, tt.out) {
			t.Errorf("%q: %+v", tt.args, got)
		}
	}
}

func TestDiffWithAnOriginThatDoesNotAnswer(t *testing.T) {
	p := filled(t, newLocation(t, "sqlite"))
	p.program.origin = hanging{}
	r := p.run(t, "", "diff", "tracks", "harder", "--timeout", "50ms")
	if r.code != exitError || !strings.Contains(r.stderr, "--timeout") {
		t.Errorf("it ends with %+v", r)
	}
	program := p.program
	program.origin = hanging{}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	program.stdin, program.stdout, program.stderr = strings.NewReader(""), io.Discard, io.Discard
	if code := program.run(ctx, []string{"diff", "tracks", "harder"}); code != exitInterrupted {
		t.Errorf("an interrupt ends with %d", code)
	}
}

// hanging answers never.
type hanging struct{}

func (hanging) RoundTrip(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

// Of entries of any origin, the command line tells which one to ask.
func TestDiffWithAnyOrigin(t *testing.T) {
	p := newLocation(t, "sqlite")
	c := p.cache(t, nil)
	anywhere := tracks
	anywhere.Pattern, anywhere.BaseURL = "GET /v1/tracks/{id}", settings.AnyBaseURL
	r, err := cache.CreateRepository(t.Context(), c, anywhere)
	check(t, err)
	check(t, r.Save(t.Context(), trackKey{"harder", "DE"}, track{"harder", "Harder, Better"}))
	check(t, c.Close())
	origin := theAPI()
	p.program.origin = origin
	for _, args := range [][]string{
		{"diff", "tracks", "harder", "--base", "http://there.test:81"},
		{"diff", "/v1/tracks/harder?market=DE", "--base", "http://there.test:81/"},
		{"diff", "tracks", "harder", "--url", "http://there.test:81/v1/tracks/harder?market=DE"},
	} {
		origin.requests = nil
		if r := p.run(t, "", args...); r.code != exitOK {
			t.Errorf("%q: %+v", args, r)
		}
		if len(origin.requests) != 1 || origin.requests[0].URL.String() != "http://there.test:81/v1/tracks/harder?market=DE" {
			t.Errorf("%q sends %v", args, origin.requests)
		}
	}
	for _, args := range [][]string{
		{"diff", "tracks", "harder"}, {"diff", "/v1/tracks/harder?market=DE"}, {"diff", "tracks", "harder", "--base", "there.test"},
		{"diff", "tracks", "harder", "--base", "ftp://there.test"}, {"diff", "tracks", "harder", "--base", "http://there.test/v2"},
		{"diff", "tracks", "harder", "-X", "POST"}, {"diff", "tracks", "harder", "-H", "nonsense"},
	} {
		if r := p.run(t, "", args...); r.code != exitUsage {
			t.Errorf("%q: %+v", args, r)
		}
	}
}
