package dynamodb

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

const maxTableName = 255

// tableName is the table of DynamoDB that holds a repository of that name.
func (o *Options) tableName(repository string) string {
	if o.TablePrefix == "" {
		return o.Table
	}
	return o.TablePrefix + escapeName(repository, maxTableName-len(o.TablePrefix))
}

// escapeName returns a text of DynamoDB's characters that stands for name: other bytes,
// points and capitals are a point and two hexadecimal digits. What is longer than limit
// ends with a digest, behind what is no such escape. Different names stay different, also
// to a server that does not tell capitals from small letters, as DynamoDB Local.
func escapeName(name string, limit int) string {
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_' || c == '-':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, ".%02x", c)
		}
	}
	text := b.String()
	if len(text) <= limit {
		return text
	}
	digest := sha256.Sum256([]byte(name))
	end := ".." + hex.EncodeToString(digest[:])
	return text[:limit-len(end)] + end
}

// base begins the partitions of a repository: the namespace, a colon, and its name
// with colons doubled; without a namespace the name alone. So the first colons are an
// odd number where there is a namespace and an even one where there is none.
func (o *Options) base(repository string) string {
	name := strings.ReplaceAll(repository, ":", "::")
	if o.Namespace == "" {
		return name
	}
	return o.Namespace + ":" + name
}

const (
	buckets       = 16 // partitions of a repository's entries, and of their parts
	hexDigits     = "0123456789abcdef"
	schemaSuffix  = "/schema"
	partsInfix    = "/part-"
	schemaSortKey = "schema"
	listSuffix    = "/tables"
)

// listPartition has an item for each repository that the store has opened in a table of
// DynamoDB, whose sort key is its name. A repository's partitions do not end so.
func (o *Options) listPartition() string { return o.base("") + listSuffix }

// partitions are the partition keys of a repository. None is another's: what follows
// the last slash is a digit for entries alone.
type partitions struct {
	entries [buckets]string
	parts   [buckets]string
	schema  string
}

func newPartitions(base string) (p partitions) {
	for i := range buckets {
		digit := hexDigits[i : i+1]
		p.entries[i] = base + "/" + digit
		p.parts[i] = base + partsInfix + digit
	}
	p.schema = base + schemaSuffix
	return p
}

// quote makes a name of PartiQL.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
