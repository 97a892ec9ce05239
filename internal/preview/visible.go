package preview

import (
	"bytes"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// Visible is text that shows what it has: control characters other than newline and tab, characters that
// change the direction of text or cannot be seen, and bytes that are not UTF-8 stand as escapes, such as \x1b, \u202e and \xff.
// A line may end in CR LF.
func Visible(text string) string { return visible(text, inText) }

// Line is text as [Visible] has it, in a single line: newlines and tabs are \n and \t.
func Line(text string) string { return visible(text, inLine) }

func visible(text string, where place) string {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= 0x7f {
			var out writer
			out.visible([]byte(text), where)
			return string(out.text)
		}
	}
	return text
}

// place is where a text stands.
type place uint8

const (
	inText place = iota
	inLine
	inJSON // where escapes are those of JSON
)

// writer collects text up to a limit, if that is positive. Its methods return false for what does not fit any more.
type writer struct {
	text  []byte
	limit int
}

// raw writes all of text, or nothing.
func (w *writer) raw(text []byte) bool {
	if w.limit > 0 && len(w.text)+len(text) > w.limit {
		return false
	}
	w.text = append(w.text, text...)
	return true
}

// visible writes text as far as it fits, in whole runes and escapes.
func (w *writer) visible(text []byte, where place) bool {
	for len(text) > 0 {
		plain := 0
		for plain < len(text) && text[plain] >= ' ' && text[plain] < 0x7f {
			plain++
		}
		if room := w.limit - len(w.text); w.limit > 0 && plain > room {
			w.text = append(w.text, text[:room]...)
			return false
		}
		w.text = append(w.text, text[:plain]...)
		if text = text[plain:]; len(text) == 0 {
			break
		}
		r, n := utf8.DecodeRune(text)
		if !w.raw(shown(r, text[:n], where, bytes.HasPrefix(text, []byte("\r\n")))) {
			return false
		}
		text = text[n:]
	}
	return true
}

// shown is a character as it is written: itself or an escape.
func shown(r rune, encoded []byte, where place, beforeNewline bool) []byte {
	switch {
	case r == utf8.RuneError && len(encoded) == 1 && where == inJSON:
		return []byte(`\ufffd`) // what a decoder makes of it
	case r == utf8.RuneError && len(encoded) == 1:
		return fmt.Appendf(nil, `\x%02x`, encoded[0])
	case r == '\r' && beforeNewline && where != inLine:
		return nil
	case (r == '\n' || r == '\t') && where != inLine:
		return encoded
	case r == '\n':
		return []byte(`\n`)
	case r == '\t':
		return []byte(`\t`)
	case !hidden(r):
		return encoded
	case where == inJSON && r > 0xffff:
		return fmt.Appendf(nil, `\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
	case r < 0x80 && where != inJSON:
		return fmt.Appendf(nil, `\x%02x`, r)
	case r > 0xffff:
		return fmt.Appendf(nil, `\U%08x`, r)
	}
	return fmt.Appendf(nil, `\u%04x`, r)
}

// hidden reports whether a character steers what shows it, or is not seen. The joiners belong to the spelling of some
// languages and to emoji.
func hidden(r rune) bool {
	const nonJoiner, joiner = '\u200c', '\u200d'
	return r != nonJoiner && r != joiner && !unicode.Is(unicode.Prepended_Concatenation_Mark, r) &&
		unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}
