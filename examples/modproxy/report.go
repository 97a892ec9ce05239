package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/endpointcache/endpointcache/prefetch"
)

// introduce tells what the job works with.
func (j *job) introduce(versions int) {
	fmt.Fprintf(j.stderr, "%s requires %d modules\n", j.goMod, versions)
	if j.local != nil {
		fmt.Fprintf(j.stderr, "serving %s on %s\n", j.local.folder, j.local.url)
	} else {
		fmt.Fprintf(j.stderr, "fetching from %s\n", j.proxy.Redacted())
	}
}

// progress shows how far a run is.
type progress struct {
	update func(prefetch.Progress)
	end    func()
}

// newProgress is a bar on a terminal and lines elsewhere.
func newProgress(w io.Writer, name string, total int) progress {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) && total > 0 {
		return newBar(w, name, total)
	}
	return newLines(w, name, time.Second)
}

func newBar(w io.Writer, name string, total int) progress {
	bar := progressbar.NewOptions(total,
		progressbar.OptionSetWriter(w),
		progressbar.OptionFullWidth(),
		progressbar.OptionShowCount(),
		progressbar.OptionSetDescription(name),
	)
	return progress{
		update: func(p prefetch.Progress) {
			bar.Describe(fmt.Sprintf("%-4s  %d cached, %d fetched, %d failed", name, p.Cached, p.Fetched, p.Failed))
			_ = bar.Set(p.Done) // a terminal that is gone is not the job's concern
		},
		end: func() { fmt.Fprintln(w) },
	}
}

// newLines writes a line at most once in a while, and one at the end.
func newLines(w io.Writer, name string, every time.Duration) progress {
	var latest prefetch.Progress
	shown := time.Now()
	show := func() {
		fmt.Fprintf(w, "%s: %d of %d keys: %d cached, %d fetched, %d failed\n",
			name, latest.Done, latest.Total, latest.Cached, latest.Fetched, latest.Failed)
		shown = time.Now()
	}
	return progress{
		update: func(p prefetch.Progress) {
			latest = p
			if time.Since(shown) >= every {
				show()
			}
		},
		end: show,
	}
}

// maxFailures is how many failures of a repository are shown without -v.
const maxFailures = 10

// showItems tells which keys failed, and of all keys if it is to be verbose.
func showItems[K comparable](w io.Writer, name string, result *prefetch.Result[K], verbose bool) {
	failures := 0
	for _, item := range result.Items {
		switch {
		case item.Status == prefetch.Failed:
			if failures++; verbose || failures <= maxFailures {
				fmt.Fprintf(w, "%s %v: failed: %v\n", name, item.Key, item.Err)
			}
		case verbose:
			fmt.Fprintf(w, "%s %v: %v\n", name, item.Key, item.Status)
		}
	}
	if !verbose && failures > maxFailures {
		fmt.Fprintf(w, "%s: %d more failed, which -v shows\n", name, failures-maxFailures)
	}
}

// row is what became of a repository.
type row struct {
	name                          string
	rows, live                    int // in the table now
	keys, cached, fetched, failed int // in this run
	bytes                         int64
	elapsed                       time.Duration
}

// report prints a table of the repositories and the total. It returns how many
// keys failed.
func (j *job) report(w io.Writer) (failed int) {
	if j.leftOut > 0 {
		fmt.Fprintf(j.stderr, "left out %d keys that the module download cache does not have, as a build downloads only what it needs; "+
			"a proxy that -proxy names may have them\n", j.leftOut)
	}
	var total row
	fmt.Fprintf(w, "%-10s  %6s  %6s  %6s  %7s  %6s  %11s  %8s\n",
		"repository", "rows", "live", "cached", "fetched", "failed", "bytes", "time")
	for _, r := range j.rows {
		fmt.Fprintf(w, "%-10s  %6d  %6d  %6d  %7d  %6d  %11d  %8v\n",
			r.name, r.rows, r.live, r.cached, r.fetched, r.failed, r.bytes, r.elapsed.Round(time.Millisecond))
		total.keys += r.keys
		total.cached += r.cached
		total.fetched += r.fetched
		total.failed += r.failed
	}
	if query := j.query(); query != "" {
		fmt.Fprintf(w, "\n%s\n", query)
	}
	fmt.Fprintf(w, "total: %d keys, %d cached, %d fetched, %d failed\n",
		total.keys, total.cached, total.fetched, total.failed)
	return total.failed
}
