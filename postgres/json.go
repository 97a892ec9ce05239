package postgres

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// Bounds of what JSONB is sure to hold.
const (
	maxJSONB       = 32 << 20 // bytes of text
	maxJSONBDepth  = 1_000
	maxJSONBNumber = 5_000 // digits
)

// isJSONB reports whether PostgreSQL can turn text into JSONB. It refuses some
// JSON: escapes of a zero byte or of half a surrogate pair, numbers beyond those
// of NUMERIC, and more depth than its stack has.
func isJSONB(text []byte) bool {
	if len(text) > maxJSONB || !json.Valid(text) || !utf8.Valid(text) {
		return false
	}
	depth := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '[' || c == '{':
			if depth++; depth > maxJSONBDepth {
				return false
			}
		case c == ']' || c == '}':
			depth--
		case c == '"':
			end, ok := skipString(text, i+1)
			if !ok {
				return false
			}
			i = end
		case c == '-' || '0' <= c && c <= '9':
			end, ok := skipNumber(text, i)
			if !ok {
				return false
			}
			i = end - 1
		}
	}
	return true
}

// skipString returns where the string ends whose text begins at i, and reports
// whether its escapes stand for characters.
func skipString(text []byte, i int) (end int, ok bool) {
	for ; text[i] != '"'; i++ {
		if text[i] != '\\' {
			continue
		}
		i++
		if text[i] != 'u' {
			continue
		}
		unit := escaped(text[i+1:])
		i += 4
		switch {
		case unit == 0 || 0xdc00 <= unit && unit < 0xe000:
			return i, false
		case 0xd800 <= unit && unit < 0xdc00:
			low := text[i+1:]
			if low[0] != '\\' || low[1] != 'u' {
				return i, false
			}
			if unit := escaped(low[2:]); unit < 0xdc00 || unit >= 0xe000 {
				return i, false
			}
			i += 6
		}
	}
	return i, true
}

// escaped is the value of four hexadecimal digits.
func escaped(digits []byte) uint64 {
	n, err := strconv.ParseUint(string(digits[:4]), 16, 16)
	if err != nil {
		return 0 // valid JSON has digits
	}
	return n
}

// skipNumber returns where the number ends that begins at i, and reports whether
// it is within bounds.
func skipNumber(text []byte, i int) (end int, ok bool) {
	start, exponent := i, 0
	for ; i < len(text); i++ {
		switch c := text[i]; {
		case c == 'e' || c == 'E':
			exponent = i
		case (c < '0' || '9' < c) && c != '.' && c != '+' && c != '-':
			return i, within(i-start, i, exponent)
		}
	}
	return i, within(i-start, i, exponent)
}

// within reports whether a number of this length has an exponent of at most four
// digits and a sign.
func within(length, end, exponent int) bool {
	return length <= maxJSONBNumber && (exponent == 0 || end-exponent <= 6)
}
