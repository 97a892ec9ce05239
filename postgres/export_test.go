package postgres

import "github.com/endpointcache/endpointcache/driver"

// DeleteText is the statement that deletes many keys from a table.
func DeleteText(t driver.Table) string { return t.(*table).text(opDeleteAll, 0, scope{}) }

// RenewText is the statement that renews many entries of a table.
func RenewText(t driver.Table) string { return t.(*table).text(opRenewAll, 0, scope{}) }

// PutIfUnchangedText is the statement that replaces the entries that are unchanged.
func PutIfUnchangedText(t driver.Table) string {
	return t.(*table).text(opPutIfUnchanged, 0, scope{})
}

// UseText is the statement that records the use of many entries of a table.
func UseText(t driver.Table) string { return t.(*table).text(opUseAll, 0, scope{}) }

// PageText is the statement that reads the entries after a key.
func PageText(t driver.Table) string { return t.(*table).text(opPageNext, 0, scope{}) }

// LeadingTexts are the statements that are told so many leading values.
func LeadingTexts(t driver.Table, leading int, state driver.State) map[string]string {
	texts := make(map[string]string)
	for name, op := range map[string]op{"count": opCount, "last": opLast, "first page": opPageFirst, "next page": opPageNext, "clear": opClearFirst, "next clear": opClearNext} {
		texts[name] = t.(*table).text(op, driver.Payload|driver.Meta, scope{Filter: driver.Filter{State: state, Leading: make(driver.Key, leading)}})
	}
	return texts
}

// ListText is the statement that lists, with its parameters.
func ListText(t driver.Table, l driver.Listing) (string, [][]byte) {
	args := newArguments(0)
	text := t.(*table).list(l, l.Selected().Parts, args)
	return text, args.values
}

// SizeText is the statement that tells the size of a table.
func SizeText(t driver.Table) string { return t.(*table).text(opSize, 0, scope{}) }

// Channel is that of the notifications.
func Channel(s *Store) string { return s.teller.channel }

// Changing is the lock of transactions that have found out whether somebody watches.
func Changing(s *Store) int64 { return s.teller.changing }
