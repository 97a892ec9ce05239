// Package head keeps what a response has before its body, without the status code,
// as text: so a store keeps it in one column, readable by people who look at a table.
package head

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"unicode/utf8"
)

// Head is what an entry keeps of a response before its body, without the status
// code.
type Head struct {
	Header  http.Header
	Trailer http.Header // the fields that came after the body; nil for none
	Proto   string      // as "HTTP/2.0"; empty: HTTP/1.1
	Reason  string      // the text after the status code; empty: the usual one

	// Notes are what the code that saves a response keeps beside it, under
	// names of its own, which hold no colon; "proto" and "reason" are taken.
	Notes map[string]string
}

// A head is stored as one JSON object of header names and lists of values. What
// is no header has a name that begins with a colon, as no header's does; a field
// that came after the body has the name ":trailer:" and its own. A value that JSON
// or a store's JSON type cannot hold, as it is not UTF-8 or holds NUL, is an object
// with its base64 form.
const (
	usualProto    = "HTTP/1.1"
	protoName     = ":proto"
	reasonName    = ":reason"
	trailerPrefix = ":trailer:"
)

// connectionOnly are the headers that belong to one connection.
var connectionOnly = map[string]bool{
	"Connection":                true,
	"Keep-Alive":                true,
	"Proxy-Authenticate":        true,
	"Proxy-Authentication-Info": true,
	"Proxy-Authorization":       true,
	"Proxy-Connection":          true,
	"Te":                        true,
	"Trailer":                   true,
	"Transfer-Encoding":         true,
	"Upgrade":                   true,
}

// HopByHop reports whether a header of that name, in canonical form, belongs to
// one connection, RFC 9110, section 7.6.1, and is never stored.
func HopByHop(name string) bool { return connectionOnly[name] }

// Encode is the text that a head is stored as. Headers that belong to a connection
// are left out. It is empty where nothing is left. A header's name that cannot be
// one is an error.
func Encode(h Head) (string, error) {
	kept := make(map[string][]string, len(h.Header)+len(h.Trailer)+2)
	connection := connectionHeaders(h.Header)
	if err := keep(kept, "", h.Header, connection); err != nil {
		return "", err
	}
	if err := keep(kept, trailerPrefix, h.Trailer, connection); err != nil {
		return "", err
	}
	for name, note := range h.Notes {
		kept[":"+name] = []string{note}
	}
	if h.Proto != "" && h.Proto != usualProto {
		kept[protoName] = []string{h.Proto}
	}
	if h.Reason != "" {
		kept[reasonName] = []string{h.Reason}
	}
	if len(kept) == 0 {
		return "", nil
	}
	names := make([]string, 0, len(kept))
	for name := range kept {
		names = append(names, name)
	}
	slices.Sort(names)
	var err error
	b := make([]byte, 0, 512)
	for i, name := range names {
		b = append(b, "{,"[min(i, 1)])
		if b, err = appendText(b, name); err != nil {
			return "", err
		}
		b = append(b, ":["...)
		for i, value := range kept[name] {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendText(b, value); err != nil {
				return "", err
			}
		}
		b = append(b, ']')
	}
	return string(append(b, '}')), nil
}

// keep adds fields to kept, under their names behind a prefix.
func keep(kept map[string][]string, prefix string, fields http.Header, connection map[string]bool) error {
	for name, list := range fields {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		if len(list) == 0 || connectionOnly[canonical] || connection[canonical] {
			continue
		}
		if name != canonical && setsCookies(name) {
			continue // so that cookies can be found by their names
		}
		if strings.HasPrefix(name, ":") || !plainText(name) {
			return fmt.Errorf("%q is no header's name", name)
		}
		kept[prefix+name] = list
	}
	return nil
}

// connectionHeaders are those that the Connection header names.
func connectionHeaders(h http.Header) map[string]bool {
	var names map[string]bool
	for _, line := range h.Values("Connection") {
		for name := range strings.SplitSeq(line, ",") {
			if names == nil {
				names = make(map[string]bool)
			}
			names[textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name))] = true
		}
	}
	return names
}

// plainText reports whether JSON, and any store's, can hold s.
func plainText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// appendText appends a value, or name, as JSON. The usual one needs no escapes; <
// and > have none either, for people who read the table.
func appendText(b []byte, s string) ([]byte, error) {
	switch {
	case !plainText(s):
		b = append(b, `{"base64":"`...)
		b = base64.StdEncoding.AppendEncode(b, []byte(s))
		return append(b, `"}`...), nil
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == '"' || r == '\\' }):
		quoted, err := json.Marshal(s)
		return append(b, quoted...), err
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"'), nil
}

