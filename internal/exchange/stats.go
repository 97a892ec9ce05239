package exchange

import "sync/atomic"

// Stats are counts since an exchange was made, of keys where nothing else is said.
type Stats struct {
	Hits        int64 // answered from the store without the origin
	Misses      int64 // answered by a request to the origin that their caller began
	Shared      int64 // answered by a request that another caller had begun
	Awaited     int64 // answered by a request that another process had begun, see policy.Policy.Lease
	Revalidated int64 // confirmed by the origin with a 304
	Stale       int64 // answered with an expired response, as the origin failed or was slow
	Renewed     int64 // asked for in the background
	Unanswered  int64 // neither stored nor to be asked for
	Bypassed    int64 // requests that are not for the cache: no repository, or a method that is not cached
	Unscoped    int64 // requests that are not cached as nobody knows whose the response is, see settings.Scope
	Stored      int64 // entries saved or renewed
	Invalidated int64 // URLs that an unsafe request has made outdated
	Foreign     int64 // answers that were not kept, as a redirect led to another host
	Unkeyed     int64 // requests whose key could not be told
	Undecodable int64 // bodies that their repository cannot decode
	Damaged     int64 // entries that were not as they had been saved, and are gone
	StoreErrors int64 // operations on the store that failed, took too long or were not tried
	Panics      int64 // panics in functions of a policy, a declaration or a base transport
}

type counters struct {
	hits, misses, shared, awaited, revalidated, stale, renewed, unanswered, bypassed, unscoped atomic.Int64
	stored, invalidated, foreign, unkeyed, undecodable, damaged, storeErrors, panics           atomic.Int64
}

// Stats returns the counts so far.
func (x *Exchange) Stats() Stats {
	c := &x.counts
	return Stats{
		Hits: c.hits.Load(), Misses: c.misses.Load(), Shared: c.shared.Load(), Awaited: c.awaited.Load(),
		Revalidated: c.revalidated.Load(), Stale: c.stale.Load(), Renewed: c.renewed.Load(),
		Unanswered: c.unanswered.Load(), Bypassed: c.bypassed.Load(), Unscoped: c.unscoped.Load(),
		Stored: c.stored.Load(), Invalidated: c.invalidated.Load(),
		Foreign: c.foreign.Load(), Unkeyed: c.unkeyed.Load(), Undecodable: c.undecodable.Load(),
		Damaged: c.damaged.Load(), StoreErrors: c.storeErrors.Load(), Panics: c.panics.Load(),
	}
}

// CountInvalidated counts a URL that an unsafe request has made outdated.
func (x *Exchange) CountInvalidated() { x.counts.invalidated.Add(1) }

// Pending is how many flights of the table are under way or being saved, and how many
// callers wait for them.
func (t *Table) Pending() (flights, callers int) {
	t.x.flights.mu.Lock()
	defer t.x.flights.mu.Unlock()
	for key, f := range t.x.flights.byKey {
		for ; f != nil && key.table == t.Name; f = f.next {
			flights++
			callers += f.callers
		}
	}
	return flights, callers
}
