package fetch

import "sync/atomic"

// Stats are counts since an endpoint was made, of keys where nothing else is said.
// A key that is given twice to one FetchMany counts once.
type Stats struct {
	Cached      int64
	Fetched     int64
	Stale       int64
	Absent      int64
	Failed      int64
	Cancelled   int64
	Shared      int64 // joined a fetch that another call had begun
	Requests    int64 // requests to the origin, each attempt counted
	Undecodable int64 // entries that were saved when the type was another
	StoreErrors int64 // operations on the store that failed or took too long
}

type counters struct {
	cached, fetched, stale, absent, failed, cancelled atomic.Int64
	shared, undecodable, storeErrors                  atomic.Int64
}

func (c *counters) add(s Status) {
	switch s {
	case Cached:
		c.cached.Add(1)
	case Fetched:
		c.fetched.Add(1)
	case Stale:
		c.stale.Add(1)
	case Absent:
		c.absent.Add(1)
	case Failed:
		c.failed.Add(1)
	case Cancelled:
		c.cancelled.Add(1)
	}
}

// Stats returns the counts so far.
func (e *Endpoint[K, V]) Stats() Stats {
	c := &e.counts
	return Stats{
		Cached: c.cached.Load(), Fetched: c.fetched.Load(), Stale: c.stale.Load(),
		Absent: c.absent.Load(), Failed: c.failed.Load(), Cancelled: c.cancelled.Load(),
		Shared: c.shared.Load(), Requests: e.source.Requests(),
		Undecodable: c.undecodable.Load(), StoreErrors: c.storeErrors.Load(),
	}
}
