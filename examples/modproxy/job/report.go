package job

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/prefetch/bar"
)

// introduce tells what the job works with.
func (j *job) introduce(versions int) {
	fmt.Fprintf(j.stderr, "%s requires %d modules\n", fromHere(j.goMod), versions)
	if j.local != nil {
		fmt.Fprintf(j.stderr, "serving this machine's module download cache on %s\n", j.local.url)
	} else {
		fmt.Fprintf(j.stderr, "fetching from %s\n", j.proxy.Redacted())
	}
}

// fromHere is the path as seen from the working folder, where it has one.
func fromHere(path string) string {
	working, err := os.Getwd()
	if err != nil {
		return path
	}
	if relative, err := filepath.Rel(working, path); err == nil {
		return relative
	}
	return path
}

// newProgress shows how far a run is: a bar on a terminal, lines elsewhere.
func newProgress(w io.Writer, name string) func(prefetch.Progress) {
	if bar.IsTerminal(w) {
		return bar.New(w, name)
	}
	return newLines(w, name, time.Second)
}

// newLines writes a line at most once in a while, and one at the end. A key that a
// 304 has confirmed counts as fetched.
func newLines(w io.Writer, name string, every time.Duration) func(prefetch.Progress) {
	shown := time.Now()
	return func(p prefetch.Progress) {
		if !p.Ended && time.Since(shown) < every {
			return
		}
		fmt.Fprintf(w, "%s: %d of %d keys: %d cached, %d fetched, %d absent, %d failed\n",
			name, p.Done, p.Total, p.Cached, p.Fetched+p.Confirmed, p.Absent, p.Failed)
		shown = time.Now()
	}
}

// maxFailures is how many failures of a repository are shown without -v.
const maxFailures = 10

// showItems tells which keys have no response and why, and of all keys if it is to
// be verbose.
func showItems[K comparable](w io.Writer, name string, result *prefetch.Result[K], verbose bool) {
	failures := 0
	for _, item := range result.Items {
		switch {
		case item.Status == prefetch.Failed || item.Status == prefetch.Absent:
			if failures++; !verbose && failures > maxFailures {
				break
			}
			fmt.Fprintf(w, "%s %v: %v", name, item.Key, item.Status)
			if item.Err != nil {
				fmt.Fprintf(w, ": %v", item.Err)
			}
			fmt.Fprintln(w)
		case verbose:
			fmt.Fprintf(w, "%s %v: %v\n", name, item.Key, item.Status)
		}
	}
	if !verbose && failures > maxFailures {
		fmt.Fprintf(w, "%s: %d more are absent or failed, which -v shows\n", name, failures-maxFailures)
	}
}

// row is what became of a repository.
type row struct {
	name                                  string
	rows, live                            int // in the table now
	keys, cached, fetched, absent, failed int // in this run
	bytes                                 int64
	elapsed                               time.Duration
}

// report prints a table of the repositories and the total. It returns how many
// keys are absent or failed.
func (j *job) report(w io.Writer) (missing int) {
	if j.leftOut > 0 {
		fmt.Fprintf(j.stderr, "left out %d keys that the module download cache does not have, as a build downloads only what it needs; "+
			"a proxy that -proxy names may have them\n", j.leftOut)
	}
	var total row
	fmt.Fprintf(w, "%-10s  %6s  %6s  %6s  %7s  %6s  %6s  %11s  %8s\n",
		"repository", "rows", "live", "cached", "fetched", "absent", "failed", "bytes", "time")
	for _, r := range j.rows {
		fmt.Fprintf(w, "%-10s  %6d  %6d  %6d  %7d  %6d  %6d  %11d  %8v\n",
			r.name, r.rows, r.live, r.cached, r.fetched, r.absent, r.failed, r.bytes, r.elapsed.Round(time.Millisecond))
		total.keys += r.keys
		total.cached += r.cached
		total.fetched += r.fetched
		total.absent += r.absent
		total.failed += r.failed
	}
	if query := j.store.Query("module, version, name, cached_at, expires_at", name, "info"); query != "" {
		fmt.Fprintf(w, "\n%s\n", query)
	}
	fmt.Fprintf(w, "total: %d keys, %d cached, %d fetched, %d absent, %d failed\n",
		total.keys, total.cached, total.fetched, total.absent, total.failed)
	return total.absent + total.failed
}
