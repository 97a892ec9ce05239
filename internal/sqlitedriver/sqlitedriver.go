// Package sqlitedriver is where sqlite/purego leaves its driver for package sqlite,
// which does not import it: a program that is built with cgo has not to download what
// it does not use.
package sqlitedriver

import "database/sql/driver"

// WithoutCgo is the driver of a program that is built without cgo; nil where the
// program has none. It is set before main begins.
var WithoutCgo driver.Driver
