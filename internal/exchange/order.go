package exchange

import (
	"sync/atomic"
	"time"
)

// order tells what was known before an invalidation from what is known after it, though the
// clock may stand still in between, be set back, or differ from that of another machine.
type order struct {
	marked atomic.Int64 // the latest mark that was set or seen, in microseconds; 0: none
	known  atomic.Int64 // the latest instant of knowledge; the clock may have been set back since
}

func (o *order) noteMark(since time.Time) { raise(&o.marked, since.UnixMicro()) }
func (o *order) noteKnown(asOf time.Time) { raise(&o.known, asOf.UnixMicro()) }
func (o *order) lastMark() time.Time      { return time.UnixMicro(o.marked.Load()).UTC() }
func (o *order) lastKnown() time.Time     { return time.UnixMicro(o.known.Load()).UTC() }

func raise(to *atomic.Int64, n int64) {
	for seen := to.Load(); n > seen; seen = to.Load() {
		if to.CompareAndSwap(seen, n) {
			return
		}
	}
}

// Stamp is the instant of what becomes known at now: after each invalidation that the
// exchange knows of.
func (x *Exchange) stamp(now time.Time) time.Time {
	now = instant(now)
	if last := x.order.lastMark(); x.order.marked.Load() != 0 && !now.After(last) {
		now = last.Add(time.Microsecond)
	}
	x.order.noteKnown(now)
	return now
}

// Stamp is the instant of what a caller knows now.
func (x *Exchange) Stamp() time.Time { return x.stamp(x.Now()) }

// invalidating is the instant of an invalidation: not before anything that is known, nor
// before another one. What becomes known from now on is later.
func (x *Exchange) invalidating() time.Time {
	x.order.noteMark(instant(x.Now()))
	if x.order.known.Load() != 0 {
		x.order.noteMark(x.order.lastKnown())
	}
	return x.order.lastMark()
}
