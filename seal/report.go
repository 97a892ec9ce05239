package seal

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// tellEvery is how often the failures of a table are told, at most.
const tellEvery = time.Minute

// reports tells of entries that cannot be opened: of the first one of a table and reason at
// once, and of all in the time after it together.
type reports struct {
	log    *slog.Logger
	failed atomic.Uint64

	mu     sync.Mutex
	spells map[cause]*spell
}

type cause struct{ table, reason string }

// spell is what was found since it was last told.
type spell struct {
	told    time.Time
	entries int
}

func (r *reports) init(log *slog.Logger) { r.log, r.spells = log, make(map[cause]*spell) }

// reason is a cause without what it may hold of keys or contents.
func reason(err error) string {
	for _, known := range []error{errUnsealed, errUnknown, errMalformed} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return errMismatch.Error()
}

func (r *reports) found(table string, err error) {
	r.failed.Add(1)
	c := cause{table, reason(err)}
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.spells[c]
	if s == nil {
		s = &spell{}
		r.spells[c] = s
	}
	s.entries++
	if s.told.IsZero() || time.Since(s.told) >= tellEvery {
		s.told = time.Now()
		r.tell(c, s)
	}
}

// tellAll tells what was not told yet.
func (r *reports) tellAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c, s := range r.spells {
		if s.entries > 0 {
			r.tell(c, s)
		}
	}
}

// tell is called with the lock held.
func (r *reports) tell(c cause, s *spell) {
	r.log.Warn("endpointcache: sealed entries are not used", "table", c.table, "reason", c.reason, "entries", s.entries)
	s.entries = 0
}
