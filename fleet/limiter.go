// Package fleet keeps the requests of many processes together to one rate: of all that use the
// same store, whether they are on one machine or on many.
//
// A [Limiter] divides time into slots of the length of one request. Each slot is a row of the
// store that one process can put, and whoever has put it may send one request in it. So there
// is no clock, counter or server besides the store, and a process that dies takes nothing with it but the
// slots that it has put.
package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/endpointcache/endpointcache/driver"
)

// LimitsTable is the name of the table in which a store has the slots of all limiters.
const LimitsTable = "endpointcache_limits"

// Limits are those of a [Limiter]. All processes that share one have the same.
type Limits struct {
	// Name tells the limiters of a store apart. It may be empty.
	Name string

	// Rate is how many requests all processes together send in a second. It is greater
	// than 0, and at most 100,000.
	Rate float64

	// Burst is how many requests may be sent at once, if fewer than Rate allows were sent
	// before. In any time there are at most Burst requests more than Rate allows. The
	// default is 1: requests are spaced evenly, and each waits for a slot to begin.
	// It is at most as many as Rate allows in a year.
	Burst int

	// Alone is the rate of this process while the store does not answer. The default is
	// that requests fail with the store's error then.
	Alone float64

	// StoreTimeout is how long the store may take to answer. The default is a second.
	StoreTimeout time.Duration
}

// longest is how long the slots of Burst may last, so that no time is out of range.
const longest = 365 * 24 * time.Hour

// Limiter lets requests be sent at a rate that all processes share. Many goroutines may use it at
// once. It has nothing that has to be closed: the store is its caller's.
//
// The machines' clocks should agree to within a few slots: who is ahead of the others is served
// before them. If they differ by more than a minute, the rate may be exceeded.
type Limiter struct {
	limits  Limits
	table   driver.Table
	period  time.Duration // of a slot
	name    string
	alone   *rate.Limiter // nil: requests fail
	now     func() time.Time
	waiting atomic.Int64
	cleared atomic.Int64 // when expired slots were last removed, in seconds

	turn  chan struct{} // holds an element while somebody takes a slot
	slots slots

	mu       sync.Mutex
	returned []int64 // slots that were given back
}

// New returns a limiter on the store, in which it creates its table if it is absent.
func New(ctx context.Context, store driver.Store, limits Limits) (*Limiter, error) {
	switch {
	case ctx == nil:
		return nil, errors.New("fleet: the context is nil")
	case store == nil:
		return nil, errors.New("fleet: the store is nil")
	case !(limits.Rate > 0) || limits.Rate > 100_000:
		return nil, fmt.Errorf("fleet: Rate is %v: it has to be greater than 0 and at most 100,000", limits.Rate)
	case limits.Burst < 0 || limits.Burst > math.MaxInt32 || limits.StoreTimeout < 0 || !(limits.Alone >= 0):
		return nil, errors.New("fleet: Burst, Alone or StoreTimeout is no number from 0 on")
	}
	limits.Burst = max(limits.Burst, 1)
	if float64(limits.Burst)/limits.Rate > longest.Seconds() {
		return nil, fmt.Errorf("fleet: %d requests at a Rate of %v take more than a year", limits.Burst, limits.Rate)
	}
	limits.StoreTimeout = cmp.Or(limits.StoreTimeout, time.Second)
	period := time.Duration(math.Ceil(float64(time.Second) / limits.Rate))
	l := &Limiter{
		limits: limits, period: period, now: time.Now, turn: make(chan struct{}, 1),
		// Limiters of another rate have other slots.
		name: fmt.Sprintf("%s@%d", limits.Name, period),
	}
	if limits.Alone > 0 {
		l.alone = rate.NewLimiter(rate.Limit(limits.Alone), 1)
	}
	l.slots.taken = make(map[int64]bool)
	var err error
	l.table, err = store.OpenTable(ctx, driver.TableSpec{Name: LimitsTable, Key: []driver.Column{
		{Name: "limiter", Kind: driver.String}, {Name: "slot", Kind: driver.Int},
	}})
	if err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	return l, nil
}

// Wait waits until one request may be sent. The error is that of ctx, or the store's, wrapped.
// What a caller that gave up has not used is for another one of this process.
func (l *Limiter) Wait(ctx context.Context) error {
	if ctx == nil {
		return errors.New("fleet: the context is nil")
	}
	slot, err := l.take(ctx)
	if err != nil {
		if l.alone != nil && ctx.Err() == nil {
			err = l.alone.Wait(ctx)
		}
		if err != nil {
			return fmt.Errorf("fleet: waiting for a slot: %w", err)
		}
		return nil
	}
	timer := time.NewTimer(l.start(slot).Sub(l.now()))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		l.giveBack(slot)
		return fmt.Errorf("fleet: waiting for a slot: %w", ctx.Err())
	}
}

// Transport returns a round tripper that sends each request with base, [http.DefaultTransport]
// if that is nil, as soon as the limiter lets it.
func (l *Limiter) Transport(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &limited{base, l}
}

type limited struct {
	base    http.RoundTripper
	limiter *Limiter
}

// RoundTrip implements [http.RoundTripper].
func (t *limited) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := t.limiter.Wait(req.Context()); err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // as RoundTrippers owe it
		}
		return nil, err
	}
	return t.base.RoundTrip(req)
}

// CloseIdleConnections closes those of the base, see [http.Client].
func (t *limited) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
