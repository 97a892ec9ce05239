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

func literal(text string) string {
	return "E'" + strings.NewReplacer(`\`, `\\`, "'", "''").Replace(text) + "'"
}

// names are a table's names, as they stand in statements.
type names struct {
	name         string // with its prefix
	schema, bare string // as they stand in the catalog
	table        string // both, quoted
	primary      string // the primary key's constraint
	expires      string // the index of expires_at
	columns      []string
	keys         []string // columns, quoted
}

func newNames(o Options, spec driver.TableSpec) names {
	name := o.TablePrefix + spec.Name
	n := names{name: name, schema: o.Schema, bare: identifier(name)}
	n.primary, n.expires = n.index("key"), n.index("expires_at")
	n.table = quote(n.schema) + "." + quote(n.bare)
	for _, c := range spec.Key {
		column := identifier(c.Name)
		n.columns = append(n.columns, column)
		n.keys = append(n.keys, quote(column))
	}
	return n
}

// index is the name of an index, quoted. Indexes share a namespace with tables. Theirs have
// digests of what cannot be the name of a table.
func (n names) index(of string) string {
	return quote(shortened(n.name+" "+of, n.name+"\x00"+of))
}
