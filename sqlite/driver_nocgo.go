//go:build !cgo

package sqlite

import (
	sqldriver "database/sql/driver"

	"github.com/endpointcache/endpointcache/internal/sqlitedriver"
)

func checkDriver() error {
	if sqlitedriver.WithoutCgo == nil {
		return ErrNoDriver
	}
	return nil
}

func openConn(dsn string) (sqldriver.Conn, error) {
	return sqlitedriver.WithoutCgo.Open(dsn)
}

// driverCode has nothing to add: the driver's errors tell their own code.
func driverCode(error) int { return 0 }
