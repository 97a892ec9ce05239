package tier

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/gate"
)

// ledger decides of one table what may be held of the results of reads and writes.
//
// Between the moment at which the store below has read or written an entry and that at which it
// is held here, another operation may have changed it, in this process or in another one. So
// each operation is entered before it begins, and its result is held only if nothing that could
// make it an old one was going on or was told meanwhile.
type ledger struct {
	held *held
	era  atomic.Uint64 // items of an earlier one are as good as gone

	mu       sync.Mutex
	pending  map[string]*pending // by encoded key: what goes on
	clearing int                 // operations that may remove any entry
	doubts   []doubt             // in the order of their ends
	barred   time.Time           // until when nothing is held
}

// pending is what goes on for one key.
type pending struct {
	entered int // operations
	writes  int // those of them that write
	changes int // how often writes of it have ended, and changes of others were told
}

// doubt is a write that has failed: the store may yet do it, as long as a command is on its way
// to a server that hangs. Nobody tells when it does. So it counts as going on for some time.
type doubt struct {
	key   string
	until time.Time
}

const (
	doubtFor   = time.Minute
	mostDoubts = 1 << 14 // then nothing at all is held for as long
)

// doubtful reports whether what an operation was to do may be done after it has failed.
func doubtful(err error) bool {
	return err != nil && !errors.Is(err, driver.ErrTooLarge) && !errors.Is(err, driver.ErrClosed) &&
		!errors.Is(err, driver.ErrSchema) && !errors.Is(err, driver.ErrReadOnly)
}

func newLedger(h *held) *ledger { return &ledger{held: h, pending: make(map[string]*pending)} }

// entry is an operation on one key that was entered.
type entry struct {
	key   string
	p     *pending
	seen  int   // the changes as of when it began
	taken *item // what a write has taken out
}

// begin enters a read or a write of a key. A write takes out what is held.
func (l *ledger) begin(key string, writes bool) entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settleDoubts()
	p := l.pending[key]
	if p == nil {
		p = &pending{}
		l.pending[key] = p
	}
	e := entry{key: key, p: p}
	p.entered++
	if writes {
		p.writes++
		e.taken = l.held.take(id{l, key})
	}
	e.seen = p.changes
	return e
}

// endRead ends a read, of which it holds what it has found; nil: nothing.
func (l *ledger) endRead(e entry, found *item) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hold(e, 0, found)
	l.leave(e)
}

// endWrite is endRead for a write, which may have failed.
func (l *ledger) endWrite(e entry, left *item, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if doubtful(err) {
		l.doubt(e.key)
		return
	}
	l.hold(e, 1, left)
	e.p.writes--
	e.p.changes++
	l.leave(e)
}

// hold holds the result of an operation of which so many are writes. The lock is held.
func (l *ledger) hold(e entry, writes int, it *item) {
	if it == nil || e.p.writes != writes || e.p.changes != e.seen || l.clearing > 0 || !l.held.inUse() || l.isBarred() {
		return
	}
	it.era = l.era.Load()
	l.held.set(id{l, e.key}, it)
}

// leave takes an operation out. The lock is held.
func (l *ledger) leave(e entry) {
	if e.p.entered--; e.p.entered == 0 {
		delete(l.pending, e.key)
	}
}

// doubt lets a write of a key that has failed stay entered for some time. The lock is held.
func (l *ledger) doubt(key string) {
	until := time.Now().Add(doubtFor)
	if len(l.doubts) >= mostDoubts {
		l.barred = until
		l.settleFirst()
	}
	l.doubts = append(l.doubts, doubt{key, until})
}

func (l *ledger) isBarred() bool { return !l.barred.IsZero() && time.Now().Before(l.barred) }

// settleDoubts ends the doubts whose time is over. The lock is held.
func (l *ledger) settleDoubts() {
	if len(l.doubts) == 0 {
		return
	}
	now := time.Now()
	for len(l.doubts) > 0 && !now.Before(l.doubts[0].until) {
		l.settleFirst()
	}
}

func (l *ledger) settleFirst() {
	key := l.doubts[0].key
	l.doubts = l.doubts[1:]
	p := l.pending[key]
	p.writes--
	p.changes++
	l.leave(entry{key: key, p: p})
}

// changed tells that others have changed an entry, or may have. It reports whether one was held.
func (l *ledger) changed(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.pending[key]; p != nil {
		p.changes++
	}
	return l.held.take(id{l, key}) != nil
}

// changedAll tells that all entries may have changed.
func (l *ledger) changedAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spoil()
	l.era.Add(1)
}

// spoil makes the results of all that goes on old ones. The lock is held.
func (l *ledger) spoil() {
	for _, p := range l.pending {
		p.changes++
	}
}

// clear runs an operation of the store below that removes the entries which a filter selects.
func (l *ledger) clear(ctx context.Context, f driver.Filter, below func() error) error {
	if gate.Usable(ctx) != nil {
		return below() // which does nothing
	}
	l.beginClear(f)
	err := errPanic
	defer func() { l.endClear(err) }()
	err = below()
	return err
}

// beginClear takes out what is held.
func (l *ledger) beginClear(f driver.Filter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clearing++
	l.spoil()
	if f.All() {
		l.era.Add(1)
		return
	}
	f.Where = driver.Where{} // which may be about what is not known here: more goes than has to
	leading := string(driver.AppendKey(nil, f.Leading))
	l.held.drop(l, func(key string, e *driver.Entry) bool { return strings.HasPrefix(key, leading) && f.Match(*e) })
}

func (l *ledger) endClear(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clearing--
	l.spoil()
	if doubtful(err) {
		l.barred = time.Now().Add(doubtFor)
	}
}
