// Package textprefix is for stores that keep strings as text and compare them with a
// prefix of bytes, which may end within a character.
package textprefix

import (
	"strings"
	"unicode/utf8"
)

// Whole returns s without the bytes at its end that are the begin of a character. What
// begins with s begins with it, too.
func Whole(s string) string {
	for i := 1; i < utf8.UTFMax && i <= len(s); i++ {
		if end := s[len(s)-i:]; utf8.RuneStart(end[0]) {
			if !utf8.FullRuneInString(end) {
				return strings.TrimSuffix(s, end)
			}
			break
		}
	}
	return s
}
