package fetch_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

func TestURLsReachTheServerAsTheyAreBuilt(t *testing.T) {
	type key struct {
		ID    string `path:"id"`
		Query string `query:"q"`
	}
	endpoint := request.Pattern[key]("/v1/{id}/x")
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RequestURI) })
	keys := []key{
		{"a/b", ""}, {"ä €", "ü&="}, {"100%", "50%"}, {"what?", "?"}, {"{id}", "{id}"}, {"a+b c", "a+b c"},
		{"%2F", "%2F"}, {"a;b", "a;b"}, {"#", "#"}, {"日本", "語"}, {"a//b", "//"}, {"...", "../.."}, {"-_.~!$&'()*+,=:@", "!*'()"},
	}
	got := ask(t, endpoint, fetch.Options{BaseURL: server.URL}, keys...)
	base, _ := url.Parse(server.URL)
	for i, k := range keys {
		req, err := endpoint.Request(t.Context(), base, k)
		if err != nil {
			t.Fatal(err)
		}
		if got := got[i]; got.Err != nil || string(got.Entry.Payload) != req.URL.RequestURI() {
			t.Errorf("for %+v the answer is that to %s, %v", k, got.Entry.Payload, got.Err)
		}
	}
}

func TestErrorsTellNoSecrets(t *testing.T) {
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		ids, _ := idsOf(r)
		switch {
		case path.Base(r.URL.Path) == "abort", slices.Contains(ids, "abort1"):
			panic(http.ErrAbortHandler)
		case path.Base(r.URL.Path) == "loop", slices.Contains(ids, "loop1"):
			http.Redirect(w, r, r.RequestURI, http.StatusFound)
		case slices.Contains(ids, "nonsense1"), path.Base(r.URL.Path) == "nonsense":
			io.WriteString(w, "s3cret")
		default:
			w.WriteHeader(http.StatusForbidden)
		}
	})
	base := strings.Replace(server.URL, "http://", "http://me:s3cret@", 1) + "?token=s3cret"
	client := clientOf(t, fetch.Options{BaseURL: base, Client: addingQuery(t, "key", "s3cret"), Retry: retries(1)})
	source := sourceOf(t, client, settingsOf(
		request.Pattern[string]("/tracks/{id}", request.IgnoreQuery("token")),
		request.BatchPattern[string]("/tracks?ids={id}", 2, splitTracks, &request.BatchOptions{IgnoreQuery: []string{"token"}}),
	))
	for _, id := range []string{"abort", "loop", "forbidden", "nonsense"} {
		for _, keys := range [][]string{{id}, {id + "1", id + "2"}} {
			for _, a := range answers(t, source, keys...) {
				if a.Err == nil || strings.Contains(a.Err.Error(), "s3cret") || id != "nonsense" && !strings.Contains(a.Err.Error(), server.URL+"/tracks") {
					t.Errorf("%s: %v", keys, a.Err)
				}
			}
		}
	}
}

func TestRequestThatCannotBeBuilt(t *testing.T) {
	server := newOrigin(t, nil)
	got := ask(t, byID, fetch.Options{BaseURL: server.URL}, "..", "a", "")
	if got[0].Err == nil || got[1].Err != nil || got[2].Err == nil || server.total() != 1 {
		t.Error(got)
	}
	noRequest := request.Func(func(*http.Request) (string, bool, error) { return "", false, nil }, nil)
	if a := ask(t, noRequest, fetch.Options{BaseURL: server.URL}, "a")[0]; !errors.Is(a.Err, request.ErrNoRequest) {
		t.Error(a.Err)
	}
}

