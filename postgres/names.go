package postgres

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/endpointcache/endpointcache/driver"
)

// maxIdentifier is the most bytes of a name; PostgreSQL cuts off the rest.
const maxIdentifier = 63

// systemColumns are in every table.
var systemColumns = []string{"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"}

// identifier is the name under which something stands in the database. Names that
// differ stay different: one that is kept has less than 63 bytes, any other has
// 63 and ends with a digest.
func identifier(name string) string {
	if len(name) < maxIdentifier && !slices.Contains(systemColumns, name) {
		return name
	}
	return shortened(name, name)
}

// shortened begins like readable and ends with so much of the digest of unique
// that it is as long as a name can be.
func shortened(readable, unique string) string {
	const digits = 30 // at least
	for len(readable) >= maxIdentifier-digits {
		_, size := utf8.DecodeLastRuneInString(readable)
		readable = readable[:len(readable)-size]
	}
	digest := sha256.Sum256([]byte(unique))
	return (readable + "~" + hex.EncodeToString(digest[:]))[:maxIdentifier]
}

func quote(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// names are a table's names, as they stand in statements.
type names struct {
	schema, bare string // as they stand in the catalog
	table        string // both, quoted
	primary      string // the primary key's constraint
	expires      string // the index of expires_at
	columns      []string
	keys         []string // columns, quoted
}

func newNames(o Options, spec driver.TableSpec) names {
	name := o.TablePrefix + spec.Name
	n := names{
		schema: o.Schema,
		bare:   identifier(name),
		// Indexes share a namespace with tables. Theirs have digests of what
		// cannot be the name of a table.
		primary: quote(shortened(name+" key", name+"\x00key")),
		expires: quote(shortened(name+" expires_at", name+"\x00expires_at")),
	}
	n.table = quote(n.schema) + "." + quote(n.bare)
	for _, c := range spec.Key {
		column := identifier(c.Name)
		n.columns = append(n.columns, column)
		n.keys = append(n.keys, quote(column))
	}
	return n
}
