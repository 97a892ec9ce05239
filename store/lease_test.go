package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/testserver/places"
	"github.com/endpointcache/endpointcache/internal/tracktest"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/store"
	"github.com/endpointcache/endpointcache/transport"
)

// member is one process of a fleet that shares a store.
type member struct {
	URL, Name, Origin string // of the store, its name, and the origin
	Door              string
	Keys, Callers     int
	Lease             time.Duration
}

const memberVariable = "ENDPOINTCACHE_TEST_MEMBER"

func TestMain(m *testing.M) {
	if text := os.Getenv(memberVariable); text != "" {
		var one member
		err := json.Unmarshal([]byte(text), &one)
		if err == nil {
			err = one.run(context.Background())
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// run asks for the keys by a door.
func (m *member) run(ctx context.Context) (err error) {
	exchange.DefaultStoreTimeout = waitfor.Limit
	opened, err := store.Open(ctx, m.URL, &store.Options{Name: m.Name})
	if err != nil {
		return err
	}
	c, err := cache.New(opened, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	declared := settings.RepositorySettings[string, json.RawMessage]{
		Name: "tracks", Endpoint: request.Pattern[string]("/tracks/{id}"), Payload: payload.JSON[json.RawMessage](),
		Policy: policy.Policy{Lease: m.Lease, StaleWhileRevalidate: time.Hour},
	}
	if m.Door == "batches" {
		declared.Batch = request.BatchPattern[string]("/tracks?ids={id}", 25, payload.SplitArray(""), nil)
	}
	repo, err := cache.CreateRepository(ctx, c, declared)
	if err != nil {
		return err
	}
	client, err := fetch.NewClient(&fetch.Options{BaseURL: m.Origin})
	if err != nil {
		return err
	}
	defer client.Close()
	fetcher, err := fetch.New(client, repo, &fetch.FetcherOptions{Concurrency: m.Keys})
	if err != nil {
		return err
	}
	keys := make([]string, m.Keys)
	for i := range keys {
		keys[i] = fmt.Sprint("key-", i)
	}
	if err := get(http.DefaultClient, m.Origin+"/ready"); err != nil {
		return err
	}
	var wait sync.WaitGroup
	errs := make([]error, m.Callers)
	for i := range errs {
		wait.Go(func() { errs[i] = m.ask(ctx, c, fetcher, keys) })
	}
	wait.Wait()
	return errors.Join(errs...)
}

func get(client *http.Client, url string) error {
	resp, err := client.Get(url) //nolint:noctx // the process is killed if it takes too long
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return err
}

func (m *member) ask(ctx context.Context, c *cache.ResponseCache, fetcher *fetch.Fetcher[string, json.RawMessage], keys []string) error {
	switch m.Door {
	case "Fetch":
		for _, key := range keys {
			if _, err := fetcher.Fetch(ctx, key); err != nil {
				return err
			}
		}
		return nil
	case "FetchMany", "batches":
		results, err := fetcher.FetchMany(ctx, keys)
		for _, r := range results {
			err = errors.Join(err, r.Err)
		}
		return err
	case "prefetch":
		result, err := prefetch.Run(ctx, fetcher, slices.Values(keys), nil)
		if err == nil && result.Cached+result.Fetched != len(keys) {
			err = fmt.Errorf("the run has ended with %s", result.Report())
		}
		return err
	default:
		for _, key := range keys {
			if err := get(&http.Client{Transport: transport.New(c, nil)}, m.Origin+"/tracks/"+key); err != nil {
				return err
			}
		}
		return nil
	}
}

// crew is a number of processes and the origin that they share.
type crew struct {
	member
	server *httptest.Server

	mu       sync.Mutex
	requests map[string]int
	ready    int           // processes that are about to ask
	size     int           // how many there are to be before any does
	all      chan struct{} // closed when they are
	answer   func(w http.ResponseWriter, r *http.Request, nth int)
}

// newCrew makes one of so many processes; configure may change it before it is used.
func newCrew(t *testing.T, kind, door string, size int, configure func(*crew)) *crew {
	t.Helper()
	name := tracktest.NewName()
	f := &crew{
		member:   member{URL: places.Lasting[kind](t, name), Name: name, Door: door, Keys: 1, Callers: 100, Lease: 2 * time.Second},
		requests: make(map[string]int), size: size, all: make(chan struct{}),
		answer: func(w http.ResponseWriter, r *http.Request, _ int) { tracks(w, r) },
	}
	configure(f)
	f.server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.server.Close)
	f.Origin = f.server.URL
	return f
}

func (f *crew) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/ready" {
		f.mu.Lock()
		if f.ready++; f.ready == f.size {
			close(f.all)
		}
		f.mu.Unlock()
		<-f.all
		return
	}
	f.answer(w, r, f.count(r))
}

// count counts the keys that a request asks for, and returns how often the first one was.
func (f *crew) count(r *http.Request) (nth int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ids := []string{path.Base(r.URL.Path)}
	if r.URL.Query().Has("ids") {
		ids = strings.Split(r.URL.Query().Get("ids"), ",")
	}
	for _, id := range ids {
		f.requests[id]++
	}
	return f.requests[ids[0]]
}

// tracks writes what is asked for.
func tracks(w http.ResponseWriter, r *http.Request) {
	if ids := r.URL.Query().Get("ids"); ids != "" {
		fmt.Fprintf(w, "[{}%s]", strings.Repeat(",{}", strings.Count(ids, ",")))
		return
	}
	fmt.Fprint(w, "{}")
}

// moreThan are the keys that were asked for more often than most, and how many requests there
// were in all.
func (f *crew) moreThan(most int) (keys []string, total int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, n := range f.requests {
		total += n
		if n > most {
			keys = append(keys, fmt.Sprintf("%s %d times", key, n))
		}
	}
	return keys, total
}

// process is one of the fleet.
type process struct {
	*exec.Cmd
	ended  chan error
	stderr strings.Builder
}

func (f *crew) start(t *testing.T, m member) *process {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.Command(program), ended: make(chan error, 1)}
	p.Env = append(os.Environ(), memberVariable+"="+string(text))
	p.Stderr = &p.stderr
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- p.Wait() }()
	t.Cleanup(func() { _ = p.Process.Kill() })
	return p
}