// Decode is the head of which [Encode] made the text. It belongs to the caller.
func Decode(encoded string) (Head, error) {
	if encoded == "" {
		return Head{Header: http.Header{}}, nil
	}
	// Room for all headers, and for those that a cache adds.
	headers := strings.Count(encoded, `":`)
	h := Head{Header: make(http.Header, headers+3)}
	r := reader{text: encoded, values: make([]string, 0, headers+2)}
	r.expect('{')
	for more := !r.next('}'); more && r.err == nil; more = !r.closed('}') {
		name := r.string()
		r.expect(':')
		r.expect('[')
		first := len(r.values)
		for more := !r.next(']'); more && r.err == nil; more = !r.closed(']') {
			r.values = append(r.values, r.value())
		}
		h.set(name, r.values[first:len(r.values):len(r.values)])
	}
	if r.err == nil && r.peek() != 0 {
		r.fail()
	}
	if r.err != nil {
		if IsSealed(encoded) {
			r.err = ErrSealed
		}
		return h, fmt.Errorf("stored headers: %w", r.err)
	}
	return h, nil
}

// ErrSealed means that a text is what package seal has made of a head.
var ErrSealed = errors.New("they are sealed, and can be read with the keys alone")

// IsSealed reports whether a text is what package seal makes of a head, as stores may give it back: no head has a member of
// that name.
func IsSealed(encoded string) bool { return strings.HasPrefix(encoded, `{"seal":`) }

// Value is the first value of one header, by its name in canonical form, in the text
// that [Encode] has made; ok is false where there is none. It is cheaper than to
// decode all of the text.
func Value(encoded, name string) (first string, ok bool) {
	if encoded == "" {
		return "", false
	}
	r := reader{text: encoded}
	r.expect('{')
	for more := !r.next('}'); more && r.err == nil; more = !r.closed('}') {
		found := r.string() == name
		r.expect(':')
		r.expect('[')
		for more := !r.next(']'); more && r.err == nil; more = !r.closed(']') {
			if value := r.value(); found {
				return value, r.err == nil
			}
		}
	}
	return "", false
}

func (h *Head) set(name string, values []string) {
	switch {
	case !strings.HasPrefix(name, ":"):
		h.Header[name] = values
	case len(values) == 0:
	case name == protoName:
		h.Proto = values[0]
	case name == reasonName:
		h.Reason = values[0]
	case strings.HasPrefix(name, trailerPrefix):
		if h.Trailer == nil {
			h.Trailer = make(http.Header)
		}
		h.Trailer[name[len(trailerPrefix):]] = values
	default:
		if h.Notes == nil {
			h.Notes = make(map[string]string)
		}
		h.Notes[name[1:]] = values[0]
	}
}

// reader reads a head's JSON. It knows the one form that heads have, and
// shares their text: a reader of any JSON would take half of the time of a hit.
// After an error it is at the end.
type reader struct {
	text   string
	at     int
	values []string // of all headers, in one piece of memory
	err    error
}

func (r *reader) fail() {
	if r.err == nil {
		r.err = fmt.Errorf("not as they were saved, at %.40q", r.text[min(r.at, len(r.text)):])
	}
	r.at = len(r.text)
}

// peek skips white space, which stores with a JSON type add, and returns the byte
// after it, or 0 at the end.
func (r *reader) peek() byte {
	for ; r.at < len(r.text); r.at++ {
		switch c := r.text[r.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// next skips c if it comes next.
func (r *reader) next(c byte) bool {
	if r.peek() != c {
		return false
	}
	r.at++
	return true
}

func (r *reader) expect(c byte) {
	if !r.next(c) {
		r.fail()
	}
}

// closed skips what follows an element: a comma, or end.
func (r *reader) closed(end byte) bool {
	if r.next(end) {
		return true
	}
	r.expect(',')
	return false
}

func (r *reader) string() string {
	if !r.next('"') {
		r.fail()
		return ""
	}
	rest := r.text[r.at:]
	end := strings.IndexByte(rest, '"')
	if end < 0 {
		r.fail()
		return ""
	}
	if strings.IndexByte(rest[:end], '\\') < 0 {
		r.at += end + 1
		return rest[:end]
	}
	return r.escaped(rest)
}

// escaped is the string that rest begins with, whose opening quote has been read.
func (r *reader) escaped(rest string) string {
	for i := 0; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			i++
		case '"':
			var s string
			if json.Unmarshal([]byte(`"`+rest[:i+1]), &s) != nil {
				r.fail()
				return ""
			}
			r.at += i + 1
			return s
		}
	}
	r.fail()
	return ""
}

func (r *reader) value() string {
	if r.peek() != '{' {
		return r.string()
	}
	r.at++
	name := r.string()
	r.expect(':')
	encoded := r.string()
	r.expect('}')
	decoded, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || name != "base64" {
		r.fail()
	}
	return string(decoded)
}
