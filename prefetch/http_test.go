package prefetch_test

import (
	"bytes"
	"compress/gzip"
	"context"
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
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		io.WriteString(w, trackBody("error"))
	}
}

// The bodies would be JSON, if they were whole.
func cutShort(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", "1000")
	serveTrack(w, r)
}

func cutChunked(w http.ResponseWriter, r *http.Request) {
	serveTrack(w, r)
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func cutGzip(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Encoding", "gzip")
	zipped := zip(trackBody("a"))
	w.Write(zipped[:len(zipped)-8])
}

func zip(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, text)
	w.Close()
	return b.Bytes()
}

func TestCutBodiesAreNeverSaved(t *testing.T) {
	for name, cut := range map[string]http.HandlerFunc{"short": cutShort, "chunked": cutChunked, "gzip": cutGzip} {
		t.Run(name, func(t *testing.T) {
			repo := tracksOf(t, byID)
			server := newOrigin(t, cut)
			result := run(t, over(t, repo, to(t, fetch.Options{BaseURL: server.URL, Client: quick(t), Retry: retries(1)})), nil, "a", "b")
			if result.Failed != 2 || !errors.Is(result.Items[0].Err, io.ErrUnexpectedEOF) {
				t.Error(result.Items)
			}
			if n, err := repo.Count(t.Context(), repository.All); n != 0 || err != nil {
				t.Errorf("%d were saved, %v", n, err)
			}
			if n := server.total(); n != 4 {
				t.Errorf("%d attempts, want 4", n)
			}
		})
	}
}

func TestHeadersAndStatusAreKept(t *testing.T) {
	repo := tracksOf(t, byID)
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		w.Header()["X-Many"] = []string{"a", "b"}
		w.Header().Set("Set-Cookie", "session=1")
		serveTrack(w, r)
	})
	run(t, over(t, repo, to(t, fetch.Options{BaseURL: server.URL})), nil, "a")
	e, ok, err := repo.GetEntry(t.Context(), "a")
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	header, err := e.Header()
	if err != nil {
		t.Fatal(err)
	}
	header.Del("Date")
	want := http.Header{
		"Content-Type": {"application/json"}, "Etag": {`"1"`}, "X-Many": {"a", "b"}, "Content-Length": {"31"},
	}
	if diff := cmp.Diff(want, header); diff != "" {
		t.Error(diff)
	}
	if e.Status != 200 || e.Name != "Title of a" {
		t.Errorf("status %d, name %q", e.Status, e.Name)
	}
}

func TestBodiesAreKeptByteForByte(t *testing.T) {
	repo := repositoryOf[string, []byte](t, byID)
	body := make([]byte, 70_000)
	for i := range body {
		body[i] = byte(i * 7)
	}
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		switch path.Base(r.URL.Path) {
		case "empty":
		case "other":
			w.Header().Set("Content-Encoding", "br")
			fallthrough
		default:
			w.Write(body)
		}
	})
	result, err := prefetch.Run(t.Context(), over(t, repo, to(t, fetch.Options{BaseURL: server.URL})), slices.Values([]string{"a", "empty", "other"}), nil)
	if err != nil || result.Fetched != 3 {
		t.Fatal(result, err)
	}
	got, err := repo.GetMany(t.Context(), []string{"a", "empty", "other"})
	if err != nil || !bytes.Equal(got["a"], body) || !bytes.Equal(got["other"], body) || len(got["empty"]) != 0 {
		t.Error("bodies differ", err)
	}
}

func TestRedirectIsSavedUnderTheKeyAskedFor(t *testing.T) {
	repo := tracksOf(t, byID)
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if path.Base(r.URL.Path) == "old" {
			http.Redirect(w, r, "/tracks/new", http.StatusMovedPermanently)
			return
		}
		serveTrack(w, r)
	})
	run(t, over(t, repo, to(t, fetch.Options{BaseURL: server.URL})), nil, "old")
	if got, _, err := repo.Get(t.Context(), "old"); err != nil || got.ID != "new" {
		t.Error(got, err)
	}
	if ok, _ := repo.Contains(t.Context(), "new"); ok {
		t.Error("it is saved under the other key, too")
	}

	mistake := errors.New("it has moved")
	client := quick(t)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return mistake }
	result := run(t, over(t, repo, to(t, fetch.Options{BaseURL: server.URL, Client: client})), &prefetch.Options{Refresh: true}, "old")
	var err *fetch.StatusError
	if result.Failed != 1 || !errors.As(result.Items[0].Err, &err) || err.Code != 301 || !errors.Is(err, mistake) {
		t.Error(result.Items)
	}
}

func TestErrorsTellNoSecrets(t *testing.T) {
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		switch path.Base(r.URL.Path) {
		case "abort":
			panic(http.ErrAbortHandler)
		case "loop":
			http.Redirect(w, r, r.RequestURI, http.StatusFound)
		default:
			w.WriteHeader(http.StatusForbidden)
		}
	})
	endpoint := request.Pattern[string]("/tracks/{id}", request.IgnoreQuery("token"))
	base := strings.Replace(server.URL, "http://", "http://me:s3cret@", 1) + "?token=s3cret"
	client := addingQuery(t, "key", "s3cret")
	result := run(t, over(t, tracksOf(t, endpoint), to(t, fetch.Options{BaseURL: base, Client: client, Retry: retries(1)})), nil, "abort", "loop", "forbidden")
	if result.Failed != 3 {
		t.Fatal(result.Items)
	}
	for key, err := range result.Failures() {
		if strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), server.URL+"/tracks/"+key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestRequestThatCannotBeBuilt(t *testing.T) {
	server := newOrigin(t, nil)
	result := run(t, over(t, tracksOf(t, byID), to(t, fetch.Options{BaseURL: server.URL})), nil, "..", "a", "")
	if counts(result) != [3]int{0, 1, 2} {
		t.Error(result.Items)
	}
}

