package postgres

import "github.com/endpointcache/endpointcache/driver"

// DeleteText is the statement that deletes many keys from a table.
func DeleteText(t driver.Table) string { return t.(*table).text(opDeleteAll, 0, driver.All, 0) }

// RenewText is the statement that renews many entries of a table.
func RenewText(t driver.Table) string { return t.(*table).text(opRenewAll, 0, driver.All, 0) }

// PageText is the statement that reads the entries after a key.
func PageText(t driver.Table) string { return t.(*table).text(opPageNext, 0, driver.All, 0) }

// LeadingTexts are the statements that are told so many leading values.
func LeadingTexts(t driver.Table, leading int, state driver.State) map[string]string {
	texts := make(map[string]string)
	for name, op := range map[string]op{"count": opCount, "last": opLast, "first page": opPageFirst, "next page": opPageNext, "clear": opClearFirst, "next clear": opClearNext} {
		texts[name] = t.(*table).text(op, driver.Payload|driver.Meta, state, leading)
	}
	return texts
}
