package restyfetch_test

import (
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/go-resty/resty/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

// A parameter or header that the client adds may make a request another key's.
func TestAnAnswerForAnotherKeyIsNone(t *testing.T) {
	server := newServer(t, nil)
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
		client  *resty.Client
		fetched []key
	}{
		"nothing is added":     {quick(t), []key{{ID: "a"}, {ID: "a", Market: "DE"}}},
		"a token":              {quick(t).SetAuthToken("mine"), []key{{ID: "a", User: mine}, {ID: "a", Market: "DE", User: mine}}},
		"a known parameter":    {quick(t).SetQueryParam("market", "US"), nil},
		"an unknown parameter": {quick(t).SetQueryParam("lang", "de"), nil},
	} {
		for _, s.Batch = range []request.Batch[key]{nil, batch} {
			t.Run(name, func(t *testing.T) {
				var keys, fetched []key
				for _, k := range []key{{}, {Market: "DE"}, {User: mine}, {Market: "DE", User: mine}, {User: "another's"}} {
					for _, k.ID = range []string{"a", "b"} {
						keys = append(keys, k)
					}
				}
				for i, a := range ask(t, sourceOf(t, at(server.URL, test.client), s), keys...) {
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
	server := newServer(t, nil)
	change := func(from, to string) *resty.Client {
		return quick(t).SetPreRequestHook(func(_ *resty.Client, r *http.Request) error {
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, from, to, 1)
			return nil
		})
	}
	for name, client := range map[string]*resty.Client{
		"another value":        change("=a", "=x"),
		"another name":         change("ids", "names"),
		"one more value":       quick(t).SetQueryParam("ids", "x"),
		"it is malformed":      change("=a", "=%zz"),
		"an unknown parameter": quick(t).SetQueryParam("lang", "de"),
	} {
		for _, a := range ask(t, sourceOf(t, at(server.URL, client), bodies(byID, batchOf(2))), "a", "b") {
			if a.Err == nil {
				t.Errorf("%s: there is an answer", name)
			}
		}
		if n := server.asked(); n != 1 {
			t.Errorf("%s: %d requests", name, n)
		}
	}
}

func TestErrorsTellNoSecrets(t *testing.T) {
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
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
	client := quick(t).SetQueryParam("key", "s3cret").SetRetryCount(1)
	s := bodies(
		request.Pattern[string]("/tracks/{id}", request.IgnoreQuery("token")),
		request.BatchPattern[string]("/tracks?ids={id}", 2, splitTracks, &request.BatchOptions{IgnoreQuery: []string{"token"}}),
	)
	for _, id := range []string{"abort", "loop", "forbidden", "nonsense"} {
		for _, keys := range [][]string{{id}, {id + "1", id + "2"}} {
			for _, a := range ask(t, sourceOf(t, at(base, client), s), keys...) {
				if a.Err == nil || strings.Contains(a.Err.Error(), "s3cret") || !strings.Contains(a.Err.Error(), server.URL+"/tracks") {
					t.Errorf("%s: %v", keys, a.Err)
				}
			}
		}
	}
}