func (p *process) end(t *testing.T) {
	t.Helper()
	select {
	case err := <-p.ended:
		if err != nil {
			t.Errorf("a process has failed: %v\n%s", err, p.stderr.String())
		}
	case <-time.After(waitfor.Limit):
		t.Error("a process hangs")
	}
}

// strict are the stores on which of several processes one puts an entry.
var strict = []string{"sqlite", "postgres", "redis", "filesystem"}

// Whatever the door, the origin is asked once for a key that many callers of many processes
// want at once.
func TestAFleetAsksOnce(t *testing.T) {
	for _, kind := range strict {
		for _, door := range []string{"Fetch", "RoundTrip", "FetchMany", "batches", "prefetch"} {
			if testing.Short() && door != "Fetch" && kind != "redis" {
				continue
			}
			t.Run(kind+" "+door, func(t *testing.T) {
				f := newCrew(t, kind, door, 8, func(f *crew) {
					f.Lease = time.Minute // nobody is killed, however long a process has to wait for its turn
					if door != "Fetch" && door != "RoundTrip" {
						f.Keys, f.Callers = 60, 2
					}
				})
				var processes []*process
				for range f.size {
					processes = append(processes, f.start(t, f.member))
				}
				for _, p := range processes {
					p.end(t)
				}
				if twice, total := f.moreThan(1); len(twice) > 0 || total != f.Keys {
					t.Errorf("%d requests for %d keys: %v", total, f.Keys, twice)
				}
			})
		}
	}
}

// When the process that asks is killed, another one does, and all have an answer.
func TestAFleetGoesOnWhenTheProcessThatAsksIsKilled(t *testing.T) {
	for _, kind := range strict {
		for _, door := range []string{"Fetch", "batches"} {
			if testing.Short() && kind != "redis" {
				continue
			}
			t.Run(kind+" "+door, func(t *testing.T) {
				asked := make(chan struct{})
				f := newCrew(t, kind, door, 1, func(f *crew) {
					f.Callers = 10
					if door == "batches" {
						f.Keys, f.Callers = 50, 2
					}
					f.answer = func(w http.ResponseWriter, r *http.Request, nth int) {
						if nth > 1 {
							tracks(w, r)
							return
						}
						if _, total := f.moreThan(1); total == f.Keys {
							close(asked)
						}
						<-r.Context().Done() // until it is killed
					}
				})
				holder := f.start(t, f.member)
				<-asked
				f.mu.Lock()
				f.ready, f.size, f.all = 0, 4, make(chan struct{})
				f.mu.Unlock()
				var others []*process
				for range f.size {
					others = append(others, f.start(t, f.member))
				}
				<-f.all
				if err := holder.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				<-holder.ended
				for _, p := range others {
					p.end(t)
				}
				if more, total := f.moreThan(2); len(more) > 0 || total != 2*f.Keys {
					t.Errorf("%d requests for %d keys: %v", total, f.Keys, more)
				}
			})
		}
	}
}