// A parameter or header that the client adds may make a request another key's.
func TestAnAnswerForAnotherKeyIsNotSaved(t *testing.T) {
	server := newOrigin(t, serveTrack)
	type key struct {
		ID     string `path:"id"`
		Market string `query:"market"`
		User   string `header:"Authorization,hash"`
	}
	store, err := sqlite.OpenMemory(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	repo, err := repository.New(t.Context(), store, settings.RepositorySettings[key, string]{
		Name: "tracks", Endpoint: request.Pattern[key]("GET api.example.com/tracks/{id}"), Payload: payload.String(),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	mine := request.HeaderHash("Bearer mine")
	token := changed(t, func(req *http.Request) error {
		req.Header.Set("Authorization", "Bearer mine")
		return nil
	})
	for name, test := range map[string]struct {
		client  fetch.Doer
		fetched []key
	}{
		"nothing is added":     {quick(t), []key{{ID: "a"}, {ID: "a", Market: "DE"}}},
		"a token":              {token, []key{{ID: "a", User: mine}, {ID: "a", Market: "DE", User: mine}}},
		"a known parameter":    {addingQuery(t, "market", "US"), nil},
		"an unknown parameter": {addingQuery(t, "lang", "de"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			keys := []key{{ID: "a"}, {ID: "a", Market: "DE"}, {ID: "a", User: mine}, {ID: "a", Market: "DE", User: mine}, {ID: "a", User: "another's"}}
			result, err := prefetch.Run(t.Context(), over(t, repo, to(t, fetch.Options{BaseURL: server.URL, Client: test.client})), slices.Values(keys), &prefetch.Options{Refresh: true})
			if err != nil {
				t.Fatal(err)
			}
			var fetched []key
			for _, item := range result.Items {
				if item.Status == prefetch.Fetched {
					fetched = append(fetched, item.Key)
				}
			}
			if diff := cmp.Diff(test.fetched, fetched); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMaxFailuresCountsWhatCannotBeDecoded(t *testing.T) {
	server := newOrigin(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>log in") })
	store, err := sqlite.OpenMemory(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	repo, err := repository.New(t.Context(), store, settings.RepositorySettings[int, any]{
		Name: "tracks", Endpoint: request.Pattern[int]("GET /tracks/{id}"), Payload: payload.JSON[any](),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	endless := func(yield func(int) bool) {
		for i := 0; yield(i); i++ {
		}
	}
	result, err := prefetch.Run(t.Context(), over(t, repo, to(t, fetch.Options{BaseURL: server.URL})), endless, &prefetch.Options{MaxFailures: 5})
	if !errors.Is(err, prefetch.ErrMaxFailures) || result.Failed < 5 {
		t.Errorf("%d failed, %v", result.Failed, err)
	}
}

// A panic of the user's code is Run's.
func TestAPanicIsTheCallers(t *testing.T) {
	server := newOrigin(t, serveTrack)
	store, err := sqlite.OpenMemory(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	own := to(t, fetch.Options{BaseURL: server.URL})
	broken := changed(t, func(*http.Request) error { panic("oops") })
	for name, client := range map[string]*fetch.Client{
		"the client": to(t, fetch.Options{BaseURL: server.URL, Client: broken}),
		"a name":     own,
		"progress":   own,
		"an item":    own,
		"a group":    own,
	} {
		t.Run(name, func(t *testing.T) {
			s := settings.RepositorySettings[int, string]{
				Name: name, Endpoint: request.Pattern[int]("GET /tracks/{id}"), Payload: payload.String(),
			}
			opts := &prefetch.Options{}
			if name == "progress" {
				opts.Progress = func(prefetch.Progress) { panic("oops") }
			}
			if name == "a name" {
				s.NameOf = func(string) string { panic("oops") }
			}
			if name == "a group" {
				s.Batch = request.BatchFunc(request.BatchFuncs[int]{
					MaxKeys: 10, Together: func(int) (any, bool) { panic("oops") },
					Build: func(context.Context, *url.URL, []int) (*http.Request, error) { return nil, nil },
					Take:  func([]byte, []int) ([][]byte, error) { return nil, nil },
				})
			}
			repo, err := repository.New(t.Context(), store, s, nil)
			if err != nil {
				t.Fatal(err)
			}
			fetcher := over(t, repo, client)
			defer func() {
				if p := recover(); p != "oops" {
					t.Errorf("recovered %v", p)
				}
			}()
			if name == "an item" {
				_, err = prefetch.Each(t.Context(), fetcher, slices.Values(numbers(500)), opts, func(prefetch.Item[int]) { panic("oops") })
			} else {
				_, err = prefetch.Run(t.Context(), fetcher, slices.Values(numbers(500)), opts)
			}
			t.Errorf("no panic, %v", err)
		})
	}
}

func numbers(n int) []int {
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i
	}
	return numbers
}