// A parameter or header that the client adds may make a request another key's.
func TestAnAnswerForAnotherKeyIsNone(t *testing.T) {
	server := newOrigin(t, serve)
	type key struct {
		ID     string `path:"id"`
		Market string `query:"market"`
		User   string `header:"Authorization,hash"`
	}
	s := settings.RepositorySettings[key, []byte]{
		Name:     "tracks",
		Endpoint: request.Pattern[key]("GET api.example.com/tracks/{id}"),
		Payload:  payload.Bytes(),
	}
	batch := request.BatchPattern[key]("GET api.example.com/tracks?ids={id}", 5, splitTracks, nil)
	mine := request.HeaderHash("Bearer mine")
	for name, test := range map[string]struct {
		client  fetch.Doer
		fetched []key
	}{
		"nothing is added":     {quick(t), []key{{ID: "a"}, {ID: "a", Market: "DE"}}},
		"a token":              {addingToken(t, "mine"), []key{{ID: "a", User: mine}, {ID: "a", Market: "DE", User: mine}}},
		"a known parameter":    {addingQuery(t, "market", "US"), nil},
		"an unknown parameter": {addingQuery(t, "lang", "de"), nil},
	} {
		for _, s.Batch = range []request.Batch[key]{nil, batch} {
			t.Run(name, func(t *testing.T) {
				var keys, fetched []key
				for _, k := range []key{{}, {Market: "DE"}, {User: mine}, {Market: "DE", User: mine}, {User: "another's"}} {
					for _, k.ID = range []string{"a", "b"} {
						keys = append(keys, k)
					}
				}
				source := sourceOf(t, clientOf(t, fetch.Options{BaseURL: server.URL, Client: test.client}), s)
				for i, a := range answers(t, source, keys...) {
					if a.Err == nil && keys[i].ID == "a" {
						fetched = append(fetched, keys[i])
					}
				}
				if diff := cmp.Diff(test.fetched, fetched); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// The query of a batch is what tells which keys it is for.
func TestBatchWhoseQueryTheClientChanges(t *testing.T) {
	server := newOrigin(t, nil)
	change := func(from, to string) fetch.Doer {
		return changed(t, func(req *http.Request) {
			req.URL.RawQuery = strings.Replace(req.URL.RawQuery, from, to, 1)
		})
	}
	for name, client := range map[string]fetch.Doer{
		"another value":        change("=a", "=x"),
		"another name":         change("ids", "names"),
		"one more value":       addingQuery(t, "ids", "x"),
		"it is malformed":      change("=a", "=%zz"),
		"an unknown parameter": addingQuery(t, "lang", "de"),
	} {
		source := sourceOf(t, clientOf(t, fetch.Options{BaseURL: server.URL, Client: client}), settingsOf(byID, batchOf(2)))
		before := server.total()
		for _, a := range answers(t, source, "a", "b") {
			if a.Err == nil {
				t.Errorf("%s: there is an answer", name)
			}
		}
		if n := server.total() - before; n != 1 {
			t.Errorf("%s: %d requests", name, n)
		}
	}
}

// The base has a path and another host than the endpoint, and a query that is ignored.
func TestKeyIsReadBackWhateverTheBaseIs(t *testing.T) {
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = strings.TrimPrefix(r.URL.Path, "/api/v2")
		serve(w, r)
	})
	for name, host := range map[string]string{"host": "api.example.com", "none": ""} {
		s := settingsOf(
			request.Pattern[string]("GET "+host+"/tracks/{id}", request.IgnoreQuery("token")),
			request.BatchPattern[string]("GET "+host+"/tracks?ids={id}", 5, splitTracks, &request.BatchOptions{IgnoreQuery: []string{"token"}}),
		)
		for query, isAnswer := range map[string]bool{"token": true, "market": false} {
			client := clientOf(t, fetch.Options{BaseURL: server.URL + "/api/v2?token=1", Client: addingQuery(t, query, "x")})
			source := sourceOf(t, client, s)
			for range 2 { // the second time it is known how
				for _, a := range answers(t, source, "a", "b", "x,y") {
					if isAnswer != (a.Err == nil) {
						t.Errorf("host %s, %s is added: %v", name, query, a.Err)
					}
				}
			}
		}
	}
}

func TestKeyThatCannotBeReadBack(t *testing.T) {
	server := newOrigin(t, nil)
	mistake := errors.New("no key")
	build := byID.Request
	for name, test := range map[string]struct {
		key func(*http.Request) (string, bool, error)
		err error
	}{
		"never":    {func(*http.Request) (string, bool, error) { return "", false, nil }, nil},
		"an error": {func(*http.Request) (string, bool, error) { return "", false, mistake }, mistake},
	} {
		for _, a := range ask(t, request.Func(test.key, build), fetch.Options{BaseURL: server.URL}, "a") {
			if !errors.Is(a.Err, test.err) {
				t.Errorf("%s: %v", name, a.Err)
			}
		}
	}
}
