package prefetch

import (
	"slices"
	"sync"

	"github.com/endpointcache/endpointcache/repository"
)

// job is a key to be fetched. Its index is that of its item in the ledger.
type job[K comparable] struct {
	index int
	key   K
}

// answer is a response that is to be saved under a key.
type answer[K comparable] struct {
	job[K]
	entry repository.Entry
}

// ledger holds what became of each key.
type ledger[K comparable] struct {
	mu       sync.Mutex
	items    []Item[K] // those with no status are on their way
	progress Progress
	row      int // failures since something was fetched
	refused  int // answers that could not be saved since one was
}

// add enters keys and returns the jobs for those that are missing, which are in
// the same order.
func (l *ledger[K]) add(keys, missing []K) []job[K] {
	l.mu.Lock()
	defer l.mu.Unlock()
	jobs := make([]job[K], 0, len(missing))
	for _, key := range keys {
		item := Item[K]{Key: key}
		if len(missing) > 0 && missing[0] == key {
			jobs = append(jobs, job[K]{len(l.items), key})
			missing = missing[1:]
		} else {
			item.Status = Cached
			l.progress.Cached++
		}
		l.items = append(l.items, item)
	}
	return jobs
}

// answered notes that a key was fetched, but not saved yet.
func (l *ledger[K]) answered() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.row = 0
}

// saved enters what became of answers, and returns how many in a row could not be
// saved, at the most.
func (l *ledger[K]) saved(answers []answer[K], failed map[K]error) (row int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range answers {
		if err := failed[a.key]; err != nil {
			l.fail(a.index, err)
			l.refused++
			row = max(row, l.refused)
			continue
		}
		l.refused = 0
		l.items[a.index].Status = Fetched
		l.progress.Fetched++
		l.progress.Bytes += int64(len(a.entry.Payload))
	}
	return row
}

// failed returns how many keys in a row could not be fetched.
func (l *ledger[K]) failed(index int, err error) (row int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail(index, err)
	l.row++
	return l.row
}

func (l *ledger[K]) fail(index int, err error) {
	item := &l.items[index]
	item.Status, item.Err = Failed, err
	l.progress.Failed++
}

// snapshot is the progress without what the ledger does not know.
func (l *ledger[K]) snapshot() Progress {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.progress
	p.Done = p.Cached + p.Fetched + p.Failed
	return p
}

// decided takes the items out that have no status.
func (l *ledger[K]) decided() []Item[K] {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.items = slices.DeleteFunc(l.items, func(item Item[K]) bool { return item.Status == 0 })
	return l.items
}
