package redact

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// step is one of those that lead to a member.
type step struct {
	text string
	name bool // it is a name that may end in "*", not a part of a pointer, which may be "*"
}

func (s step) matches(name string) bool {
	if !s.name {
		return s.text == "*" || strings.EqualFold(s.text, name)
	}
	prefix, all := strings.CutSuffix(s.text, "*")
	if all {
		return len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
	}
	return strings.EqualFold(s.text, name)
}

// Body returns the body that is stored of a response with that header: body itself where
// nothing changes. The error is [ErrNotStored], wrapped.
func (r *Redactor) Body(h http.Header, body []byte) ([]byte, error) {
	if len(r.json) == 0 || len(body) == 0 {
		return body, nil
	}
	if coding := h.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		if !isMedia(h) {
			return nil, fmt.Errorf("redact: %w: it is compressed, and may be JSON", ErrNotStored)
		}
		return body, nil
	}
	e := editor{text: body, rules: r.json}
	if !e.run() {
		if saysJSON(h) {
			return nil, fmt.Errorf("redact: %w: it says that it is JSON, and is none", ErrNotStored)
		}
		return body, nil
	}
	return e.result(), nil
}

// saysJSON reports whether a Content-Type is one of JSON, or of several texts of it.
func saysJSON(h http.Header) bool {
	mediaType, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return strings.Contains(strings.ToLower(h.Get("Content-Type")), "json")
	}
	return strings.Contains(mediaType, "json")
}

// isMedia reports whether a Content-Type is one that JSON never has.
func isMedia(h http.Header) bool {
	kind, _, _ := strings.Cut(strings.ToLower(h.Get("Content-Type")), "/")
	return slices.Contains([]string{"audio", "font", "image", "video"}, kind)
}

// editor writes null in place of the members that rules name. It knows that the text is
// JSON.
type editor struct {
	text   []byte
	rules  [][]step
	at     int
	edited []byte // what has been written so far; nil: no change yet
	copied int    // how much of text it stands for
}

// byteOrderMark begins some texts. It is none of JSON, and many readers skip it.
const byteOrderMark = "\ufeff"

// run reports whether the text is JSON, or several texts of it.
func (e *editor) run() bool {
	if bytes.HasPrefix(e.text, []byte(byteOrderMark)) {
		e.at = len(byteOrderMark)
	}
	if text := e.text[e.at:]; !json.Valid(text) && !validTexts(text) {
		return false
	}
	for e.space(); e.at < len(e.text); e.space() {
		e.value(e.rules)
	}
	return true
}

// validTexts reports whether text is several texts of JSON, one after another.
func validTexts(text []byte) bool {
	for decoder := json.NewDecoder(bytes.NewReader(text)); ; {
		var one json.RawMessage
		switch err := decoder.Decode(&one); {
		case errors.Is(err, io.EOF):
			return true
		case err != nil:
			return false
		}
	}
}

func (e *editor) result() []byte {
	if e.edited == nil {
		return e.text
	}
	return append(e.edited, e.text[e.copied:]...)
}

func (e *editor) space() {
	for e.at < len(e.text) && strings.IndexByte(" \t\r\n", e.text[e.at]) >= 0 {
		e.at++
	}
}

// value goes over a value, for which the rules are those that have led to it, without the
// steps up to there.
func (e *editor) value(rules [][]step) {
	e.space()
	switch e.text[e.at] {
	case '{':
		e.members(rules, true)
	case '[':
		e.members(rules, false)
	case '"':
		e.quoted()
	default:
		for e.at < len(e.text) && strings.IndexByte(",]}[{\" \t\r\n", e.text[e.at]) < 0 {
			e.at++
		}
	}
}

// members goes over those of an object or an array.
func (e *editor) members(rules [][]step, object bool) {
	e.at++
	for i := 0; ; i++ {
		e.space()
		switch e.text[e.at] {
		case '}', ']':
			e.at++
			return
		case ',':
			e.at++
			e.space()
		}
		name := ""
		switch {
		case object:
			quoted := e.quoted()
			if len(rules) > 0 {
				name = unquoted(quoted)
			}
			e.space()
			e.at++ // the colon
			e.space()
		case len(rules) > 0:
			name = strconv.Itoa(i)
		}
		e.member(rules, name)
	}
}

func (e *editor) member(rules [][]step, name string) {
	var further [][]step
	for _, rule := range rules {
		if !rule[0].matches(name) {
			continue
		}
		if len(rule) == 1 {
			from := e.at
			e.value(nil)
			e.replace(from, e.at)
			return
		}
		further = append(further, rule[1:])
	}
	e.value(further)
}

func (e *editor) replace(from, to int) {
	if string(e.text[from:to]) == "null" {
		return
	}
	e.edited = append(append(e.edited, e.text[e.copied:from]...), "null"...)
	e.copied = to
}

// quoted goes over a string and returns it with its quotes.
func (e *editor) quoted() []byte {
	from := e.at
	for e.at++; e.text[e.at] != '"'; e.at++ {
		if e.text[e.at] == '\\' {
			e.at++
		}
	}
	e.at++
	return e.text[from:e.at]
}

func unquoted(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	var name string
	_ = json.Unmarshal(quoted, &name) // it is valid
	return name
}
