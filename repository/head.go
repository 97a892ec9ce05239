package repository

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/textproto"
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

type headValue string

type base64Value struct {
	Base64 []byte `json:"base64"`
}

func (v headValue) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(v)) {
		return marshalPlain(string(v))
	}
	return json.Marshal(base64Value{[]byte(v)})
}

func (v *headValue) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte("{")) {
		var encoded base64Value
		err := json.Unmarshal(data, &encoded)
		*v = headValue(encoded.Base64)
		return err
	}
	return json.Unmarshal(data, (*string)(v))
}

// marshalPlain is json.Marshal without escaping <, > and &, for those who
// read the table.
func marshalPlain(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func encodeHead(h head) (string, error) {
	values := make(map[string][]headValue, len(h.Header)+2)
	connection := connectionHeaders(h.Header)
	for name, list := range h.Header {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		if len(list) == 0 || notKept[canonical] || connection[canonical] {
			continue
		}
		if strings.HasPrefix(name, ":") || !utf8.ValidString(name) {
			return "", fmt.Errorf("%q is no header's name", name)
		}
		kept := make([]headValue, len(list))
		for i, v := range list {
			kept[i] = headValue(v)
		}
		values[name] = kept
	}
	if h.Proto != "" && h.Proto != usualProto {
		values[protoName] = []headValue{headValue(h.Proto)}
	}
	if h.Reason != "" {
		values[reasonName] = []headValue{headValue(h.Reason)}
	}
	if len(values) == 0 {
		return "", nil
	}
	encoded, err := marshalPlain(values)
	return string(encoded), err
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
