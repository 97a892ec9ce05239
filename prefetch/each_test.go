package prefetch_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/internal/memuse"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

func TestEachTellsOfAllKeys(t *testing.T) {
	repo := tracksOf(t, byID)
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		switch path.Base(r.URL.Path) {
		case "gone":
			http.NotFound(w, r)
		case "forbidden":
			w.WriteHeader(http.StatusForbidden)
		default:
			serveTrack(w, r)
		}
	})
	if err := repo.Save(t.Context(), "there", track{}); err != nil {
		t.Fatal(err)
	}
	items := map[string]prefetch.Item[string]{}
	result, err := prefetch.Each(t.Context(), over(t, repo, to(t, fetch.Options{BaseURL: server.URL})), slices.Values([]string{"a", "gone", "there", "forbidden", "b", "a"}), nil,
		func(item prefetch.Item[string]) {
			if _, twice := items[item.Key]; twice {
				t.Errorf("%s is told of twice", item.Key)
			}
			items[item.Key] = item
		})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]prefetch.Status{
		"a": prefetch.Fetched, "b": prefetch.Fetched, "there": prefetch.Cached, "gone": prefetch.Absent, "forbidden": prefetch.Failed,
	} {
		if item := items[key]; item.Status != want || (item.Err != nil) != (want == prefetch.Failed) {
			t.Errorf("%s is %v, %v", key, item.Status, item.Err)
		}
	}
	if counts(result) != [3]int{1, 2, 1} || result.Absent != 1 || result.Items != nil || len(result.Causes) != 1 {
		t.Errorf("%+v", result)
	}
	if _, err := prefetch.Each(t.Context(), alone(t, repo), slices.Values([]string{"a"}), nil, nil); err == nil {
		t.Error("a nil function passes")
	}
}

func TestEachFindsLateDuplicatesInTheStore(t *testing.T) {
	repo := tracksOf(t, byID)
	server := newOrigin(t, nil)
	decided := make(chan string, 10)
	var keys iter.Seq[string] = func(yield func(string) bool) {
		for i := range 3 {
			if i == 2 {
				<-decided
			}
			if !yield("a") {
				return
			}
		}
	}
	var statuses []prefetch.Status
	result, err := prefetch.Each(t.Context(), over(t, repo, to(t, fetch.Options{BaseURL: server.URL})), keys, nil,
		func(item prefetch.Item[string]) {
			statuses = append(statuses, item.Status)
			decided <- item.Key
		})
	if err != nil || server.total() != 1 || counts(result) != [3]int{1, 1, 0} {
		t.Errorf("%+v after %d requests, %v", result, server.total(), err)
	}
	if !slices.Equal(statuses, []prefetch.Status{prefetch.Fetched, prefetch.Cached}) {
		t.Error(statuses)
	}
}

func TestEachTellsOfCancelledKeys(t *testing.T) {
	repo := tracksOf(t, byID)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if path.Base(r.URL.Path) == "t000020" {
			cancel()
			<-r.Context().Done()
			return
		}
		serveTrack(w, r)
	})
	told := map[prefetch.Status]int{}
	keys := map[string]bool{}
	result, err := prefetch.Each(ctx, over(t, repo, to(t, fetch.Options{BaseURL: server.URL})), slices.Values(numbered(0, 100)), nil,
		func(item prefetch.Item[string]) {
			told[item.Status]++
			keys[item.Key] = true
		})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if told[prefetch.Fetched] != result.Fetched || told[prefetch.Cancelled] != result.Cancelled || result.Cancelled < 50 || len(keys) != 100 {
		t.Errorf("told of %v, the result is %+v", told, result)
	}
}

// A run over many keys holds no more than those under way.
func TestEachNeedsBoundedMemory(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 20_000
	}
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "many.db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	repo, err := repository.New(t.Context(), store, settings.RepositorySettings[int, []byte]{
		Name:    "many",
		Batch:   request.BatchPattern[int]("/many?ids={id}", 500, payload.SplitArray(""), nil),
		Payload: payload.Bytes(),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		others := strings.Count(r.FormValue("ids"), ",")
		io.WriteString(w, `["an item"`+strings.Repeat(`, "an item"`, others)+`]`)
	})
	keys := func(yield func(int) bool) {
		for i := 0; i < n && yield(i); i++ {
		}
	}
	fetcher := over(t, repo, to(t, fetch.Options{BaseURL: server.URL}))
	before := memuse.Held()
	var told int
	var most int64
	result, err := prefetch.Each(t.Context(), fetcher, keys, nil, func(prefetch.Item[int]) {
		if told++; told%(n/10) == 0 {
			most = max(most, memuse.Held())
		}
	})
	// A machine that is busy elsewhere lets keys come slowly.
	if err != nil || told != n || result.Fetched != n || result.Requests > n/50 {
		t.Fatalf("told of %d: %v, %v", told, result, err)
	}
	if used := most - before; used > 48<<20 {
		t.Errorf("%d MiB were in use", used>>20)
	}
	result, err = prefetch.Each(t.Context(), fetcher, keys, nil, func(prefetch.Item[int]) {})
	if err != nil || result.Cached != n || result.Requests != 0 {
		t.Errorf("the second run: %v, %v", result, err)
	}
}
