// Package archive writes stored responses to files that other programs read, and reads them back:
// JSON lines, which keep every part, and HAR 1.2, which browsers and HTTP tools open and write.
//
// Files are written and read one response at a time, however long they are. What is not stored is
// not in a file: requests' bodies and credentials. What is stored is, so a file is as secret as the
// store is.
package archive

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/head"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

// Errors of files. They come wrapped: use [errors.Is].
var (
	// ErrFormat means that a file is none of the format, or is damaged.
	ErrFormat = errors.New("the file is not of this format")

	// ErrVersion means that a newer version of this library has written a file.
	ErrVersion = errors.New("the file is of a version that is not known")

	// ErrCutShort means that a file has no end.
	ErrCutShort = errors.New("the file is cut short")
)

// version is that of the parts of this package's own, in both forms.
const version = 1

// text is a string of any bytes: one that JSON cannot hold, as it is not UTF-8, is an object with
// its base64 form.
type text string

type textBytes struct {
	Base64 []byte `json:"base64"`
}

// MarshalJSON implements [json.Marshaler].
func (t text) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(t)) {
		return marshal(string(t))
	}
	return marshal(textBytes{[]byte(t)})
}

// UnmarshalJSON implements [json.Unmarshaler].
func (t *text) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '{' {
		var b textBytes
		err := unmarshal(data, &b)
		*t = text(b.Base64)
		return err
	}
	var s string
	err := json.Unmarshal(data, &s)
	*t = text(s)
	return err
}

// marshal is [json.Marshal] without escapes for HTML: people read the files.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// unmarshal decodes one value with no members but those that are known.
func unmarshal(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		return err
	}
	if d.More() {
		return errors.New("there is more behind the value")
	}
	return nil
}

// table is a table and its declaration.
type table struct {
	Name        string       `json:"name"`
	Repository  string       `json:"repository"`
	Origin      string       `json:"origin,omitempty"`
	Key         []column     `json:"key"`
	Declaration *declaration `json:"declaration,omitempty"`
}

type column struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
}

type declaration struct {
	Version    int       `json:"version,omitempty"`
	Endpoint   string    `json:"endpoint,omitempty"`
	Recipe     []string  `json:"recipe"` // null where nothing is known
	Payload    string    `json:"payload,omitempty"`
	Key        []column  `json:"key"`
	Beside     []string  `json:"beside,omitempty"`
	Scope      string    `json:"scope"`
	DeclaredAt time.Time `json:"declaredAt"`
}

func tableOf(t cache.Table) table {
	out := table{Name: t.Name, Repository: t.Repository, Origin: t.Origin, Key: columnsOf(t.Key)}
	if d := t.Declaration; d != nil {
		out.Declaration = &declaration{
			Version: d.Version, Endpoint: d.Endpoint, Recipe: d.Recipe, Payload: d.Payload, Key: columnsOf(d.Key), Beside: d.Beside,
			Scope: d.Scope.String(), DeclaredAt: d.DeclaredAt,
		}
	}
	return out
}

func columnsOf(key []driver.Column) []column {
	columns := make([]column, len(key))
	for i, c := range key {
		columns[i] = column{c.Name, c.Kind.String()}
	}
	return columns
}

func (t *table) stored() (cache.Table, error) {
	key, err := keyOf(t.Key)
	if err != nil {
		return cache.Table{}, fmt.Errorf("table %q: %w", t.Name, err)
	}
	out := cache.Table{Name: t.Name, Repository: t.Repository, Origin: t.Origin, Key: key}
	if d := t.Declaration; d != nil {
		if key, err = keyOf(d.Key); err != nil {
			return cache.Table{}, fmt.Errorf("table %q: %w", t.Name, err)
		}
		out.Declaration = &settings.Declaration{
			Version: d.Version, Endpoint: d.Endpoint, Recipe: d.Recipe, Payload: d.Payload, Key: key, Beside: d.Beside, DeclaredAt: d.DeclaredAt,
		}
		scope := &out.Declaration.Scope
		for ; scope.String() != d.Scope; *scope++ {
			if *scope == settings.PerIdentity {
				return cache.Table{}, fmt.Errorf("table %q: unknown scope %q", t.Name, d.Scope)
			}
		}
	}
	return out, nil
}

func keyOf(columns []column) ([]driver.Column, error) {
	key := make([]driver.Column, len(columns))
	for i, c := range columns {
		kind, ok := driver.ParseKind(c.Kind)
		if !ok {
			return nil, fmt.Errorf("key column %q: unknown kind %q", c.Name, c.Kind)
		}
		key[i] = driver.Column{Name: c.Name, Kind: kind}
	}
	return key, nil
}

