package preambles

import "github.com/endpointcache/endpointcache/driver"

type (
	Condition = driver.Condition
	Entry     = driver.Entry
	Filter    = driver.Filter
	Key       = driver.Key
	Listing   = driver.Listing
	Renewal   = driver.Renewal
	Selection = driver.Selection
	Size      = driver.Size
	TableSpec = driver.TableSpec
	Traits    = driver.Traits
	Table     = driver.Table
	Store     = driver.Store
)

var (
	openNew   func(testing.TB) driver.Store
	openAgain func(testing.TB, driver.Store) driver.Store
	harness   drivertest.Harness
)

// The page shows the interface as it is.
var (
	_ Table        = driver.Table(nil)
	_ driver.Table = Table(nil)
)
