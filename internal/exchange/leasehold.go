package exchange

import (
	"context"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

const (
	// returned is the header of a lease that was given back though there is no answer that
	// others could use: who has waited for it asks without one, so that they do not ask one
	// after the other.
	returned = `{"returned":["1"]}`

	// returnedFor is how long that is to be seen: longer than between two looks.
	returnedFor = 500 * time.Millisecond

	// clearLeasesEvery is how often a process removes the leases of those that have died.
	clearLeasesEvery = 10 * time.Minute
)

// hold notes the leases that flights have got. A flight that has ended meanwhile gives its
// lease back.
func (l *leases) hold(flights []*Flight, rows []driver.Entry, won []bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, f := range flights {
		if !won[i] {
			continue
		}
		got := &lease{key: f.leaseKey(), flight: f, table: f.ask.Table, row: rows[i], period: f.ask.Rules.lease}
		if f.unleased {
			l.free(got)
			continue
		}
		f.lease, l.held[got.key] = got, got
	}
	l.keepHeld()
}

// freeLease gives the flight's lease back, if it has one, and lets it get none any more; kept
// tells that others find the answer in the store.
func (f *Flight) freeLease(kept bool) {
	l := &f.x.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	f.unleased = true
	l.release(f, kept)
}

// release gives back the flight's lease, if it has one. The lock is held.
func (l *leases) release(f *Flight, kept bool) {
	held := f.lease
	f.lease = nil
	if held == nil || l.held[held.key] != held { // there is none, or it was lost
		return
	}
	delete(l.held, held.key)
	held.kept = kept
	l.free(held)
}

// free has a lease that is not held any more given back. The lock is held.
func (l *leases) free(held *lease) {
	l.freed = append(l.freed, held)
	l.giving[held.key] = true
	l.keepHeld()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// keepHeld makes sure that a goroutine extends and gives back leases. The lock is held.
func (l *leases) keepHeld() {
	if !l.keeping && l.x.running.enterAlso() {
		l.keeping = true
		go l.keep()
	}
}

// keep extends the leases that are held, and gives back those that are not needed any more,
// until there are none. Leases of a process that dies are extended no more.
func (l *leases) keep() {
	defer l.x.running.leave()
	for {
		freed, due, next := l.work(leaseNow())
		l.giveBack(freed)
		l.given(freed)
		l.extend(due)
		if len(freed) > 0 || len(due) > 0 {
			l.clear(append(freed, due...)[0].table)
			continue
		}
		if next == 0 {
			return
		}
		timer := time.NewTimer(next)
		select {
		case <-l.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// work are the leases to be given back and extended now, and how long there is nothing else
// to be done; 0 where the goroutine is to end.
func (l *leases) work(now time.Time) (freed, due []*lease, next time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	freed, l.freed = l.freed, nil
	for _, held := range l.held {
		wait := held.row.ExpiresAt.Sub(now) - held.period*2/3
		switch {
		case wait <= 0:
			due = append(due, held)
		case next == 0 || wait < next:
			next = wait
		}
	}
	if len(freed) == 0 && len(due) == 0 && next == 0 {
		l.keeping = false
	}
	return freed, due, next
}

// giveBack deletes leases whose answers are stored, and marks the others as returned. One
// that may be another process's by now is changed only if it is not.
func (l *leases) giveBack(freed []*lease) {
	if len(freed) == 0 {
		return
	}
	now := leaseNow()
	var keys []driver.Key
	var renewals []driver.Renewal
	for _, held := range freed {
		if held.kept && !held.doubtful && held.row.ExpiresAt.Sub(now) > held.period/3 {
			keys = append(keys, held.row.Key)
			continue
		}
		row := held.row
		row.CachedAt, row.ExpiresAt = now, now
		if !held.kept {
			row.Header, row.ExpiresAt = returned, instant(now.Add(returnedFor))
		}
		renewals = append(renewals, renewalOf(held.row, row))
	}
	t := freed[0].table
	if len(keys) > 0 {
		_, _ = guardedBy(l, t, "delete", len(keys), func(ctx context.Context, table driver.Table) (int, error) {
			return table.Delete(ctx, keys)
		})
	}
	if len(renewals) > 0 {
		_, _ = guardedBy(l, t, "save", len(renewals), func(ctx context.Context, table driver.Table) ([]bool, error) {
			return table.Renew(ctx, renewals)
		})
	}
}

// given notes that leases were given back.
func (l *leases) given(freed []*lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, held := range freed {
		delete(l.giving, held.key)
	}
}

// extend lets leases live for another period. One that another process has taken, as this
// one was too slow to extend it, is held no more.
func (l *leases) extend(due []*lease) {
	if len(due) == 0 {
		return
	}
	now := leaseNow()
	rows, renewals := make([]driver.Entry, len(due)), make([]driver.Renewal, len(due))
	for i, held := range due {
		rows[i] = held.row
		rows[i].ExpiresAt = instant(now.Add(held.period))
		renewals[i] = renewalOf(held.row, rows[i])
	}
	extended, err := guardedBy(l, due[0].table, "save", len(due), func(ctx context.Context, table driver.Table) ([]bool, error) {
		return table.Renew(ctx, renewals)
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, held := range due {
		if err == nil && !extended[i] {
			if l.held[held.key] == held {
				delete(l.held, held.key)
			}
			continue
		}
		held.row.ExpiresAt, held.doubtful = rows[i].ExpiresAt, err != nil // it is tried again then
	}
}

// clear removes the leases of processes that have died, now and then.
func (l *leases) clear(t *Table) {
	now := leaseNow()
	l.mu.Lock()
	due := now.Sub(l.cleared) > clearLeasesEvery
	if due {
		l.cleared = now
	}
	l.mu.Unlock()
	if !due {
		return
	}
	_, _ = guardedBy(l, t, "clear", 1, func(ctx context.Context, table driver.Table) (int, error) {
		return table.Clear(ctx, driver.Filter{State: driver.Expired, Now: now})
	})
}
