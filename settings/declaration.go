package settings

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/endpoint"
	"github.com/endpointcache/endpointcache/internal/keytype"
)

// Declaration is what a store remembers of the settings by which the entries of a repository
// were stored.
type Declaration struct {
	// Version is that of the settings, 0 for none.
	Version int

	// Endpoint is the endpoint's pattern, or what else its String method returns, or its type.
	// It is empty without an endpoint, and if it is not known.
	Endpoint string

	// Recipe is what else the endpoint makes keys by, such as which part of a request each column
	// holds: lines that only this library needs to read. With them, programs that do not have
	// the key's type make requests for keys, and keys of requests. It is nil if it is not known,
	// as in what earlier versions have stored.
	Recipe []string

	// Payload is the type of values, with its import path, and the media type of bodies. It is
	// empty if it is not known.
	Payload string

	// Key are the key columns, without the identity. Beside are the names of those that do not
	// come from the URL.
	Key    []driver.Column
	Beside []string

	// Scope is the one of the settings, or else that of the cache.
	Scope Scope

	// DeclaredAt is when it was first met.
	DeclaredAt time.Time
}

// Differs reports whether entries that were stored by d are not those of the settings that
// other describes: they have another key, or another version. If one of the two has no
// version, the endpoint and the payload tell instead, as far as both have one. The recipe makes
// no difference.
func (d Declaration) Differs(other Declaration) bool {
	return (d.Scope == PerIdentity) != (other.Scope == PerIdentity) || d.differsWithin(other)
}

// differsWithin is Differs but for the scope, which the cache may have set.
func (d Declaration) differsWithin(other Declaration) bool {
	if !slices.Equal(d.Key, other.Key) {
		return true
	}
	if d.Version > 0 && other.Version > 0 {
		return d.Version != other.Version
	}
	return unlike(d.Endpoint, other.Endpoint) || unlike(d.Payload, other.Payload)
}

func unlike(a, b string) bool { return a != "" && b != "" && a != b }

func (d Declaration) String() string {
	var b strings.Builder
	if d.Version > 0 {
		fmt.Fprintf(&b, "version %d: ", d.Version)
	}
	if d.Endpoint != "" {
		fmt.Fprintf(&b, "endpoint %q, ", d.Endpoint)
	}
	if d.Payload != "" {
		fmt.Fprintf(&b, "payload %s, ", d.Payload)
	}
	fmt.Fprintf(&b, "key (%s)", driver.TableSpec{Key: d.Key}.KeyString())
	if d.Scope == PerIdentity {
		fmt.Fprintf(&b, " %v", d.Scope)
	}
	return b.String()
}

// Change says what happens to the entries of a declaration which differs from the settings
// (see [Declaration.Differs]) and from which no migration leads to these.
type Change uint8

const (
	// Refuse is the default: the repository is not created. The error is a [ChangedError].
	Refuse Change = iota

	// Recreate drops the repository's tables, those of all origins, and makes them anew. It is
	// logged. Programs with an older declaration that use the tables at the same time go on
	// without a cache; when they start again, they drop the newer tables in their turn.
	Recreate
)

func (c Change) String() string {
	switch c {
	case Refuse:
		return "refuse"
	case Recreate:
		return "recreate"
	default:
		return fmt.Sprintf("Change(%d)", uint8(c))
	}
}

// ChangedError tells that the store has entries of a repository which were stored by another
// declaration. Nothing was changed.
type ChangedError struct {
	Repository string
	Stored     Declaration // as the store remembers it
	Given      Declaration // as the settings have it
}

func (e *ChangedError) Error() string {
	return fmt.Sprintf("repository %q was stored by another declaration, of %v; the settings have %v: see Version, Migrations and Changed of the settings",
		e.Repository, e.Stored, e.Given)
}

// Unwrap returns [driver.ErrSchema].
func (e *ChangedError) Unwrap() error { return driver.ErrSchema }

// Declaration is what a store remembers of valid settings, but for the time.
func (s RepositorySettings[K, V]) Declaration() Declaration {
	d := Declaration{Version: s.Version, Scope: s.Scope}
	if s.expand() != nil {
		return d
	}
	d.Payload = typeName(reflect.TypeFor[V]()) + " as " + s.Payload.ContentType()
	if s.Endpoint != nil {
		d.Endpoint = endpoint.Text(s.Endpoint)
		d.Beside = endpoint.BesideURL(s.Endpoint)
		d.Recipe = endpoint.Recipe(s.Endpoint)
	}
	if key, err := keytype.Of[K](); err == nil {
		d.Key = key.Columns()
	}
	return d
}

// typeName is the name of a type with the import paths of all names in it. A struct without a
// name has the same whatever its fields are: bodies are decoded at each read, so another field
// needs nothing.
func typeName(t reflect.Type) string {
	if t.Name() != "" {
		if t.PkgPath() == "" {
			return t.Name()
		}
		return t.PkgPath() + "." + t.Name()
	}
	switch t.Kind() {
	case reflect.Pointer:
		return "*" + typeName(t.Elem())
	case reflect.Slice:
		return "[]" + typeName(t.Elem())
	case reflect.Array:
		return "[" + strconv.Itoa(t.Len()) + "]" + typeName(t.Elem())
	case reflect.Map:
		return "map[" + typeName(t.Key()) + "]" + typeName(t.Elem())
	case reflect.Struct:
		return "struct"
	default:
		return t.String()
	}
}
