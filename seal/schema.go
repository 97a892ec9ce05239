package seal

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/driver"
)

// A table of which key columns are digests has one more key column in the store below, whose
// values are empty and whose name tells, by a letter each, how the others are kept. So the
// store below refuses a table that is opened in another way, and nothing has to be
// remembered beside it.
const (
	markPrefix = "seal:1:"
	markClear  = 'c'
)

// markKinds are the letters of the kinds of columns that are digests.
var markKinds = map[driver.Kind]byte{driver.String: 's', driver.Int: 'i', driver.Bool: 'b'}

// schema is how the key of a table stands in the store below.
type schema struct {
	spec     driver.TableSpec // the caller's
	digested []bool           // by column
	any      bool             // whether one is
	id       string           // of the DigestKey
}

// newSchema describes a table as the options have it.
func newSchema(spec driver.TableSpec, opts *Options, d *digester) (*schema, error) {
	s := &schema{spec: driver.TableSpec{Name: spec.Name, Key: slices.Clone(spec.Key)}, digested: make([]bool, len(spec.Key))}
	for i, c := range spec.Key {
		if strings.HasPrefix(c.Name, markPrefix) {
			return nil, fmt.Errorf("key column %q: names that begin with %q are taken", c.Name, markPrefix)
		}
		if opts.KeyColumn == nil {
			continue
		}
		switch form := opts.KeyColumn(spec.Name, c.Name); form {
		case Clear:
		case Digest:
			s.digested[i], s.any, s.id = true, true, d.id
		default:
			return nil, fmt.Errorf("key column %q: its form is %d: entries are found by keys, in the clear or as digests", c.Name, form)
		}
	}
	return s, nil
}

// below is the table in the store below.
func (s *schema) below() driver.TableSpec {
	if !s.any {
		return s.spec
	}
	spec := driver.TableSpec{Name: s.spec.Name}
	mark := []byte(markPrefix)
	for i, c := range s.spec.Key {
		if s.digested[i] {
			mark = append(mark, markKinds[c.Kind])
			c.Kind = driver.String
		} else {
			mark = append(mark, markClear)
		}
		spec.Key = append(spec.Key, c)
	}
	mark = append(append(mark, ':'), s.id...)
	spec.Key = append(spec.Key, driver.Column{Name: string(mark), Kind: driver.String})
	return spec
}

// append appends the table's name and its key columns, as they are below.
func (s *schema) append(b []byte) []byte {
	below := s.below()
	b = binary.AppendUvarint(appendString(b, below.Name), uint64(len(below.Key)))
	for _, c := range below.Key {
		b = append(appendString(b, c.Name), byte(c.Kind))
	}
	return b
}

// readSchema is the schema of a table in the store below.
func readSchema(below driver.TableSpec) *schema {
	last := len(below.Key) - 1
	s := &schema{spec: below, digested: make([]bool, len(below.Key))}
	mark, ok := strings.CutPrefix(below.Key[last].Name, markPrefix)
	letters, id, found := strings.Cut(mark, ":")
	if !ok || !found || len(letters) != last {
		return s
	}
	read := &schema{spec: driver.TableSpec{Name: below.Name, Key: slices.Clone(below.Key[:last])}, digested: make([]bool, last), any: true, id: id}
	for i := range letters {
		if letters[i] == markClear {
			continue
		}
		kind := driver.Kind(0)
		for k, letter := range markKinds {
			if letter == letters[i] {
				kind = k
			}
		}
		if kind == 0 {
			return s
		}
		read.digested[i], read.spec.Key[i].Kind = true, kind
	}
	return read
}

// String tells the key columns, and which are digests.
func (s *schema) String() string {
	text := s.spec.KeyString()
	if !s.any {
		return text
	}
	var names []string
	for i, c := range s.spec.Key {
		if s.digested[i] {
			names = append(names, c.Name)
		}
	}
	return fmt.Sprintf("%s (digests of %s by the key %s)", text, strings.Join(names, ", "), s.id)
}
