//go:build !cgo

package sqlite

import (
	sqldriver "database/sql/driver"

	"modernc.org/sqlite"
)

func openConn(dsn string) (sqldriver.Conn, error) {
	return new(sqlite.Driver).Open(dsn)
}

// driverCode has nothing to add: the driver's errors tell their own code.
func driverCode(error) int { return 0 }
