package request

import (
	"errors"
	"net/url"
	"strings"

	"github.com/endpointcache/endpointcache/internal/keytype"
)

// separator stands between the values of a list that is one text of a URL. The zero value is
// none: each value has a parameter of its own.
//
// It is written as in the table of styles of OpenAPI 3.0.4 and 3.1.1. The same character in the
// other spelling is a part of a value, so that no two texts have the same values: servers that
// decode a text before they split it do not tell the two apart, but others do.
type separator struct{ written, inValue string }

// separators are those of the options of a tag, by their names.
var separators = map[string]separator{
	"comma": {",", "%2C"},
	"space": {"%20", "+"},
	"pipe":  {"%7C", "|"},
}

// separator is what the tag says of how several values are one text.
func (t *fieldTag) separator(r repeat) (found separator, err error) {
	for _, option := range t.options {
		s, ok := separators[option]
		switch {
		case !ok:
		case found != separator{}:
			return separator{}, errors.New("it has two separators")
		default:
			found = s
		}
	}
	if r == once && found != (separator{}) {
		return separator{}, errors.New("a separator is for a list or set")
	}
	return found, nil
}

// split takes apart a text as it stands in a URL. What is escaped in it is a part of a value.
func (s separator) split(escaped string, unescape func(string) (string, error)) ([]string, error) {
	escaped = strings.ReplaceAll(escaped, strings.ToLower(s.written), s.written)
	values := strings.Split(escaped, s.written)
	for i, value := range values {
		var err error
		if values[i], err = unescape(value); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// join is what split takes apart.
func (s separator) join(values []string, escape func(string) string) string {
	escaped := make([]string, len(values))
	for i, value := range values {
		escaped[i] = strings.ReplaceAll(escape(value), s.written, s.inValue)
	}
	return strings.Join(escaped, s.written)
}

// readList reads a segment whose value is a list. The text beside it has no comma.
func (s *segment) readList(raw string) (text string, ok bool) {
	values, err := s.separator.split(raw, url.PathUnescape)
	if err != nil {
		return "", false
	}
	last := len(values) - 1
	if values[0], ok = strings.CutPrefix(values[0], s.prefix.text); !ok {
		return "", false
	}
	if values[last], ok = strings.CutSuffix(values[last], s.suffix.text); !ok {
		return "", false
	}
	text = s.repeat.join(values)
	// A set of the same value several times is that of one, which may have no place in a path.
	return text, text != JoinList("") && !isDots(s.prefix.text+text+s.suffix.text)
}

// bindList notes that the field of a segment is a list.
func (s *segment) bindList(f *keytype.Field, tag fieldTag) (err error) {
	if s.repeat, err = tag.repeat(f); err != nil {
		return err
	}
	if s.separator, err = tag.separator(s.repeat); err != nil {
		return err
	}
	switch {
	case s.repeat == once:
	case s.separator == separator{}:
		return errors.New("a segment is there once: the values of its list need the option comma")
	case s.span:
		return errors.New("a wildcard that spans segments is no list")
	case strings.Contains(s.prefix.text+s.suffix.text, ","):
		return errors.New("a list has no comma in the text beside it")
	}
	return nil
}
