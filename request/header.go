package request

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"reflect"
	"strings"
)

// header is a field of the key and the header that it holds.
type header struct {
	input
	hash bool // the field holds the value's hash
}

// HeaderHash is the text of a key's field with the option hash, for a header of
// that value, such as "Bearer " and a token. It is a SHA-256, by which a value that
// is short can be found.
func HeaderHash(value string) string { return hexHash([]byte(trim(value))) }

// read sets the field from req's header and reports whether it matches.
func (h *header) read(req *http.Request, key reflect.Value) bool {
	// Names in another spelling are sent as well, but in no certain order.
	for name := range req.Header {
		if name != h.name && strings.EqualFold(name, h.name) {
			return false
		}
	}
	value, found := h.value(req)
	if found && h.hash {
		value = HeaderHash(value)
	}
	return h.set(key, value, found)
}

// value is what the header says, as it is sent.
func (h *header) value(req *http.Request) (value string, found bool) {
	lines := req.Header[h.name]
	switch len(lines) {
	case 0:
		if user := req.URL.User; user != nil && h.name == "Authorization" {
			// A client makes the header of these.
			password, _ := user.Password()
			return "Basic " + base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)), true
		}
		return "", false
	case 1:
		return trim(lines[0]), true
	}
	var b strings.Builder
	for i, line := range lines {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(trim(line))
	}
	return b.String(), true
}

// trim takes off what a client does not send of a header's value.
func trim(value string) string { return strings.Trim(value, " \t\r\n") }

// build sets the header for key. A hash does not tell what the value was.
func (h *header) build(to http.Header, key reflect.Value) error {
	text, send, err := h.text(key)
	if err != nil || !send || h.hash {
		return err
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return fmt.Errorf("%s: the value has a character that no header can have", h.field)
	}
	to[h.name] = []string{text}
	return nil
}
