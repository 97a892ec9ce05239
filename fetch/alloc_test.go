//go:build !race

package fetch_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/sqlite"
)

// A hit costs hardly more than a Get of the repository. The race detector lets pools forget
// what they hold.
func TestAllocationsOfAHit(t *testing.T) {
	onDisk, err := sqlite.OpenMemory(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { onDisk.Close() })
	for name, store := range map[string]driver.Store{"memory": inMemory(t), "sqlite": onDisk} {
		t.Run(name, func(t *testing.T) {
			c := clientOf(t, fetch.Options{BaseURL: "http://localhost"})
			e, err := fetch.New(c, repositoryIn(t, store, plain(byID)), nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Repository().Save(t.Context(), "a", []byte("body")); err != nil {
				t.Fatal(err)
			}
			ctx := t.Context()
			get := testing.AllocsPerRun(200, func() {
				if _, ok, err := e.Repository().Get(ctx, "a"); !ok || err != nil {
					t.Fatal(ok, err)
				}
			})
			hit := testing.AllocsPerRun(200, func() {
				if _, err := e.Fetch(ctx, "a"); err != nil {
					t.Fatal(err)
				}
			})
			if hit > get+2 {
				t.Errorf("a Get takes %v allocations, a Fetch %v", get, hit)
			}
		})
	}
}

// frugalDoer has one response, and allocates nothing else.
type frugalDoer struct {
	resp http.Response
	body bytes.Reader
}

func (d *frugalDoer) Do(req *http.Request) (*http.Response, error) {
	d.body.Reset([]byte("body"))
	d.resp = http.Response{
		StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(&d.body), ContentLength: 4,
		Request: req, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	return &d.resp, nil
}

// missing is a fetcher that asks the origin for each value, without a network.
func missing(t testing.TB) *fetch.Fetcher[string, []byte] {
	s := plain(byID)
	s.Policy = policy.Policy{Use: policy.Reload}
	c := clientOf(t, fetch.Options{BaseURL: "http://localhost", Client: &frugalDoer{}})
	e, err := fetch.New(c, repositoryOf(t, s), nil)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// About half of them are those of the request, of the store and of the client.
func TestAllocationsOfAMiss(t *testing.T) {
	e, ctx := missing(t), t.Context()
	miss := testing.AllocsPerRun(200, func() {
		if _, err := e.Fetch(ctx, "a"); err != nil {
			t.Fatal(err)
		}
	})
	if miss > 58 {
		t.Errorf("a miss takes %v allocations", miss)
	}
}

func BenchmarkMissWithoutANetwork(b *testing.B) {
	e, ctx := missing(b), b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Fetch(ctx, "a"); err != nil {
			b.Fatal(err)
		}
	}
}
