package prefetch

import "sync"

// job is a key to be decided about. Its index is that of its item in the ledger, if
// that keeps items.
type job[K comparable] struct {
	index int
	key   K
}

func keysOf[K comparable](jobs []job[K]) []K {
	keys := make([]K, len(jobs))
	for i, j := range jobs {
		keys[i] = j.key
	}
	return keys
}

// outcome is what became of a job.
type outcome[K comparable] struct {
	job[K]
	status Status
	err    error // where it has failed
	size   int   // of what was fetched
}

// ledger holds what became of each key, or where there is somebody to be told of it,
// the keys of which nothing became yet.
type ledger[K comparable] struct {
	item func(Item[K]) // nil: items are kept

	mu     sync.Mutex
	keys   map[K]struct{} // all, or with item those that are not decided
	items  []Item[K]      // those with no status are on their way
	untold []Item[K]      // with item
	counts Progress
	causes causes[K]

	row     int // failures since something was fetched
	unsaved int // answers that could not be saved since one was

	telling sync.Mutex // is held while item is called
}

func newLedger[K comparable](item func(Item[K])) *ledger[K] {
	return &ledger[K]{item: item, keys: make(map[K]struct{})}
}

// enter returns the job for a key, false where there is one already.
func (l *ledger[K]) enter(key K) (job[K], bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := len(l.keys)
	l.keys[key] = struct{}{}
	if len(l.keys) == before {
		return job[K]{}, false
	}
	j := job[K]{len(l.items), key}
	if l.item == nil {
		l.items = append(l.items, Item[K]{Key: key})
	}
	return j, true
}

// decide enters what became of jobs.
func (l *ledger[K]) decide(outcomes ...outcome[K]) {
	l.mu.Lock()
	for i := range outcomes {
		l.set(&outcomes[i])
	}
	l.mu.Unlock()
	l.tell()
}

// answered notes that the origin had an answer for a key, which is not saved yet.
func (l *ledger[K]) answered() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.row = 0
}

// failed returns how many keys in a row could not be fetched.
func (l *ledger[K]) failed(j job[K], err error) (row int) {
	l.mu.Lock()
	l.row++
	row = l.row
	l.mu.Unlock()
	l.decide(outcome[K]{job: j, status: Failed, err: err})
	return row
}

// saved enters what became of answers that were saved.
func (l *ledger[K]) saved(outcomes []outcome[K]) {
	l.mu.Lock()
	l.unsaved = 0
	l.mu.Unlock()
	l.decide(outcomes...)
}

// refused returns how many answers in a row could not be saved.
func (l *ledger[K]) refused(j job[K], err error) (row int) {
	l.mu.Lock()
	l.unsaved++
	row = l.unsaved
	l.mu.Unlock()
	l.decide(outcome[K]{job: j, status: Failed, err: err})
	return row
}

// set is called with mu held.
func (l *ledger[K]) set(o *outcome[K]) {
	l.counts.add(o.status, o.size)
	if o.status == Failed {
		l.causes.add(o.key, o.err)
	}
	item := Item[K]{Key: o.key, Status: o.status, Err: o.err}
	if l.item == nil {
		l.items[o.index] = item
		return
	}
	delete(l.keys, o.key)
	l.untold = append(l.untold, item)
}

// tell calls item for what was decided.
func (l *ledger[K]) tell() {
	if l.item == nil {
		return
	}
	l.telling.Lock()
	defer l.telling.Unlock()
	l.mu.Lock()
	items := l.untold
	l.untold = nil
	l.mu.Unlock()
	for _, item := range items {
		l.item(item)
	}
}

// cancelRest decides about the keys of which nothing became.
func (l *ledger[K]) cancelRest() {
	var rest []outcome[K]
	l.mu.Lock()
	if l.item != nil {
		for key := range l.keys {
			rest = append(rest, outcome[K]{job: job[K]{key: key}, status: Cancelled})
		}
	}
	for i, item := range l.items {
		if item.Status == 0 {
			rest = append(rest, outcome[K]{job: job[K]{i, item.Key}, status: Cancelled})
		}
	}
	l.mu.Unlock()
	l.decide(rest...)
}

// snapshot is the progress without what the ledger does not know.
func (l *ledger[K]) snapshot() Progress {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts
}

// result is called when all has ended.
func (l *ledger[K]) result(final Progress) *Result[K] {
	return &Result[K]{
		Items:     l.items,
		Cached:    final.Cached,
		Fetched:   final.Fetched,
		Absent:    final.Absent,
		Failed:    final.Failed,
		Cancelled: final.Cancelled,
		Causes:    l.causes.sorted(),
		Requests:  final.Requests,
		Bytes:     final.Bytes,
		Elapsed:   final.Elapsed,
	}
}
