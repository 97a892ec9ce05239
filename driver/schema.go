package driver

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// TableSpec describes a table: its name and the columns of its key.
type TableSpec struct {
	Name string
	Key  []Column
}

// Column is one column of a table's key.
type Column struct {
	Name string
	Kind Kind
}

// Kind is the type of a key column.
type Kind uint8

// The kinds of key column.
const (
	String Kind = iota + 1 // a string of any bytes
	Int                    // an int64
	Bool                   // a bool
)

func (k Kind) String() string {
	switch k {
	case String:
		return "string"
	case Int:
		return "int"
	case Bool:
		return "bool"
	default:
		return fmt.Sprintf("Kind(%d)", uint8(k))
	}
}

// ParseKind returns the kind that String names so.
func ParseKind(text string) (k Kind, ok bool) {
	for k := String; k <= Bool; k++ {
		if k.String() == text {
			return k, true
		}
	}
	return 0, false
}

// maxName keeps table and column names within what every store can hold.
const maxName = 255

// reserved are the names of the columns that backends add to a table, and
// SQLite's names of a row's number, which a column would hide.
var reserved = []string{
	"name", "status", "headers", "payload", "cached_at", "expires_at",
	"cached_us", "expires_us", "rowid", "oid",
}

// Reserved reports whether a key column may not have this name, because a
// backend uses it: those of an entry's other parts, and all that begin with an
// underscore.
func Reserved(column string) bool {
	return strings.HasPrefix(column, "_") || slices.Contains(reserved, strings.ToLower(column))
}

// Validate reports what makes the description unusable: an empty or overlong
// name, one that is not UTF-8 or has a control character, no column, two
// columns whose names differ only in case, or a reserved one.
func (s TableSpec) Validate() error {
	if err := checkName(s.Name); err != nil {
		return fmt.Errorf("table name %q: %w", s.Name, err)
	}
	if len(s.Key) == 0 {
		return fmt.Errorf("table %q: a key has at least one column", s.Name)
	}
	seen := make(map[string]bool, len(s.Key))
	for _, c := range s.Key {
		if err := checkName(c.Name); err != nil {
			return fmt.Errorf("table %q: key column %q: %w", s.Name, c.Name, err)
		}
		if Reserved(c.Name) {
			return fmt.Errorf("table %q: key column %q: the name is reserved", s.Name, c.Name)
		}
		if folded := strings.ToLower(c.Name); seen[folded] {
			return fmt.Errorf("table %q: two key columns are named %q", s.Name, c.Name)
		} else {
			seen[folded] = true
		}
		if c.Kind < String || c.Kind > Bool {
			return fmt.Errorf("table %q: key column %q: unknown kind %d", s.Name, c.Name, c.Kind)
		}
	}
	return nil
}

func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("it is empty")
	case len(name) > maxName:
		return fmt.Errorf("it is longer than %d bytes", maxName)
	case !utf8.ValidString(name):
		return errors.New("it is not UTF-8")
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return errors.New("it has a control character")
	}
	return nil
}

// KeyString tells the key columns in words, such as "id string, page int".
func (s TableSpec) KeyString() string {
	var b strings.Builder
	for i, c := range s.Key {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %s", c.Name, c.Kind)
	}
	return b.String()
}
