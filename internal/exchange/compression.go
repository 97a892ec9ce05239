package exchange

import (
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/compress"
	"github.com/endpointcache/endpointcache/settings"
)

// DictionariesTable is the name of the table in which a cache keeps what bodies are compressed
// with. It is created when the cache is first about to look for one.
const DictionariesTable = "endpointcache_dictionaries"

// through is a table of responses with the layers that entries go through on their way to the
// store and back.
func (x *Exchange) through(table driver.Table, name string, c settings.Compression) driver.Table {
	return x.compressed(x.checked(x.records.keptIn(), table, name, nil), name, c)
}

// compressed is a table whose bodies may be kept compressed.
func (x *Exchange) compressed(table driver.Table, name string, c settings.Compression) driver.Table {
	return compress.New(table, compress.Options{
		Repository: name, Save: c == settings.Zstd,
		Dictionaries: x.dictionaries.open, Go: x.background, Report: func(n int) { x.damage.found(name, n) },
		Now: x.Now, Log: x.log,
	})
}