// response is all of a stored response but its body.
type response struct {
	Table     string          `json:"table"`
	Key       []value         `json:"key"`
	Name      text            `json:"name,omitempty"`
	Status    int             `json:"status"`
	Head      json.RawMessage `json:"head,omitempty"` // as stores keep it
	CachedAt  time.Time       `json:"cachedAt"`
	ExpiresAt time.Time       `json:"expiresAt,omitzero"` // none: never
	UsedAt    time.Time       `json:"usedAt,omitzero"`    // none: not since
}

// value is a value of a key: a string, an integer or a bool.
type value struct{ of any }

// MarshalJSON implements [json.Marshaler].
func (v value) MarshalJSON() ([]byte, error) {
	if s, ok := v.of.(string); ok {
		return text(s).MarshalJSON()
	}
	return json.Marshal(v.of)
}

// UnmarshalJSON implements [json.Unmarshaler].
func (v *value) UnmarshalJSON(data []byte) (err error) {
	switch c := data[0]; {
	case c == '"' || c == '{':
		var t text
		err = t.UnmarshalJSON(data)
		v.of = string(t)
	case c == '-' || c >= '0' && c <= '9':
		var n int64
		err = json.Unmarshal(data, &n)
		v.of = n
	case c == 't' || c == 'f':
		v.of = c == 't'
	default:
		err = fmt.Errorf("%.20s is no value of a key", data)
	}
	return err
}

// responseOf is a stored response without its body. The error is that of headers that cannot be
// decoded, as a response is sealed.
func responseOf(e *cache.Stored) (response, error) {
	r := response{
		Table: e.Table, Name: text(e.Name), Status: e.Status, CachedAt: e.CachedAt,
		ExpiresAt: e.ExpiresAt.Truncate(time.Microsecond), // what an invalidation has cut has less
	}
	for _, c := range e.Key {
		r.Key = append(r.Key, value{c.Value})
	}
	if e.UsedAt.After(e.CachedAt) {
		r.UsedAt = e.UsedAt
	}
	encoded := exchange.HeadOf(e.Entry)
	if encoded == "" {
		return r, nil
	}
	h, err := head.Decode(encoded)
	if err != nil {
		return r, fmt.Errorf("table %q: %w", e.Table, err)
	}
	// Some stores have an order of their own, and what is the same is to be the same text.
	if encoded, err = head.Encode(h); err != nil {
		return r, fmt.Errorf("table %q: %w", e.Table, err)
	}
	r.Head = json.RawMessage(encoded)
	return r, nil
}

// stored is the response with its body, which it takes over. The tables are those of the file.
func (r *response) stored(tables []cache.Table, body []byte) (cache.Stored, error) {
	at := slices.IndexFunc(tables, func(t cache.Table) bool { return t.Name == r.Table })
	if at < 0 {
		return cache.Stored{}, fmt.Errorf("there is no table %q", r.Table)
	}
	t := tables[at]
	if len(r.Key) != len(t.Key) {
		return cache.Stored{}, fmt.Errorf("the key of table %q has %d values, not %d", r.Table, len(t.Key), len(r.Key))
	}
	h, err := head.Decode(string(r.Head))
	if err != nil {
		return cache.Stored{}, err
	}
	entry, err := repository.NewEntry(r.Status, h, body)
	if err != nil {
		return cache.Stored{}, err
	}
	entry.Name, entry.CachedAt, entry.ExpiresAt = string(r.Name), r.CachedAt, r.ExpiresAt
	e := cache.Stored{Table: r.Table, Repository: t.Repository, Origin: t.Origin, Entry: entry, UsedAt: r.UsedAt}
	for i, v := range r.Key {
		e.Key = append(e.Key, cache.KeyColumn{Name: t.Key[i].Name, Value: v.of})
	}
	return e, nil
}

// body is a body in a file: as text where it is UTF-8, and otherwise in base64.
type body struct {
	Text   string `json:"text,omitempty"`
	Base64 string `json:"base64,omitempty"`
}

func bodyOf(payload []byte) body {
	if utf8.Valid(payload) {
		return body{Text: string(payload)}
	}
	return body{Base64: base64.StdEncoding.EncodeToString(payload)}
}

func (b *body) payload() ([]byte, error) {
	if b.Base64 == "" {
		return []byte(b.Text), nil
	}
	if b.Text != "" {
		return nil, errors.New("there are two bodies")
	}
	return base64.StdEncoding.DecodeString(b.Base64)
}
