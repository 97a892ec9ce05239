// Package jsonpath reads and writes paths to members of JSON objects, such as
// "filter.sector".
package jsonpath

import (
	"fmt"
	"strings"
)

// Split returns the names of which path is made, none for an empty one. A dot, a
// comma or a backslash that is part of a name has a backslash before it.
func Split(path string) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	var names []string
	var name strings.Builder
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '.':
			names = append(names, name.String())
			name.Reset()
		case c != '\\':
			name.WriteByte(c)
		case i+1 < len(path) && strings.IndexByte(special, path[i+1]) >= 0:
			i++
			name.WriteByte(path[i])
		default:
			return nil, fmt.Errorf(`path %q: a backslash stands before a dot, a comma or a backslash`, path)
		}
	}
	return append(names, name.String()), nil
}

// special are the characters that have a backslash before them in a name.
const special = `.,\`

// Join returns the path of which [Split] makes names.
func Join(names []string) string {
	escaped := make([]string, len(names))
	for i, name := range names {
		escaped[i] = escape.Replace(name)
	}
	return strings.Join(escaped, ".")
}

// Pointer returns the names and indexes of which a JSON Pointer is made, RFC 6901, that
// begins with a slash.
func Pointer(pointer string) ([]string, error) {
	tokens := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i, token := range tokens {
		if strings.Contains(tokenEscapes.Replace(token), "~") {
			return nil, fmt.Errorf(`%q has a "~" that is neither "~0" nor "~1"`, pointer)
		}
		tokens[i] = unescapeToken.Replace(token)
	}
	return tokens, nil
}

var (
	tokenEscapes  = strings.NewReplacer("~0", "", "~1", "")
	unescapeToken = strings.NewReplacer("~0", "~", "~1", "/")
)

var escape = strings.NewReplacer(`.`, `\.`, `,`, `\,`, `\`, `\\`)
