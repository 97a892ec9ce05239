package term

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf16"
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

// visible is JSON with what does not show written as escapes: that can stand in strings only.
func visible(document []byte) []byte {
	if bytes.IndexFunc(document, hidden) < 0 {
		return document
	}
	var b bytes.Buffer
	for len(document) > 0 {
		r, size := utf8.DecodeRune(document)
		if !hidden(r) {
			b.Write(document[:size])
		} else {
			for _, unit := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&b, `\u%04x`, unit)
			}
		}
		document = document[size:]
	}
	return b.Bytes()
}

func hidden(r rune) bool { return r >= 0x7f && Text(string(r)) != string(r) }
