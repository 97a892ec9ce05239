package postgres

import "github.com/endpointcache/endpointcache/driver"

// DeleteText is the statement that deletes many keys from a table.
func DeleteText(t driver.Table) string { return t.(*table).text(opDeleteAll, 0, driver.All) }

// RenewText is the statement that renews many entries of a table.
func RenewText(t driver.Table) string { return t.(*table).text(opRenewAll, 0, driver.All) }

// PageText is the statement that reads the entries after a key.
func PageText(t driver.Table) string { return t.(*table).text(opPageNext, 0, driver.All) }
