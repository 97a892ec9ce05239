package prefetch

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/hooks"
	"github.com/endpointcache/endpointcache/internal/exchange"
)

// Progress is how far a run has come. Its Left is [Unknown] where it cannot be told.
type Progress = hooks.Progress

// Unknown is the value of [Progress.Left] where the number of keys is not known, or
// none were done lately.
const Unknown time.Duration = -1

// add counts a key.
func add(p *Progress, status Status, size int) {
	p.Bytes += int64(size)
	switch status {
	case Cached:
		p.Cached++
	case Fetched:
		p.Fetched++
	case Absent:
		p.Absent++
	case Failed:
		p.Failed++
	case Cancelled:
		p.Cancelled++
		return
	case Confirmed:
		p.Confirmed++
	case Stale:
		p.Stale++
	}
	p.Done++
}

const (
	progressEvery = 100 * time.Millisecond
	rateOver      = 10 * time.Second
)

// pace remembers how far a run was in the last while. One goroutine uses it at a time.
type pace struct {
	marks []mark // the oldest first
}

type mark struct {
	elapsed time.Duration
	done    int
}

// rate is how many keys are done in a second. Later calls compare with this one.
func (c *pace) rate(p *Progress) float64 {
	if len(c.marks) == 0 {
		c.marks = append(c.marks, mark{})
	}
	for len(c.marks) > 1 && p.Elapsed-c.marks[0].elapsed > rateOver {
		c.marks = c.marks[1:]
	}
	from := c.marks[0]
	c.marks = append(c.marks, mark{p.Elapsed, p.Done})
	seconds := (p.Elapsed - from.elapsed).Seconds()
	if seconds <= 0 {
		return 0
	}
	return float64(p.Done-from.done) / seconds
}

// left is how long the rest takes.
func left(p *Progress) time.Duration {
	rest := p.Total - p.Done
	switch {
	case p.Total == 0:
		return Unknown
	case rest <= 0:
		return 0
	case p.Rate == 0:
		return Unknown
	}
	seconds := float64(rest) / p.Rate
	return time.Duration(min(seconds*float64(time.Second), math.MaxInt64/2))
}

func (r *run[K, V]) progress() Progress {
	p := r.ledger.snapshot()
	p.Total = int(r.total.Load())
	p.InFlight = int(r.traffic.InFlight())
	p.Requests = int(r.traffic.Requests())
	p.Elapsed = time.Since(r.start)
	p.Rate = r.pace.rate(&p)
	p.Left = left(&p)
	return p
}

// report tells of the progress until the function is called that it returns.
func (r *run[K, V]) report(ctx context.Context) (end func()) {
	r.tell = exchange.OfRepository(r.fetcher.Repository().Responses).Prefetching(ctx)
	if r.Progress == nil && r.Logger == nil && r.tell == nil {
		return func() {}
	}
	ended := make(chan struct{})
	var reporter sync.WaitGroup
	reporter.Go(func() {
		defer r.catch()
		ticker := time.NewTicker(progressEvery)
		defer ticker.Stop()
		logged := r.start
		for {
			select {
			case <-ticker.C:
			case <-ended:
				return
			}
			p := r.progress()
			r.tellProgress(p)
			if r.Logger != nil && time.Since(logged) >= r.LogEvery {
				r.log(ctx, slog.LevelInfo, "prefetch goes on", p)
				logged = time.Now()
			}
		}
	})
	return sync.OnceFunc(func() {
		close(ended)
		reporter.Wait()
	})
}

// tellProgress tells those who want to know how far the run is: the hooks first, which cannot
// panic.
func (r *run[K, V]) tellProgress(p Progress) {
	if r.tell != nil {
		r.tell(p)
		r.toldEnd = p.Ended
	}
	if r.Progress != nil {
		r.Progress(p)
	}
}

// endProgress tells the hooks of the end of a run that has panicked.
func (r *run[K, V]) endProgress() {
	if r.tell != nil && !r.toldEnd {
		p := r.progress()
		p.Ended = true
		r.tell(p)
	}
}

// reportLast tells how the run has ended.
func (r *run[K, V]) reportLast(ctx context.Context, p Progress, err error) {
	r.tellProgress(p)
	switch {
	case r.Logger == nil:
	case err != nil:
		r.log(ctx, slog.LevelError, "prefetch ended early", p, slog.String("error", err.Error()))
	case p.Failed > 0:
		r.log(ctx, slog.LevelWarn, "prefetch ended", p)
	default:
		r.log(ctx, slog.LevelInfo, "prefetch ended", p)
	}
}

func (r *run[K, V]) log(ctx context.Context, level slog.Level, text string, p Progress, more ...slog.Attr) {
	attrs := append([]slog.Attr{slog.String("repository", r.fetcher.Settings().Name)}, p.LogValue().Group()...)
	r.Logger.LogAttrs(ctx, level, text, append(attrs, more...)...)
}
