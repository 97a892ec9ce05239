package jsontest

import (
	"encoding/json"
	"errors"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"time"
)

// Album has one of most things that an API's answer has.
type Album struct {
	ID       string            `json:"id"`
	Tracks   []Track           `json:"tracks,omitempty"`
	Labels   map[string]string `json:"labels"`
	Released *time.Time        `json:"released"`
	Raw      json.RawMessage   `json:"raw,omitempty"`
	Any      any               `json:"any"`
	Number   json.Number       `json:"number,omitempty"`
	Fixed    [2]int            `json:"fixed"`
	Embedded
}

// Track is one of an Album's.
type Track struct {
	Title  string  `json:"title"`
	Length float64 `json:"length"`
	Plays  uint32  `json:"plays"`
	Live   bool    `json:"live"`
}

// Embedded is a part of Album.
type Embedded struct{ Note string }

// Types are those that a library is compared on with any body.
var Types = []reflect.Type{
	reflect.TypeFor[Album](),
	reflect.TypeFor[any](),
	reflect.TypeFor[[]Track](),
	reflect.TypeFor[map[int]*Track](),
}

// Seeds are bodies for Types to begin with.
var Seeds = []string{
	`{"id":"a","tracks":[{"title":"b","length":1e3,"plays":1,"live":true}],"labels":{"c":null}}`,
	`{"released":"2026-01-02T03:04:05Z","raw":[1, 2],"any":{"x":[1.10,null,"\ud800"]},"number":1e400,"fixed":[1,2,3]}`,
	`{"ID":"folded","Note":"\u00e9\\\"","note":"twice"}`, `null`, `[1]`, "{\"id\":\"\xff\"}",
	`{"any":[[[[[[]]]]]]}`, `{"fixed":null}`,
}

// Upper reads and writes itself as text.
type Upper string

// MarshalText makes it small.
func (u Upper) MarshalText() ([]byte, error) { return []byte(strings.ToLower(string(u))), nil }

// UnmarshalText makes it large.
func (u *Upper) UnmarshalText(text []byte) error {
	if string(text) == "refused" {
		return errors.New("refused")
	}
	*u = Upper(strings.ToUpper(string(text)))
	return nil
}

// Verbatim reads and writes itself as JSON.
type Verbatim struct{ text string }

// MarshalJSON writes what was read.
func (v Verbatim) MarshalJSON() ([]byte, error) {
	if v.text == "" {
		return []byte(`{"none": "<&>"}`), nil
	}
	return []byte(v.text), nil
}

// UnmarshalJSON keeps what it is given.
func (v *Verbatim) UnmarshalJSON(data []byte) error {
	if string(data) == `"refused"` {
		return errors.New("refused")
	}
	v.text += string(data)
	return nil
}

type (
	text    string
	number  int16
	letters []byte
	letter  byte
	ref     *Track
)

// Point is embedded, with a name that a field of what embeds it may have.
type Point struct {
	X, Y float64
	Name string `json:"name,omitempty"`
}

type hidden struct {
	Shown  string `json:"shown"`
	secret int    //nolint:unused // it is not to be read or written
}

// Deep has pointers, embedded and to itself.
type Deep struct {
	*Point
	hidden
	Next  *Deep            `json:"next,omitempty"`
	Nodes []Deep           `json:"nodes"`
	Named map[string]*Deep `json:"named,omitempty"`
	A     int              `json:"a"`
	AA    int              `json:"A"`
	Name  string           `json:"Name"`
}

// Tree has itself in itself.
type Tree struct {
	Label    string          `json:"label"`
	Children []Tree          `json:"children"`
	Parent   *Tree           `json:"parent"`
	ByName   map[string]Tree `json:"by_name,omitempty"`
	hidden
}

// Plain is embedded in what has other names.
type Plain struct {
	Href  string   `json:"href"`
	Total *int     `json:"total,omitempty"`
	Tags  []string `json:"tags"`
}

// Secret embeds a pointer that cannot be set.
type Secret struct {
	*hidden
	A int
}

// leaves are types that random types are made of.
var leaves = []reflect.Type{
	reflect.TypeFor[bool](),
	reflect.TypeFor[int](), reflect.TypeFor[int8](), reflect.TypeFor[int64](),
	reflect.TypeFor[uint8](), reflect.TypeFor[uint16](), reflect.TypeFor[uint64](), reflect.TypeFor[uintptr](),
	reflect.TypeFor[float32](), reflect.TypeFor[float64](),
	reflect.TypeFor[string](), reflect.TypeFor[string](), reflect.TypeFor[text](), reflect.TypeFor[number](),
	reflect.TypeFor[any](), reflect.TypeFor[any](), reflect.TypeFor[error](),
	reflect.TypeFor[[]byte](), reflect.TypeFor[letters](), reflect.TypeFor[[]letter](), reflect.TypeFor[[3]byte](),
	reflect.TypeFor[json.RawMessage](), reflect.TypeFor[json.Number](),
	reflect.TypeFor[time.Time](), reflect.TypeFor[time.Duration](),
	reflect.TypeFor[big.Int](), reflect.TypeFor[netip.Addr](), reflect.TypeFor[url.URL](),
	reflect.TypeFor[Upper](), reflect.TypeFor[Verbatim](),
	reflect.TypeFor[Deep](), reflect.TypeFor[Tree](), reflect.TypeFor[Secret](), reflect.TypeFor[struct{}](),
	reflect.TypeFor[Album](), reflect.TypeFor[Track](), reflect.TypeFor[ref](),
}

// parts are structs to embed.
var parts = []reflect.Type{reflect.TypeFor[Point](), reflect.TypeFor[Embedded](), reflect.TypeFor[Plain]()}

var mapKeys = []reflect.Type{
	reflect.TypeFor[string](), reflect.TypeFor[string](), reflect.TypeFor[text](),
	reflect.TypeFor[int8](), reflect.TypeFor[uint64](), reflect.TypeFor[number](),
	reflect.TypeFor[Upper](), reflect.TypeFor[netip.Addr](), reflect.TypeFor[json.Number](),
}
