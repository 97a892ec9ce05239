package cache

// Stats are counts of a cache's answers since it was made, through all doors. They count
// keys, unless something else is said.
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
