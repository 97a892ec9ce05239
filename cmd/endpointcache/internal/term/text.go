package term

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text is text of others on one line: what a terminal would not show as itself, or would obey, is written out, such as
// \x1b, \n and \u202e. So are bytes that are not UTF-8.
func Text(s string) string {
	if shown(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		b.WriteString(escape(r, s[i:i+size]))
		i += size
	}
	return b.String()
}

// Quote is text of others as a word of a shell command, which stands for exactly these bytes: 'Daft Punk', or with
// what does not show $'\x1b', which bash and zsh know.
func Quote(s string) string {
	switch {
	case s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0:
		return s
	case shown(s):
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	var b strings.Builder
	b.WriteString("$'")
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == '\\' || r == '\'' {
			b.WriteByte('\\')
		}
		text := escape(r, s[i:i+size])
		b.WriteString(text)
		i += size
		if text != s[i-size:i] && i < len(s) && hex(s[i]) {
			b.WriteString("'$'") // or the shell would read on
		}
	}
	b.WriteByte('\'')
	return b.String()
}

// plain reports whether a shell takes r as it is, wherever it stands.
func plain(r rune) bool {
	return r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_-./:,@%+=", r))
}

func hex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func shown(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, Hidden) < 0
}

// Hidden reports whether a terminal does not show r as itself: controls, what changes the direction of text, and
// other characters without a shape.
func Hidden(r rune) bool {
	return !unicode.IsGraphic(r) || r != ' ' && unicode.IsSpace(r) || joins(r)
}

// joins reports whether r is shown as nothing, or changes what stands beside it, though Unicode counts it as graphic.
func joins(r rune) bool {
	switch {
	case r == 0x034f, r == 0x115f, r == 0x1160, r == 0x17b4, r == 0x17b5, r == 0x3164, r == 0xffa0: // fillers
		return true
	case r >= 0x180b && r <= 0x180f, r >= 0xe0100 && r <= 0xe01ef: // selectors of variants
		return true
	}
	return false
}

// escape is what is shown in place of a character, which is itself where it shows.
func escape(r rune, as string) string {
	switch {
	case r == utf8.RuneError && len(as) == 1:
		return fmt.Sprintf(`\x%02x`, as[0])
	case !Hidden(r):
		return as
	case r == '\n':
		return `\n`
	case r == '\r':
		return `\r`
	case r == '\t':
		return `\t`
	case r < utf8.RuneSelf:
		return fmt.Sprintf(`\x%02x`, r)
	case r > 0xffff:
		return fmt.Sprintf(`\U%08x`, r)
	default:
		return fmt.Sprintf(`\u%04x`, r)
	}
}
