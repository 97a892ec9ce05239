package mongodb

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

const (
	// A namespace has up to 255 bytes: a database's name of up to 63, a dot, and
	// a collection's.
	maxCollection = 190
	maxPrefix     = 64

	// collectionOfTables tells of each collection what it holds.
	collectionOfTables = "endpointcache.tables"
)

// collectionName is the name of the collection of a table. Names that differ stay
// different: a percent sign, what some server does not take, and a dot where it could
// not stand or the name would be another's are % and two digits. One that would be too
// long ends with a digest, and is as long as a name can be.
func collectionName(prefix, table string) string {
	var b strings.Builder
	b.WriteString(prefix)
	for i := range len(table) {
		c := table[i]
		switch {
		case strings.IndexByte(`%$"\`, c) >= 0 || c == '.' && !dotFits(prefix, table, i):
			fmt.Fprintf(&b, "%%%02x", c)
		default:
			b.WriteByte(c)
		}
	}
	name := b.String()
	if len(name) < maxCollection {
		return name
	}
	digest := sha256.Sum256([]byte(name))
	begin := cut(name, maxCollection-33)
	return (begin + "~" + hex.EncodeToString(digest[:]))[:maxCollection]
}

// dotFits reports whether the dot at i may stand in a collection's name: not at
// either end, and not behind what the names of others begin with.
func dotFits(prefix, table string, i int) bool {
	before := prefix + table[:i]
	return i > 0 && i < len(table)-1 && before != "system" && before != "endpointcache"
}

// fieldName is the name of the field of a key column. A dot or a dollar sign would
// have a meaning in queries; not every server takes quotes and backslashes.
func fieldName(column string) string { return fieldEscapes.Replace(column) }

var fieldEscapes = strings.NewReplacer("%", "%25", "$", "%24", ".", "%2e", `"`, "%22", `\`, "%5c")
