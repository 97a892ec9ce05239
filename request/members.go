package request

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/jsonpath"
)

// members are what a key says of a request's body: a JSON object with these and no
// others, except for ignored ones.
type members struct {
	root    member
	fields  []*memberField
	ignored []string // paths, or the beginnings of paths that end in "*"
}

// member is a member of an object: a field's, or an object that leads to some.
type member struct {
	name     string
	path     string
	field    *memberField // nil: it is an object
	children []*member
}

// memberField is a field of the key and the member that it holds.
type memberField struct {
	input
	repeat repeat
	number bool // it is a number, or a list of numbers, as they are written
	index  int  // in members.fields
}

// memberKind is the kind of a member's value, or of the values in its list.
type memberKind uint8

const (
	stringMember memberKind = iota
	numberMember
	boolMember
)

func (f *memberField) kind() memberKind {
	switch {
	case f.number || f.field.Kind == driver.Int:
		return numberMember
	case f.field.Kind == driver.Bool:
		return boolMember
	default:
		return stringMember
	}
}

// add gives a field its place.
func (m *members) add(f memberField) error {
	names, err := jsonpath.Split(f.name)
	if err != nil {
		return err
	}
	f.name, f.index = jsonpath.Join(names), len(m.fields)
	if !isText(f.name) {
		return fmt.Errorf("member %q: the name is not valid UTF-8", f.name)
	}
	at := m.root.at(names)
	if at == nil || len(at.children) > 0 || at.field != nil {
		return fmt.Errorf("member %q: another field has it, or a part of it", f.name)
	}
	at.field = &f
	m.fields = append(m.fields, &f)
	return nil
}

// at returns the member that names lead to, which it adds where there is none, or nil
// where a field has one of the objects on the way.
func (m *member) at(names []string) *member {
	at := m
	for i, name := range names {
		if at.field != nil {
			return nil
		}
		next := at.child(name)
		if next == nil {
			next = &member{name: name, path: jsonpath.Join(names[:i+1])}
			at.children = append(at.children, next)
		}
		at = next
	}
	return at
}

func (m *member) child(name string) *member {
	for _, child := range m.children {
		if child.name == name {
			return child
		}
	}
	return nil
}

// resembles tells whether name is that of another member to servers that do not tell
// cases apart.
func (m *member) resembles(name string) bool {
	return slices.ContainsFunc(m.children, func(child *member) bool {
		return child.name != name && strings.EqualFold(child.name, name)
	})
}

func (m *member) pathOf(name string) string {
	path := jsonpath.Join([]string{name})
	if m.path != "" {
		path = m.path + "." + path
	}
	return path
}

func (m *members) owns(path string) bool {
	return slices.ContainsFunc(m.fields, func(f *memberField) bool {
		return f.name == path || strings.HasPrefix(f.name, path+".")
	})
}

func (m *members) ignores(path string) bool { return matchName(m.ignored, path) }

func (m *members) setIgnored(paths []string) error {
	if err := checkNames("IgnoreMembers", paths); err != nil {
		return err
	}
	for _, path := range paths {
		beginning, open := strings.CutSuffix(path, "*")
		names, err := jsonpath.Split(beginning)
		if err != nil {
			return fmt.Errorf("IgnoreMembers: %w", err)
		}
		normal := jsonpath.Join(names)
		if open {
			normal += "*"
		}
		object := m.root.at(names[:max(len(names)-1, 0)])
		if object == nil || object.field != nil || !open && m.owns(normal) {
			return fmt.Errorf("IgnoreMembers: member %q is part of the key", path)
		}
		m.ignored = append(m.ignored, normal)
	}
	return nil
}

// read sets key's fields from req's body and reports whether it matches. The error is
// that of a body that cannot be read.
func (m *members) read(req *http.Request, key reflect.Value) (bool, error) {
	if !isJSON(req.Header) {
		return false, nil
	}
	data, err := Body(req, DefaultBodyLimit)
	switch {
	case errors.Is(err, ErrBodyTooLarge):
		return false, nil
	case err != nil:
		return false, err
	case !json.Valid(data): // what is valid is of limited depth, too
		return false, nil
	}
	r := memberReader{members: m, dec: json.NewDecoder(bytes.NewReader(data)), key: key, found: make([]bool, len(m.fields))}
	r.dec.UseNumber()
	if !r.opens('{') || !r.object(&m.root) {
		return false, nil
	}
	for i, f := range m.fields {
		if !r.found[i] && !f.set(key, "", false) {
			return false, nil
		}
	}
	return true, nil
}

// isJSON tells whether a body is JSON by its headers, or is not said to be anything.
func isJSON(h http.Header) bool {
	types := linesOf(h, "Content-Type")
	if len(types) > 1 || len(linesOf(h, "Content-Encoding")) > 0 {
		return false
	}
	if len(types) == 0 {
		return true
	}
	mediaType, params, err := mime.ParseMediaType(types[0])
	charset := params["charset"]
	return err == nil && (charset == "" || strings.EqualFold(charset, "utf-8")) && isJSONType(mediaType)
}

// memberReader reads JSON text that is known to be valid.
type memberReader struct {
	*members
	dec   *json.Decoder
	key   reflect.Value
	found []bool // by field
}

