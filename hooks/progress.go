package hooks

import (
	"log/slog"
	"math"
	"time"
)

// Progress is how far a run of package prefetch has come.
type Progress struct {
	Done      int // all but Cancelled
	Total     int // prefetch.Options.Total until the number of keys is known; 0: unknown
	Cached    int
	Fetched   int // saved, too
	Confirmed int // by a 304
	Stale     int // not refreshed, as the origin failed
	Absent    int
	Failed    int
	Cancelled int // in the last call; these are not Done

	InFlight int // requests that are not answered yet
	Requests int // requests that were sent, retries included

	Bytes   int64 // the size of the bodies that were fetched and saved
	Elapsed time.Duration

	Rate float64       // keys done in a second, in the last ten seconds
	Left time.Duration // what the rest takes at that rate; negative: unknown

	Ended bool // it is the last call
}

// LogValue implements [slog.LogValuer]. What is unknown is left out.
func (p Progress) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.Int("done", p.Done),
		slog.Int("cached", p.Cached),
		slog.Int("fetched", p.Fetched),
		slog.Int("confirmed", p.Confirmed),
		slog.Int("absent", p.Absent),
		slog.Int("failed", p.Failed),
		slog.Int("requests", p.Requests),
		slog.Int64("bytes", p.Bytes),
		slog.Duration("elapsed", p.Elapsed.Round(time.Millisecond)),
		slog.Float64("rate", math.Round(10*p.Rate)/10),
	}
	if p.Total > 0 {
		attrs = append(attrs, slog.Int("total", p.Total))
	}
	if p.Ended {
		attrs = append(attrs, slog.Int("cancelled", p.Cancelled))
		return slog.GroupValue(attrs...)
	}
	attrs = append(attrs, slog.Int("in_flight", p.InFlight))
	if p.Left >= 0 {
		attrs = append(attrs, slog.Duration("left", p.Left.Round(time.Second)))
	}
	return slog.GroupValue(attrs...)
}
