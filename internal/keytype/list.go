package keytype

import (
	"errors"
	"strings"
)

// JoinList is request.JoinList.
func JoinList(values ...string) string {
	var b strings.Builder
	for i, value := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		if value == "" {
			b.WriteString(`\e`)
		}
		for value != "" {
			n := strings.IndexAny(value, `,\`)
			if n < 0 {
				b.WriteString(value)
				break
			}
			b.WriteString(value[:n])
			b.WriteByte('\\')
			b.WriteByte(value[n])
			value = value[n+1:]
		}
	}
	return b.String()
}

var errList = errors.New("request: the text is not of the form that JoinList makes")

// SplitList is request.SplitList.
func SplitList(s string) ([]string, error) {
	if s == "" {
		return nil, nil
	}
	var values []string
	var value []byte
	empty := false // the value is written as \e
	for i := 0; i <= len(s); i++ {
		switch {
		case i == len(s) || s[i] == ',':
			if empty != (len(value) == 0) {
				return nil, errList
			}
			values = append(values, string(value))
			value, empty = value[:0], false
		case s[i] != '\\':
			value = append(value, s[i])
		case strings.HasPrefix(s[i:], `\e`):
			if empty {
				return nil, errList
			}
			empty = true
			i++
		case strings.HasPrefix(s[i:], `\,`), strings.HasPrefix(s[i:], `\\`):
			i++
			value = append(value, s[i])
		default:
			return nil, errList
		}
	}
	return values, nil
}
