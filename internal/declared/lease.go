package declared

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Lease is how long others wait for whoever has begun a migration and is not heard of any more.
// Tests make it shorter.
var Lease = 15 * time.Second

var errLost = errors.New("another program has taken over the migration")

// lease is the right to migrate, which is renewed while it is held.
type lease struct {
	opening *Opening
	cancel  context.CancelCauseFunc
	stop    chan struct{}
	ended   sync.WaitGroup

	mu     sync.Mutex
	record *record
}

// hold keeps the lease of a record. The context ends when it is lost. Release is due.
func (o *Opening) hold(ctx context.Context, r *record) (context.Context, *lease) {
	ctx, cancel := context.WithCancelCause(ctx)
	l := &lease{opening: o, cancel: cancel, stop: make(chan struct{}), record: r}
	l.ended.Go(func() { l.keep(ctx) })
	return ctx, l
}

// keep renews the lease in good time.
func (l *lease) keep(ctx context.Context) {
	ticks := time.NewTicker(Lease / 4)
	defer ticks.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		if !l.renew(ctx) {
			l.cancel(errLost)
			return
		}
	}
}

// renew is false where the lease is lost. A store that fails may answer again in time.
func (l *lease) renew(ctx context.Context) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	ctx, cancel := context.WithDeadline(ctx, l.record.next.until)
	defer cancel()
	until := l.record.next.until
	l.record.next.until = now().Add(Lease)
	replaced, err := l.opening.replace(ctx, l.opening.Name, l.record)
	if err != nil {
		l.record.next.until = until
		return now().Before(until)
	}
	return replaced
}

// instant is later than any that whoever migrated before was given, whatever the clocks of
// machines say: it is that of the record, which is written for it.
func (l *lease) instant(ctx context.Context) (time.Time, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	replaced, err := l.opening.replace(ctx, l.opening.Name, l.record)
	if err == nil && !replaced {
		err = errLost
	}
	return l.record.seen, err
}

// valid reports whether nobody else has begun to work.
func (l *lease) valid() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.record.next.live(now())
}

// release ends the renewals, and returns the record as it was left.
func (l *lease) release() *record {
	close(l.stop)
	l.cancel(nil)
	l.ended.Wait()
	return l.record
}
