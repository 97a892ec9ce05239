package exchange

import (
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/checksum"
)

// damage tells of damaged entries: of the first one of a table at once, and of all that are
// found in the time after it together, as one bad disk can damage millions.
type damage struct {
	x *Exchange

	mu     sync.Mutex
	spells map[string]*spell // by the names of tables
}

// spell is what was found since it was last told.
type spell struct {
	told    time.Time
	entries int
}

// tellEvery is how often damage to a table is told, at most.
const tellEvery = time.Minute

func (d *damage) init(x *Exchange) { d.x, d.spells = x, make(map[string]*spell) }

// found counts entries of a table.
func (d *damage) found(table string, n int) {
	d.x.damaged(table, n)
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.spells[table]
	if s == nil {
		s = &spell{}
		d.spells[table] = s
	}
	s.entries += n
	if now := d.x.Now(); s.told.IsZero() || now.Sub(s.told).Abs() >= tellEvery {
		s.told = now
		d.tell(table, s)
	}
}

// tellAll tells what was not told yet.
func (d *damage) tellAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for table, s := range d.spells {
		if s.entries > 0 {
			d.tell(table, s)
		}
	}
}

// tell is called with the lock held.
func (d *damage) tell(table string, s *spell) {
	d.x.log.Warn("endpointcache: entries are damaged and not used", "repository", table, "entries", s.entries)
	s.entries = 0
}

// checked is a table of the store whose entries are checked, if the store does not do it.
func (x *Exchange) checked(store driver.Store, table driver.Table, name string, mend func(driver.Key) (time.Time, bool)) driver.Table {
	if store.Traits().Intact {
		return table
	}
	return checksum.New(table, checksum.Options{Report: func(n int) { x.damage.found(name, n) }, Mend: mend})
}
