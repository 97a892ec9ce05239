package bar

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/endpointcache/endpointcache/prefetch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBar(t *testing.T) {
	var out bytes.Buffer
	b := &bar{w: &out, name: "tracks"}
	expect := func(p prefetch.Progress, want ...string) {
		t.Helper()
		out.Reset()
		b.show(p)
		for _, text := range want {
			if !strings.Contains(out.String(), text) {
				t.Errorf("there is no %q in %q", text, out.String())
			}
		}
	}
	expect(prefetch.Progress{Done: 1, Cached: 1, Rate: 5, Left: prefetch.Unknown}, "tracks  1 cached, 0 fetched, 0 failed, 5/s", "1/-")
	expect(prefetch.Progress{Done: 2, Total: 4, Cached: 1, Fetched: 1, Rate: 10, Left: 2 * time.Second},
		"1 cached, 1 fetched, 0 failed, 10/s, 2s left", "50%", "(2/4)")
	// There are more than Options.Total said.
	expect(prefetch.Progress{Done: 5, Total: 4, Cached: 1, Fetched: 4, Rate: 10}, "100%", "(5/5)")
	expect(prefetch.Progress{Done: 6, Total: 8, Cached: 1, Fetched: 4, Absent: 1, Rate: 10}, "4 fetched, 1 absent, 0 failed", "75%", "(6/8)")
	expect(prefetch.Progress{Done: 7, Total: 8, Cached: 1, Fetched: 4, Absent: 1, Failed: 1, Cancelled: 1, Elapsed: 61 * time.Second, Ended: true},
		"1 failed in 1m1s", "(7/8)", "\n")
	if !strings.HasSuffix(out.String(), "\n") {
		t.Error("what follows is on the bar's line")
	}
}

func TestEmptyRun(t *testing.T) {
	var out bytes.Buffer
	(&bar{w: &out, name: "tracks"}).show(prefetch.Progress{Ended: true})
	if !strings.HasSuffix(out.String(), "\n") {
		t.Errorf("%q", out.String())
	}
}

func TestNothingIsShownElsewhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var out bytes.Buffer
	New(file, "tracks")(prefetch.Progress{Done: 1, Total: 1, Ended: true})
	New(&out, "tracks")(prefetch.Progress{Done: 1, Total: 1, Ended: true})
	text, err := os.ReadFile(path)
	if err != nil || len(text) > 0 || out.Len() > 0 {
		t.Errorf("%q and %q are shown, %v", text, &out, err)
	}
}
