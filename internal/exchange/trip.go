package exchange

import (
	"context"
	"slices"
	"time"

	"github.com/endpointcache/endpointcache/policy"
)

// Trip is a request that several flights share. It ends when nobody waits for any of
// them.
type Trip struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	late   *time.Timer // ends it at the hard limit; nil: there is none
	share  Share       // of the memory for bodies
	wanted int         // guarded by the flights' lock
}

// Context is that of the request: it has the values of the first flight's, and ends when
// nobody waits any more.
func (t *Trip) Context() context.Context { return t.ctx }

// On returns the trip's context with the values of one of the flights', for a request that
// only it can make.
func (t *Trip) On(f *Flight) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(&sharing{f.ctx, &t.share, f})
	unlink := context.AfterFunc(t.ctx, func() { cancel(context.Cause(t.ctx)) })
	return ctx, func() {
		unlink()
		cancel(context.Canceled)
	}
}

// End ends the request before it is answered.
func (t *Trip) End(cause error) { t.cancel(cause) }

// Done is called when the flights have been answered.
func (t *Trip) Done() {
	if t.late != nil {
		t.late.Stop()
	}
	t.cancel(context.Canceled)
	t.share.Release()
}

// leave tells that one of the flights is not wanted any more. The flights' lock is
// held.
func (t *Trip) leave() {
	if t.wanted--; t.wanted == 0 {
		t.cancel(ErrGivenUp)
	}
}

// Wanted returns those of the flights that callers still wait for. The others land by
// themselves. They are to be of one exchange.
func Wanted(flights []*Flight) []*Flight {
	if len(flights) == 0 {
		return nil
	}
	fs := &flights[0].x.flights
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return slices.DeleteFunc(flights, func(f *Flight) bool { return f.abandoned })
}

// Board returns those of the flights that callers still wait for, and the request that is
// to be made for them. The others land by themselves. The flights, of which there are
// some, are of one exchange.
func Board(flights []*Flight) (boarded []*Flight, t *Trip) {
	x := flights[0].x
	t = &Trip{share: Share{budget: &x.budget}}
	t.ctx, t.cancel = context.WithCancelCause(&sharing{flights[0].ctx, &t.share, flights[0]})
	now := x.Now()
	x.flights.mu.Lock()
	for _, f := range flights {
		if f.abandoned || f.landed {
			continue
		}
		f.trip = t
		f.sentAt(now)
		t.wanted++
		boarded = append(boarded, f)
	}
	x.flights.mu.Unlock()
	if hard := hardLimit(boarded); hard > 0 {
		t.late = time.AfterFunc(hard, func() { t.cancel(policy.ErrTimeout) })
	}
	return boarded, t
}

// hardLimit is how long the request for flights may take: the longest of their limits, 0
// where one has none.
func hardLimit(flights []*Flight) (longest time.Duration) {
	for _, f := range flights {
		if f.ask.Rules.hard <= 0 {
			return 0
		}
		longest = max(longest, f.ask.Rules.hard)
	}
	return longest
}
