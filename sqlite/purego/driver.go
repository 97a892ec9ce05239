//go:build !cgo

package purego

import (
	"modernc.org/sqlite"

	"github.com/endpointcache/endpointcache/internal/sqlitedriver"
)

func init() { sqlitedriver.WithoutCgo = new(sqlite.Driver) }
