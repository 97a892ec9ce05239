package store_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/testserver/places"
	"github.com/endpointcache/endpointcache/internal/tracktest"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/store"
	"github.com/endpointcache/endpointcache/transport"
)

// damaged is a cache whose entries are damaged past its store.
type damaged struct {
	kind, url, name string
	cache           *cache.ResponseCache
	client          *http.Client
	requests        int
	warnings        atomic.Int64
}

type trackKey struct {
	ID string `path:"id"`
}

// count is where the warnings of the cache go.
type count struct{ n *atomic.Int64 }

func (c count) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "damaged") {
		c.n.Add(1)
	}
	return len(p), nil
}

// openDamaged opens a cache on a store of that kind, which wrap may change.
func openDamaged(t *testing.T, kind string, wrap func(driver.Store) driver.Store) *damaged {
	t.Helper()
	d := &damaged{kind: kind, name: tracktest.NewName()}
	d.url = places.Lasting[kind](t, d.name)
	s, err := store.Open(t.Context(), d.url, &store.Options{Name: d.name})
	check(t, err)
	d.cache, err = cache.New(wrap(s), &cache.Options{Logger: slog.New(slog.NewTextHandler(count{&d.warnings}, nil))})
	check(t, err)
	t.Cleanup(func() { check(t, d.cache.Close()) })
	_, err = cache.CreateRepository(t.Context(), d.cache, settings.RepositorySettings[trackKey, []byte]{
		Name: "tracks", Pattern: "GET /tracks/{id}", Payload: payload.Bytes(), NameOf: func([]byte) string { return "name-a" },
	})
	check(t, err)
	d.client = &http.Client{Transport: transport.New(d.cache, &transport.Options{Base: roundTripper(d.answer)})}
	return d
}

func (d *damaged) answer(req *http.Request) (*http.Response, error) {
	d.requests++
	body := fmt.Sprintf("payload-a %d", d.requests)
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"X-Part": {"header-a"}}, Request: req,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}, nil
}

func (d *damaged) ask(t *testing.T, id string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.test/tracks/"+id, nil)
	check(t, err)
	resp, err := d.client.Do(req)
	check(t, err)
	body, err := io.ReadAll(resp.Body)
	check(t, err)
	check(t, resp.Body.Close())
	return fmt.Sprint(resp.StatusCode, resp.Header.Get("X-Part"), string(body))
}

// finds reports what is wrong with how damage to a part is found and mended.
func (d *damaged) finds(t *testing.T, part places.Part) error {
	t.Helper()
	id := strings.ReplaceAll(string(part), "_", "-")
	first := d.ask(t, id)
	if again := d.ask(t, id); again != first {
		return fmt.Errorf("%q comes after %q", again, first)
	}
	places.Damage(t, d.kind, d.url, d.name, id, part)
	second := d.ask(t, id)
	if second != fmt.Sprintf("200header-apayload-a %d", d.requests) || second == first {
		return fmt.Errorf("damaged, it is %q", second)
	}
	if third := d.ask(t, id); third != second {
		return fmt.Errorf("after %q comes %q: it was not replaced", second, third)
	}
	return nil
}

func same(s driver.Store) driver.Store { return s }

func TestDamageIsFoundOnEveryStore(t *testing.T) {
	for kind := range places.Lasting {
		t.Run(kind, func(t *testing.T) {
			d := openDamaged(t, kind, same)
			for _, part := range places.Parts {
				if err := d.finds(t, part); err != nil {
					t.Errorf("%s: %v", part, err)
				}
			}
			if kind == "filesystem" {
				return // it finds damage by itself, and tells its own logger
			}
			if n := d.cache.Stats().Damaged; n != int64(len(places.Parts)) {
				t.Errorf("%d entries are counted", n)
			}
			if n := d.warnings.Load(); n != 1 {
				t.Errorf("it was told %d times", n)
			}
		})
	}
}

// What another program has written of another type is damage, and no operation ends at it.
func TestValuesOfOtherTypesAreDamage(t *testing.T) {
	for kind := range places.Lasting {
		t.Run(kind, func(t *testing.T) {
			d := openDamaged(t, kind, same)
			before := make(map[string]string)
			for _, part := range places.Parts {
				id := strings.ReplaceAll(string(part), "_", "-")
				before[id] = d.ask(t, id)
				if !places.Mistype(t, d.kind, d.url, d.name, id, part) {
					t.Skip("it keeps no values of other types")
				}
			}
			d.ask(t, "right")
			contents := d.cache.Contents()
			read, faults := 0, 0
			for f, err := range contents.Verify(t.Context(), cache.Query{}, func(cache.Stored) { read++ }) {
				check(t, err)
				if faults++; !f.Damage || len(f.Key) != 1 || f.Key[0].Value == "right" {
					t.Errorf("%v: %v", f.Key, f.Err)
				}
			}
			if read != len(places.Parts)+1 || faults != len(places.Parts) {
				t.Errorf("of %d, %d are damaged", read, faults)
			}
			for _, order := range []cache.Order{cache.ByKey, cache.ByName, cache.ByCached, cache.ByUsed, cache.ByExpiry, cache.BySize} {
				for _, desc := range []bool{false, true} {
					listed := 0
					for l := (cache.Listing{Order: order, Descending: desc, Limit: 2}); ; listed += l.Limit {
						page, err := contents.List(t.Context(), l)
						check(t, err)
						if l.After = page.Next; l.After == "" {
							break
						}
						if listed > 20 {
							t.Fatalf("a listing in order %v does not end", order)
						}
					}
				}
			}
			_, err := contents.Summaries(t.Context())
			check(t, err)
			_, err = contents.Size(t.Context())
			check(t, err)
			for id, first := range before {
				second := d.ask(t, id)
				if second == first || second != fmt.Sprintf("200header-apayload-a %d", d.requests) {
					t.Errorf("%s: damaged, it is %q", id, second)
				}
				if third := d.ask(t, id); third != second {
					t.Errorf("%s: after %q comes %q: it was not replaced", id, second, third)
				}
			}
			if n, err := contents.Delete(t.Context(), cache.Query{}); err != nil || n != len(places.Parts)+1 {
				t.Errorf("%d are deleted, %v", n, err)
			}
		})
	}
}

// trusted is a store that says that it needs no checksums.
type trusted struct{ driver.Store }

func (s trusted) Traits() driver.Traits {
	traits := s.Store.Traits()
	traits.Intact = true
	return traits
}

func TestDamageIsNotFoundWithoutChecksums(t *testing.T) {
	d := openDamaged(t, "sqlite", func(s driver.Store) driver.Store { return trusted{s} })
	for _, part := range []places.Part{places.Payload, places.Header, places.Status} {
		if err := d.finds(t, part); err == nil {
			t.Errorf("%s: the test finds what nobody has looked for", part)
		}
	}
}
