package exchange

import (
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/checksum"
	"github.com/endpointcache/endpointcache/internal/spell"
)

// damage tells of damaged entries, by the names of tables: one bad disk can damage millions.
type damage struct {
	x      *Exchange
	spells spell.Spells[string]
}

func (d *damage) init(x *Exchange) {
	d.x = x
	d.spells.Tell = func(table string, n int) {
		x.log.Warn("endpointcache: entries are damaged and not used", "repository", table, "entries", n)
	}
}

// found counts entries of a table.
func (d *damage) found(table string, n int) {
	d.x.damaged(table, n)
	d.spells.Found(table, n, d.x.Now())
}

// tellAll tells what was not told yet.
func (d *damage) tellAll() { d.spells.TellAll() }

// checked is a table of the store whose entries are checked, if the store does not do it.
func (x *Exchange) checked(store driver.Store, table driver.Table, name string, mend func(driver.Key) (time.Time, bool)) driver.Table {
	if store.Traits().Intact {
		return table
	}
	return checksum.New(table, checksum.Options{Report: func(n int) { x.damage.found(name, n) }, Mend: mend})
}