func (r *memberReader) next() json.Token {
	token, err := r.dec.Token()
	if err != nil {
		return nil
	}
	return token
}

func (r *memberReader) opens(delim json.Delim) bool { return r.next() == delim }

// object reads an object whose brace has been read. One that is empty differs from
// none, except for the root.
func (r *memberReader) object(m *member) bool {
	var seen []*member
	empty := m != &r.root
	for ; r.dec.More(); empty = false {
		name, _ := r.next().(string)
		child := m.child(name)
		if path := m.pathOf(name); child == nil || r.ignores(path) && !r.owns(path) {
			var skipped json.RawMessage
			if !r.ignores(path) || m.resembles(name) || r.dec.Decode(&skipped) != nil {
				return false
			}
			continue
		}
		if slices.Contains(seen, child) {
			return false // servers differ in which of the two counts
		}
		seen = append(seen, child)
		if child.field != nil && !r.value(child.field) {
			return false
		}
		if child.field == nil && (!r.opens('{') || !r.object(child)) {
			return false
		}
	}
	return !empty && r.opens('}')
}

func (r *memberReader) value(f *memberField) bool {
	var text string
	if f.repeat == once {
		var ok bool
		if text, ok = f.textOf(r.next()); !ok {
			return false
		}
	} else {
		if !r.opens('[') {
			return false
		}
		var values []string
		for r.dec.More() {
			value, ok := f.textOf(r.next())
			if !ok {
				return false
			}
			values = append(values, value)
		}
		r.next()
		text = f.repeat.join(values)
	}
	r.found[f.index] = true
	return f.set(r.key, text, true)
}

// textOf is the text of a value of the kind that the field has.
func (f *memberField) textOf(token json.Token) (string, bool) {
	switch v := token.(type) {
	case string:
		// The decoder has put the replacement character for what is no text.
		return v, f.kind() == stringMember && isText(v)
	case json.Number:
		return v.String(), f.kind() == numberMember
	case bool:
		return fmt.Sprint(v), f.kind() == boolMember
	default:
		return "", false
	}
}

// isText tells whether s stands for itself alone in JSON.
func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, utf8.RuneError) }

// build returns the body for key, with its members in the order of the fields.
func (m *members) build(key reflect.Value) ([]byte, error) {
	body, err := m.root.append(nil, key)
	if err != nil || len(body) > 0 {
		return body, err
	}
	return []byte("{}"), nil
}

// append appends the object to dst, or nothing where it has no members.
func (m *member) append(dst []byte, key reflect.Value) ([]byte, error) {
	from := len(dst)
	for _, child := range m.children {
		before := len(dst)
		dst = append(dst, ","...)
		if before == from {
			dst[from] = '{'
		}
		dst = append(appendString(dst, child.name), ':')
		start := len(dst)
		var err error
		if child.field != nil {
			dst, err = child.field.append(dst, key)
		} else {
			dst, err = child.append(dst, key)
		}
		if err != nil {
			return nil, err
		}
		if len(dst) == start {
			dst = dst[:before]
		}
	}
	if len(dst) == from {
		return dst, nil
	}
	return append(dst, '}'), nil
}

// append appends the member's value to dst, or nothing where it is not to be sent.
func (f *memberField) append(dst []byte, key reflect.Value) ([]byte, error) {
	text, send, err := f.text(key)
	if err != nil || !send {
		return dst, err
	}
	if f.repeat == once {
		return f.appendText(dst, text)
	}
	values, err := SplitList(text)
	if err != nil {
		return nil, err
	}
	dst = append(dst, '[')
	for i, value := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = f.appendText(dst, value); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

func (f *memberField) appendText(dst []byte, text string) ([]byte, error) {
	switch f.kind() {
	case stringMember:
		if !isText(text) {
			return nil, fmt.Errorf("%s: %s is not valid UTF-8, or has U+FFFD", f.field, f.field.Quote(text))
		}
		return appendString(dst, text), nil
	case numberMember:
		if !isNumber(text) {
			return nil, fmt.Errorf("%s: %s is not a JSON number", f.field, f.field.Quote(text))
		}
	case boolMember:
	}
	return append(dst, text...), nil
}

func isNumber(text string) bool {
	return text != "" && (text[0] == '-' || text[0] >= '0' && text[0] <= '9') && json.Valid([]byte(text)) &&
		strings.TrimSpace(text) == text
}

func appendString(dst []byte, s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // of a string, it cannot fail
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}

// covers tells whether m matches every body that other matches.
func (m *members) covers(other *members) bool {
	for _, f := range m.fields {
		same := slices.IndexFunc(other.fields, func(o *memberField) bool { return o.name == f.name })
		if same < 0 {
			if f.required || other.ignores(f.name) {
				return false
			}
			continue
		}
		o := other.fields[same]
		if !f.input.covers(&o.input) || f.kind() != o.kind() || (f.repeat == once) != (o.repeat == once) {
			return false
		}
	}
	for _, o := range other.fields {
		if !slices.ContainsFunc(m.fields, func(f *memberField) bool { return f.name == o.name }) && !m.ignores(o.name) {
			return false
		}
	}
	return !slices.ContainsFunc(other.ignored, func(path string) bool { return !m.ignores(path) })
}
