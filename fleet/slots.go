package fleet

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// slots are what a process knows of the time ahead. They are guarded by the limiter's turn.
type slots struct {
	own   []int64        // that it has put and nobody uses yet, in order
	taken map[int64]bool // that are somebody's
	lead  time.Duration  // how long the store has last taken to put some: those until then are past
}

const (
	// mostAtOnce is how many slots are put together, and how many times as many free ones
	// they are chosen from at most.
	mostAtOnce = 64

	// mostLooked is how many slots are looked up together.
	mostLooked = 1 << 13

	// keptFor is how long a slot is stored after it could be used, so that no process whose
	// clock is behind uses it again.
	keptFor = time.Minute
)

// at is the slot of an instant, and start the reverse.
func (l *Limiter) at(t time.Time) int64       { return t.UnixNano() / int64(l.period) }
func (l *Limiter) start(slot int64) time.Time { return time.Unix(0, slot*int64(l.period)) }

// first is the first slot that can still be used after so long. A slot that has begun cannot,
// with a Burst of 1: used late, it would be followed too soon by the next one.
func (l *Limiter) first(after time.Duration) int64 {
	return l.at(l.now().Add(after+l.period-1)) - int64(l.limits.Burst) + 1
}

// take returns a slot of the caller's own. Callers come one after the other, and the one whose
// turn it is puts slots for those behind it, too.
func (l *Limiter) take(ctx context.Context) (slot int64, err error) {
	l.waiting.Add(1)
	defer l.waiting.Add(-1)
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	for window := 1; ; window = min(2*window, mostLooked/mostAtOnce) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		l.collect()
		if len(l.slots.own) > 0 {
			slot := l.slots.own[0]
			l.slots.own = l.slots.own[1:]
			return slot, nil
		}
		if window > 1 { // others are ahead
			if err := l.look(ctx, mostAtOnce*window); err != nil {
				return 0, err
			}
		}
		if err := l.put(ctx, min(window, mostAtOnce)); err != nil {
			return 0, err
		}
	}
}

// giveBack lets somebody else use a slot. It does not wait for a turn.
func (l *Limiter) giveBack(slot int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.returned = append(l.returned, slot)
}

// collect adds the slots that were given back to those of the process, without what is past.
func (l *Limiter) collect() {
	l.mu.Lock()
	l.slots.own = append(l.slots.own, l.returned...)
	returned := len(l.returned) > 0
	l.returned = nil
	l.mu.Unlock()
	if returned {
		slices.Sort(l.slots.own)
	}
	past, _ := slices.BinarySearch(l.slots.own, l.first(0))
	l.slots.own = l.slots.own[past:]
}

// forget lets go of the slots of others that are past.
func (l *Limiter) forget() {
	first := l.first(0)
	for slot := range l.slots.taken {
		if slot < first {
			delete(l.slots.taken, slot)
		}
	}
}

// put tries to put a slot for each caller that waits: some of a window of free ones that is so
// many times as wide. So processes that have lost against each other do not all try the same
// ones again.
func (l *Limiter) put(ctx context.Context, window int) error {
	l.forget()
	tried := l.choose(int(min(l.waiting.Load(), mostAtOnce)), window)
	rows := make([]driver.Entry, len(tried))
	now := l.now().UTC().Truncate(time.Microsecond)
	for i, slot := range tried {
		end := l.start(slot + int64(l.limits.Burst)).Add(keptFor)
		rows[i] = driver.Entry{
			Key: driver.Key{l.name, slot}, Status: http.StatusOK,
			CachedAt: now, ExpiresAt: end.UTC().Truncate(time.Microsecond),
		}
	}
	ctx, cancel := context.WithTimeout(ctx, l.limits.StoreTimeout)
	defer cancel()
	began := time.Now()
	stored, err := l.table.PutIf(ctx, rows, driver.Condition{If: driver.IfAbsent})
	l.slots.lead = time.Since(began)
	if err != nil {
		return err
	}
	for i, slot := range tried {
		l.slots.taken[slot] = true
		if stored[i] {
			l.slots.own = append(l.slots.own, slot)
		}
	}
	l.clear(ctx, now)
	return nil
}

// look finds out which of the next n slots are somebody's. Their usage is the store's alone to
// tell: a tier may remember that there was no such slot.
func (l *Limiter) look(ctx context.Context, n int) error {
	slots := l.free(n)
	keys := make([]driver.Key, n)
	for i, slot := range slots {
		keys[i] = driver.Key{l.name, slot}
	}
	ctx, cancel := context.WithTimeout(ctx, l.limits.StoreTimeout)
	defer cancel()
	found := make([]bool, n)
	if err := l.table.Get(ctx, keys, driver.Selection{Parts: driver.Usage}, func(i int, _ driver.Entry) { found[i] = true }); err != nil {
		return err
	}
	for i, slot := range slots {
		if found[i] {
			l.slots.taken[slot] = true
		}
	}
	return nil
}

// choose returns n of so many times as many free slots, in order.
func (l *Limiter) choose(n, window int) []int64 {
	free := l.free(n * window)
	if window > 1 {
		rand.Shuffle(len(free), func(i, j int) { free[i], free[j] = free[j], free[i] })
	}
	chosen := free[:n]
	slices.Sort(chosen)
	return chosen
}

// free are the next n slots that are nobody's, as far as this process knows, and that are not
// past before they are put.
func (l *Limiter) free(n int) []int64 {
	free := make([]int64, 0, n)
	for slot := l.first(l.slots.lead); len(free) < n; slot++ {
		if !l.slots.taken[slot] {
			free = append(free, slot)
		}
	}
	return free
}

// clear removes the slots of long ago, once a minute.
func (l *Limiter) clear(ctx context.Context, now time.Time) {
	last := l.cleared.Load()
	if now.Unix()-last >= 60 && l.cleared.CompareAndSwap(last, now.Unix()) {
		_, _ = l.table.Clear(ctx, driver.Filter{State: driver.Expired, Now: now}) // or another time
	}
}
