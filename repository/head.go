package repository

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"unicode/utf8"
)

// head is the part of a response before its body, without the status code. It is
// kept as one JSON object of header names and lists of values. What is not the
// usual HTTP/1.1 status line has a name that begins with a colon, as no header's
// does. A value that is not UTF-8, which JSON cannot hold, is an object with its
// base64 form.
type head struct {
	Header http.Header
	Proto  string
	Reason string
}

const (
	usualProto = "HTTP/1.1"
	protoName  = ":proto"
	reasonName = ":reason"
)

// notKept are the headers that belong to one connection, or to one user's
// session: replayed, a Set-Cookie would bring back a session that has ended.
var notKept = map[string]bool{
	"Connection":          true,
	"Keep-Alive":          true,
	"Proxy-Authenticate":  true,
	"Proxy-Authorization": true,
	"Proxy-Connection":    true,
	"Te":                  true,
	"Trailer":             true,
	"Transfer-Encoding":   true,
	"Upgrade":             true,
	"Set-Cookie":          true,
	"Set-Cookie2":         true,
}

// appendValue appends a header's value, or name, as JSON. The usual one needs no
// escapes; < and > have none either, for those who read the table.
func appendValue(b []byte, s string) ([]byte, error) {
	switch {
	case !utf8.ValidString(s):
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

func encodeHead(h head) (string, error) {
	kept := make(map[string][]string, len(h.Header)+2)
	connection := connectionHeaders(h.Header)
	for name, list := range h.Header {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		if len(list) == 0 || notKept[canonical] || connection[canonical] {
			continue
		}
		if strings.HasPrefix(name, ":") || !utf8.ValidString(name) {
			return "", fmt.Errorf("%q is no header's name", name)
		}
		kept[name] = list
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
		if b, err = appendValue(b, name); err != nil {
			return "", err
		}
		b = append(b, ":["...)
		for i, value := range kept[name] {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendValue(b, value); err != nil {
				return "", err
			}
		}
		b = append(b, ']')
	}
	return string(append(b, '}')), nil
}

// headValue is a value as appendValue writes it.
type headValue string

// UnmarshalJSON implements json.Unmarshaler.
func (v *headValue) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte("{")) {
		var encoded struct {
			Base64 []byte `json:"base64"`
		}
		err := json.Unmarshal(data, &encoded)
		*v = headValue(encoded.Base64)
		return err
	}
	return json.Unmarshal(data, (*string)(v))
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

func decodeHead(encoded string) (head, error) {
	h := head{Header: http.Header{}}
	if encoded == "" {
		return h, nil
	}
	var values map[string][]headValue
	if err := json.Unmarshal([]byte(encoded), &values); err != nil {
		return h, fmt.Errorf("stored headers: %w", err)
	}
	for name, list := range values {
		switch {
		case name == protoName && len(list) > 0:
			h.Proto = string(list[0])
		case name == reasonName && len(list) > 0:
			h.Reason = string(list[0])
		default:
			for _, v := range list {
				h.Header[name] = append(h.Header[name], string(v))
			}
		}
	}
	return h, nil
}
