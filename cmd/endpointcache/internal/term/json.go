package term

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// JSON writes a value as JSON on one line. What a terminal would obey stands in it as \u and four digits, which means
// the same.
func (o *Output) JSON(v any) error { return o.json(v, "") }

// Document writes a value as JSON on several lines.
func (o *Output) Document(v any) error { return o.json(v, "  ") }

func (o *Output) json(v any, indent string) error {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	if err := encoder.Encode(v); err != nil {
		return err
	}
	_, err := o.Write(visible(b.Bytes()))
	return err
}

// visible is JSON with what does not show written as escapes: it stands in strings only, but for the line breaks between them.
func visible(text []byte) []byte {
	if bytes.IndexFunc(text, hiddenInJSON) < 0 {
		return text
	}
	var b bytes.Buffer
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case !hiddenInJSON(r):
			b.Write(text[:size])
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		text = text[size:]
	}
	return b.Bytes()
}

func hiddenInJSON(r rune) bool { return r != '\n' && Hidden(r) }
