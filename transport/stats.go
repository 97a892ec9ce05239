package transport

import "sync/atomic"

// Stats are counts since a transport was made.
type Stats struct {
	Hits        int64 // answered from the store without the origin
	Misses      int64 // fetched from the origin
	Shared      int64 // answered by a fetch that another request had begun
	Revalidated int64 // confirmed by the origin with a 304
	Stale       int64 // answered with an expired response, as the origin failed
	Renewed     int64 // fetched in the background
	Unanswered  int64 // 504: not stored, and not to be fetched
	Bypassed    int64 // not for the cache: no repository, or a method that is not cached
	Stored      int64 // responses saved
	Invalidated int64 // URLs that an unsafe request has made outdated
	Unkeyed     int64 // requests whose key could not be told
	Undecodable int64 // responses not saved, as their repository cannot decode them
	StoreErrors int64 // operations on the store that failed or took too long
	Panics      int64 // panics in functions of a policy
}

type counters struct {
	hits, misses, shared, revalidated, stale, renewed, unanswered, bypassed atomic.Int64
	stored, invalidated, unkeyed, undecodable, storeErrors, panics          atomic.Int64
}

// Stats returns the counts so far.
func (t *Transport) Stats() Stats {
	c := &t.counts
	return Stats{
		Hits: c.hits.Load(), Misses: c.misses.Load(), Shared: c.shared.Load(),
		Revalidated: c.revalidated.Load(), Stale: c.stale.Load(), Renewed: c.renewed.Load(),
		Unanswered: c.unanswered.Load(), Bypassed: c.bypassed.Load(),
		Stored: c.stored.Load(), Invalidated: c.invalidated.Load(),
		Unkeyed: c.unkeyed.Load(), Undecodable: c.undecodable.Load(),
		StoreErrors: c.storeErrors.Load(), Panics: c.panics.Load(),
	}
}
