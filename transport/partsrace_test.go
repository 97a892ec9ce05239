package transport_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/sqlite"
)

// No byte of parts that come at once is lost or another's.
func TestPartsThatComeAtOnce(t *testing.T) {
	sqliteStore, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "parts.db"), nil)
	check(t, err)
	for name, store := range map[string]driver.Store{"memory": memoryStore(t), "sqlite": sqliteStore} {
		t.Run(name, func(t *testing.T) {
			h, o := startPartialOn(t, store, nil, fresh...)
			content := make([]byte, 64<<10)
			for i := range content {
				content[i] = byte(i * 7 >> 3)
			}
			o.content = string(content)
			const step = 4 << 10
			var group sync.WaitGroup
			for first := 0; first < len(content); first += step {
				group.Go(func() {
					resp, body := h.get("/a", "Range", fmt.Sprintf("bytes=%d-%d", first, first+step-1))
					if resp.StatusCode != 206 || body != o.content[first:first+step] {
						t.Errorf("from %d: %d, %d bytes", first, resp.StatusCode, len(body))
					}
				})
			}
			group.Wait()
			h.wantRequests(len(content) / step)
			h.wantWhole(o.content, true)
		})
	}
}

// A whole response whose request was sent before that of a part takes its place.
func TestAWholeThatComesAfterAPart(t *testing.T) {
	h, o := startPartial(t, nil, fresh...)
	whole := h.request("GET", "/a", "")
	begun, release := make(chan struct{}), make(chan struct{})
	slow := roundTripper(func(req *http.Request) (*http.Response, error) {
		if req.Header.Get("Range") == "" {
			close(begun)
			<-release
		}
		return h.base.RoundTrip(req)
	})
	h.transport = h.over(h.cache, slow)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, body := h.do(whole); body != digits {
			t.Errorf("%q", body)
		}
	}()
	<-begun
	h.clock.Advance(time.Second)
	h.wantPart("bytes=0-4", "01234", "bytes 0-4/10", false)
	close(release)
	<-done
	h.wantWhole(digits, true)
	o.wantAsked(t, "bytes=0-4", "")
}

// Whatever comes at once and from wherever, what a caller gets is of the version that its
// entity tag names, and of the range that it says.
func TestPartsAtRandom(t *testing.T) {
	h, o := startPartial(t, nil)
	h.clock.tick = time.Microsecond // what is known of one instant is of one version
	version := func(n int) string {
		return strings.Repeat(fmt.Sprintf("%d-%c,", n, 'a'+n), 2+n) // of different sizes, too
	}
	var current atomic.Int64
	o.says(func(w http.ResponseWriter, r *http.Request) bool {
		n := int(current.Load())
		w.Header().Set("Etag", fmt.Sprintf(`"%d"`, n))
		w.Header().Set("Cache-Control", fmt.Sprintf("max-age=%d", n%3))
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(version(n)))
		return true
	})
	doors := []door{h.transport, h.another(controlled())}
	ask := func(random *rand.Rand) {
		req := h.request("GET", "/a", "")
		if random.IntN(4) > 0 {
			first := random.IntN(12)
			req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", first, first+random.IntN(12)))
		}
		if random.IntN(8) == 0 {
			req.Header.Set("Cache-Control", "no-cache")
		}
		resp, err := doors[random.IntN(2)].RoundTrip(req)
		check(t, err)
		body, err := io.ReadAll(resp.Body)
		check(t, err)
		check(t, resp.Body.Close())
		var n, first, last, size int
		if _, err := fmt.Sscanf(resp.Header.Get("Etag"), `"%d"`, &n); err != nil && resp.StatusCode != 416 {
			t.Errorf("%d without a tag", resp.StatusCode)
			return
		}
		want := version(n)
		switch resp.StatusCode {
		case 416:
			return
		case 206:
			_, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &size)
			if err != nil || size != len(want) || last >= len(want) {
				t.Errorf("%s of version %d", resp.Header.Get("Content-Range"), n)
				return
			}
			want = want[first : last+1]
		}
		if string(body) != want {
			t.Errorf("%d %s of version %d: %q, want %q", resp.StatusCode, resp.Header.Get("Content-Range"), n, body, want)
		}
	}
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			for range 300 {
				ask(random)
				switch random.IntN(20) {
				case 0:
					current.Store(random.Int64N(9))
				case 1:
					h.clock.Advance(time.Second)
				}
			}
		})
	}
	group.Wait()
}

// A save writes all that is known: small parts do not have much written again and again.
func TestASmallPartIsNotAddedToMuch(t *testing.T) {
	h, o := startPartial(t, nil, fresh...)
	o.content = strings.Repeat(digits, 300<<10)
	get := func(first, last int) (isHit bool) {
		t.Helper()
		resp, body := h.get("/a", "Range", fmt.Sprintf("bytes=%d-%d", first, last))
		if resp.StatusCode != 206 || body != o.content[first:last+1] {
			t.Errorf("%d-%d: %d, %d bytes", first, last, resp.StatusCode, len(body))
		}
		return hit(resp)
	}
	const much, little = 2 << 20, 64 << 10
	get(0, much-1)
	for _, test := range []struct {
		size  int
		added bool
	}{{1, false}, {little - 1, false}, {little, true}} {
		get(much, much+test.size-1)
		if isHit := get(much, much+test.size-1); isHit != test.added {
			t.Errorf("%d bytes: kept is %v", test.size, isHit)
		}
		if !get(0, much-1) {
			t.Errorf("%d bytes: what was there is gone", test.size)
		}
	}
}
