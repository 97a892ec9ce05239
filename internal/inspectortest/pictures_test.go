package inspectortest

import (
	"context"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/endpointcache/endpointcache/examples/musicsdk"
	"github.com/endpointcache/endpointcache/examples/musicsdk/musicapi"
	"github.com/endpointcache/endpointcache/inspector"
	"github.com/endpointcache/endpointcache/prefetch"
)

var (
	pictures = flag.String("pictures", "", "the folder to make the pictures of the documentation in; use it with -run TestPictures -timeout 0")
	traffic  = flag.Duration("traffic", 10*time.Minute, "how long the cache is used before the pictures are made")
)

// TestPictures makes the pictures of the documentation, if it is told where.
func TestPictures(t *testing.T) {
	if *pictures == "" {
		t.Skip("it makes the pictures of the documentation: -pictures says where")
	}
	m := newMusic(t, 4*time.Millisecond, inspector.Options{AllowChanges: true})
	m.behind.Store(int64(6 * 24 * time.Hour)) // it was filled days ago
	m.fill(t.Context(), t, 400)
	m.behind.Store(0)
	ctx, cancel := context.WithTimeout(t.Context(), *traffic)
	defer cancel()
	m.use(ctx)
	entry := "entry?table=tracks&key=" + musicapi.TrackID(7) + "&key=DE"
	m.picture(t, "inspector-repositories", "", look{height: 420})
	m.picture(t, "inspector-list", "list?repository=tracks&name=Lantern*&order=used&descending=1", look{height: 640})
	m.picture(t, "inspector-entry", entry, look{height: 980})
	m.picture(t, "inspector-entry-dark", entry, look{height: 980, dark: true})
	m.picture(t, "inspector-phone", entry, look{width: 360, height: 760})
	running, stop := context.WithCancel(t.Context())
	prefetched := make(chan struct{})
	go func() {
		defer close(prefetched)
		_, _ = prefetch.Run(running, m.tracks, func(yield func(musicsdk.TrackKey) bool) {
			for i := 3000; i < 9000; i++ {
				time.Sleep(2 * time.Millisecond)
				if !yield(musicsdk.TrackKey{ID: musicapi.TrackID(i), Market: "DE"}) {
					return
				}
			}
		}, &prefetch.Options{Total: 6000})
	}()
	time.Sleep(6 * time.Second)
	m.picture(t, "inspector-live", "live", look{height: 1240})
	m.picture(t, "inspector-live-dark", "live", look{height: 1240, dark: true})
	stop()
	<-prefetched
}

func (m *music) picture(t *testing.T, name, page string, l look) {
	t.Helper()
	b := open(t, m.pages.URL, l)
	b.visit(page)
	must(t, os.WriteFile(filepath.Join(*pictures, name+".png"), get(b, chromedp.CaptureScreenshot()), 0o644))
}

// use asks for tracks as programs do: some often, and more at some times.
func (m *music) use(ctx context.Context) {
	popular := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.2, 20, 2999)
	began := time.Now()
	for ctx.Err() == nil {
		at := time.Since(began).Seconds()
		burst := 4 + int(3*(1+sine(at/90)))
		for range burst {
			_, _ = m.tracks.Fetch(ctx, musicsdk.TrackKey{ID: musicapi.TrackID(int(popular.Uint64())), Market: "DE"})
			_, _ = m.artists.Fetch(ctx, musicsdk.ArtistKey{ID: musicapi.ArtistID(int(popular.Uint64()) % 200)})
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func sine(x float64) float64 {
	x -= float64(int(x))
	return 4*x*(1-x)*2 - 1
}
