//go:build cgo

package sqlite

import (
	sqldriver "database/sql/driver"
	"errors"

	"github.com/mattn/go-sqlite3"
)

func checkDriver() error { return nil }

func openConn(dsn string) (sqldriver.Conn, error) {
	return new(sqlite3.SQLiteDriver).Open(dsn)
}

// driverCode is SQLite's extended result code, or 0 where err has none.
func driverCode(err error) int {
	var e sqlite3.Error
	if errors.As(err, &e) {
		return int(e.ExtendedCode)
	}
	return 0
}
