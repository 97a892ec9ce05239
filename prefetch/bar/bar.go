// Package bar shows on a terminal how far a prefetch has come.
//
//	opts.Progress = bar.New(os.Stderr, "tracks")
package bar

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/endpointcache/endpointcache/internal/human"
	"github.com/endpointcache/endpointcache/prefetch"
)

// New returns a function for prefetch.Options.Progress that shows a bar on w, with
// a name and the counts, and ends its line when the run has ended. Where w is no
// terminal, it shows nothing. It is for one run.
func New(w io.Writer, name string) func(prefetch.Progress) {
	if !IsTerminal(w) {
		return func(prefetch.Progress) {}
	}
	return (&bar{w: w, name: name}).show
}

// IsTerminal reports whether [New] shows anything on w, for programs that write lines
// elsewhere.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// bar draws with a bar of a given length, or with another when that changes.
type bar struct {
	w      io.Writer
	name   string
	drawn  *progressbar.ProgressBar
	length int // -1: it is not known
}

func (b *bar) show(p prefetch.Progress) {
	length := -1
	if p.Total > 0 {
		length = max(p.Total, p.Done)
	}
	if b.drawn == nil || length != b.length {
		b.length = length
		b.drawn = progressbar.NewOptions(length,
			progressbar.OptionSetWriter(b.w),
			progressbar.OptionFullWidth(),
			progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(false),
			progressbar.OptionSetElapsedTime(false),
			progressbar.OptionSetSpinnerChangeInterval(0), // no goroutine
		)
	}
	b.drawn.Describe(describe(b.name, p))
	_ = b.drawn.Set(p.Done) // a terminal that is gone is not the run's concern
	if p.Ended {
		fmt.Fprintln(b.w)
	}
}

// describe is what stands before the bar.
func describe(name string, p prefetch.Progress) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s cached, %s fetched", name, human.Count(p.Cached), human.Count(p.Fetched))
	if p.Absent > 0 {
		fmt.Fprintf(&b, ", %s absent", human.Count(p.Absent))
	}
	fmt.Fprintf(&b, ", %s failed", human.Count(p.Failed))
	switch {
	case p.Ended:
		fmt.Fprintf(&b, " in %s", human.Precise(p.Elapsed))
	case p.Left == prefetch.Unknown:
		fmt.Fprintf(&b, ", %.0f/s", p.Rate)
	default:
		fmt.Fprintf(&b, ", %.0f/s, %s left", p.Rate, human.Duration(p.Left))
	}
	return b.String()
}
