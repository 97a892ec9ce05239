package doors

import (
	"context"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/internal/memuse"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// zeros answers each request with a body of that many bytes, and announces as many.
type zeros struct{ size, announced int64 }

func (z zeros) Do(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{}, Request: req, ContentLength: z.announced,
		Body: io.NopCloser(io.LimitReader(zero{}, z.size)),
	}, nil
}

type zero struct{}

func (zero) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// The typed doors take what the transport takes, see package transport, and the value.
func TestALargeBodyOfATypedDoorTakesLittleMemory(t *testing.T) {
	maxBody := int64(64 << 20)
	if testing.Short() {
		maxBody = 8 << 20
	}
	size := maxBody / 16 * 15
	for name, test := range map[string]struct {
		announced   int64
		get         func(ctx context.Context, f *fetch.Fetcher[string, []byte]) error
		value       int64   // what the caller gets
		total, peak float64 // of the body's size, and of the limit
	}{
		"fetch":                      {-1, fetchOne, size, 2.5, 1.5},
		"fetch of known length":      {size, fetchOne, size, 1.2, 1.2},
		"prefetch":                   {-1, prefetchOne, 0, 2.5, 1.5},
		"prefetch of a known length": {size, prefetchOne, 0, 1.2, 1.2},
	} {
		t.Run(name, func(t *testing.T) {
			store, err := sqlite.Open(t.Context(), t.TempDir()+"/cache.db", nil)
			check(t, err)
			c, err := cache.New(store, &cache.Options{MaxBody: maxBody})
			check(t, err)
			defer c.Close()
			client, err := fetch.NewClient(&fetch.Options{
				BaseURL: "http://localhost", Client: zeros{size, test.announced}, MaxBody: int(maxBody),
			})
			check(t, err)
			defer client.Close()
			f, err := fetch.Create(t.Context(), c, client, settings.RepositorySettings[string, []byte]{
				Name: "large", Pattern: "GET /large/{id}", Payload: payload.Bytes(),
			}, nil)
			check(t, err)
			allocated, inUse := memuse.Of(func() { check(t, test.get(t.Context(), f)) })
			if got := float64(allocated-test.value) / float64(size); got > test.total {
				t.Errorf("it costs %.2f times its size", got)
			}
			if got := float64(inUse-test.value) / float64(maxBody); got > test.peak {
				t.Errorf("at its peak it takes %.2f times the largest body", got)
			}
			if s := c.Stats(); s.Stored != 1 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func fetchOne(ctx context.Context, f *fetch.Fetcher[string, []byte]) error {
	_, err := f.Fetch(ctx, "a")
	return err
}

func prefetchOne(ctx context.Context, f *fetch.Fetcher[string, []byte]) error {
	_, err := prefetch.Run(ctx, f, slices.Values([]string{"a"}), nil)
	return err
}
