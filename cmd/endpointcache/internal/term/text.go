package term

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/endpointcache/endpointcache/internal/preview"
)

// Text is text of others on one line. What a terminal would not show as itself, or would obey, is written out, such as
// \x1b, \n and \u202e.
func Text(s string) string { return preview.Line(s) }

// Quote is text of others as a word of a shell command, which stands for exactly these bytes: 'Daft Punk', or with
// what does not show $'\x1b', which bash and zsh know.
func Quote(s string) string {
	switch {
	case s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0:
		return s
	case Text(s) == s:
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	var b strings.Builder
	b.WriteString("$'")
	for i := 0; i < len(s); {
		_, size := utf8.DecodeRuneInString(s[i:])
		char := s[i : i+size]
		i += size
		switch escaped := Text(char); {
		case char == `\` || char == "'":
			b.WriteString(`\` + char)
		case escaped == char:
			b.WriteString(char)
		case size > 1: // \u depends on the locale
			for _, c := range []byte(char) {
				fmt.Fprintf(&b, `\x%x`, c)
			}
		default:
			b.WriteString(escaped)
			if i < len(s) && isHex(s[i]) {
				b.WriteString("'$'") // or the shell would take that for a digit of the escape
			}
		}
	}
	b.WriteByte('\'')
	return b.String()
}

// plain reports whether a shell takes r as it is, wherever it stands.
func plain(r rune) bool {
	return r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_-./:,@%+=", r))
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
