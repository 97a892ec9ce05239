package drivertest

import "time"

// SetToldWithin has the suite wait so long for what a store tells, as is enough for one that
// does not.
func SetToldWithin(limit time.Duration) { toldWithin = limit }
