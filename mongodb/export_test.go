package mongodb

import "github.com/endpointcache/endpointcache/driver"

// MaxKeys is how many keys a command has.
const MaxKeys = maxKeys

// AsMongoDB has a table that stands on FerretDB take it for MongoDB.
func AsMongoDB(t driver.Table) driver.Table {
	other := *t.(*table)
	store := &Store{db: other.store.db, opts: other.store.opts}
	other.store = store
	return &other
}
