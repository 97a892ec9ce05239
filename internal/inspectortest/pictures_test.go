package inspectortest

import (
	"bytes"
	"context"
	"flag"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/endpointcache/endpointcache/examples/musicsdk"
	"github.com/endpointcache/endpointcache/examples/musicsdk/musicapi"
	"github.com/endpointcache/endpointcache/inspector"
	"github.com/endpointcache/endpointcache/policy"
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
	m := newMusic(t, 4*time.Millisecond, policy.Policy{StaleWhileRevalidate: 48 * time.Hour, StaleIfError: 96 * time.Hour}, inspector.Options{AllowChanges: true})
	m.behind.Store(int64(6 * 24 * time.Hour)) // it was filled days ago
	m.fill(t.Context(), t, 400)
	m.behind.Store(0)
	running, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer stop()
	group.Go(func() { m.use(running) })
	time.Sleep(*traffic)
	entry := "entry?table=tracks&key=" + musicapi.TrackID(7) + "&key=DE"
	m.picture(t, "inspector-list", "list?repository=tracks&name=Lantern*&order=used&descending=1", look{height: 640})
	m.picture(t, "inspector-entry", entry, look{height: 980})
	m.picture(t, "inspector-entry-dark", entry, look{height: 980, dark: true})
	m.picture(t, "inspector-phone", entry, look{width: 360, height: 760})
	group.Go(func() {
		_, _ = prefetch.Run(running, m.albums, func(yield func(musicsdk.AlbumKey) bool) {
			for i := range 1000 {
				time.Sleep(20 * time.Millisecond)
				if !yield(musicsdk.AlbumKey{ID: musicapi.AlbumID(i)}) {
					return
				}
			}
		}, &prefetch.Options{Total: 1000})
	})
	time.Sleep(12 * time.Second)
	m.picture(t, "inspector-live", "live", look{height: 1240})
	m.picture(t, "inspector-live-dark", "live", look{height: 1240, dark: true})
}

func (m *music) picture(t *testing.T, name, page string, l look) {
	t.Helper()
	b := open(t, m.pages.URL, l)
	b.visit(page)
	shot, err := png.Decode(bytes.NewReader(get(b, chromedp.CaptureScreenshot())))
	must(t, err)
	var out bytes.Buffer
	must(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, fewColours(shot)))
	must(t, os.WriteFile(filepath.Join(*pictures, name+".png"), out.Bytes(), 0o644))
}

// fewColours is a picture with its 256 most frequent colours, and the nearest of them for others: a third of
// the size.
func fewColours(img image.Image) image.Image {
	count := make(map[color.RGBA]int)
	bounds := img.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			count[color.RGBAModel.Convert(img.At(x, y)).(color.RGBA)]++
		}
	}
	frequent := slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int { return count[b] - count[a] })
	var palette color.Palette
	for _, c := range frequent[:min(256, len(frequent))] {
		palette = append(palette, c)
	}
	out := image.NewPaletted(bounds, palette)
	draw.Draw(out, bounds, img, bounds.Min, draw.Src)
	return out
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
