package request

import (
	"fmt"
	"net/url"
	"reflect"
	"strings"

	"github.com/endpointcache/endpointcache/internal/keytype"
)

// path is the path of a pattern.
type path struct {
	segments []segment
	span     int // which segment is the wildcard that spans several, or -1
}

// segment is one segment of a pattern: the text prefix, or a wildcard between
// prefix and suffix.
type segment struct {
	prefix, suffix literal
	name           string // the wildcard's name; empty: there is none
	span           bool
	field          *keytype.Field // what the wildcard is read into
	repeat         repeat
	separator      separator // of a list
}

// literal is text of a pattern, unescaped to compare and escaped to build.
type literal struct{ text, escaped string }

// read sets key's path fields from an escaped path and reports whether the path
// is of this form.
func (p *path) read(escaped string, key reflect.Value) bool {
	if escaped == "" {
		escaped = "/" // which is what is sent for it
	}
	if escaped[0] != '/' {
		return false
	}
	rest := escaped[1:]
	head, tail := p.segments, []segment(nil)
	if p.span >= 0 {
		head, tail = p.segments[:p.span], p.segments[p.span+1:]
	}
	for i := range head {
		part, after, more := strings.Cut(rest, "/")
		last := p.span < 0 && i == len(head)-1
		if more == last || !head[i].read(part, key) {
			return false
		}
		rest = after
	}
	if p.span < 0 {
		return true
	}
	for i := len(tail) - 1; i >= 0; i-- {
		slash := strings.LastIndexByte(rest, '/')
		if slash < 0 || !tail[i].read(rest[slash+1:], key) {
			return false
		}
		rest = rest[:slash]
	}
	return p.segments[p.span].readSpan(rest, key)
}

// read reads one segment of a request's path.
func (s *segment) read(raw string, key reflect.Value) bool {
	text, err := url.PathUnescape(raw)
	if err != nil {
		return false
	}
	if s.field == nil {
		return text == s.prefix.text
	}
	if isDots(text) {
		return false
	}
	if s.repeat != once {
		list, ok := s.readList(raw)
		return ok && s.field.SetText(key, list) == nil
	}
	value, ok := strings.CutPrefix(text, s.prefix.text)
	if !ok {
		return false
	}
	value, ok = strings.CutSuffix(value, s.suffix.text)
	return ok && value != "" && s.field.SetText(key, value) == nil
}

// readSpan reads the segments of a wildcard that spans several. Their value is
// joined by slashes, so an escaped slash could not be told from these.
func (s *segment) readSpan(raw string, key reflect.Value) bool {
	if strings.Contains(raw, "%2F") || strings.Contains(raw, "%2f") {
		return false
	}
	value, err := url.PathUnescape(raw)
	if err != nil || value == "" || hasDots(value) {
		return false
	}
	return s.field.SetText(key, value) == nil
}

// build returns the escaped path for key.
func (p *path) build(key reflect.Value) (string, error) { return p.buildList(key, nil, "") }

// buildList is build with escaped text in place of the value in one of the segments.
func (p *path) buildList(key reflect.Value, in *segment, escaped string) (string, error) {
	var b strings.Builder
	for i := range p.segments {
		s := &p.segments[i]
		b.WriteByte('/')
		b.WriteString(s.prefix.escaped)
		if s.field == nil {
			continue
		}
		value, err := s.field.Text(key)
		if err != nil {
			return "", err
		}
		switch {
		case s == in:
			b.WriteString(escaped)
		case value == "", s.repeat != once && value == JoinList(""):
			return "", fmt.Errorf("%s: an empty value has no place in the path", s.field)
		case s.repeat != once:
			values, err := SplitList(value)
			if err != nil {
				return "", err
			}
			list := s.separator.join(values, url.PathEscape)
			if isDots(s.prefix.text + list + s.suffix.text) {
				return "", errDots(s.field, list)
			}
			b.WriteString(list)
		case s.span && hasDots(value), isDots(s.prefix.text + value + s.suffix.text):
			return "", errDots(s.field, value)
		case s.span:
			b.WriteString(strings.ReplaceAll(url.PathEscape(value), "%2F", "/"))
		default:
			b.WriteString(url.PathEscape(value))
		}
		b.WriteString(s.suffix.escaped)
	}
	return b.String(), nil
}

func errDots(f *keytype.Field, value string) error {
	return fmt.Errorf(`%s: %s makes a segment "." or "..", which is not sent as it is`, f, f.Quote(value))
}

// isDots tells whether clients and servers take the segment out of a path.
func isDots(segment string) bool { return segment == "." || segment == ".." }

func hasDots(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if isDots(segment) {
			return true
		}
	}
	return false
}
