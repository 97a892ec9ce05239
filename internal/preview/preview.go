// Package preview shows bodies to people: JSON indented, text as it is, anything else as a summary. What it returns
// cannot steer a terminal, nor change the order of what is read.
package preview

import (
	"bytes"
	"encoding/hex"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"
)

// Kind is what a body is shown as.
type Kind string

// The kinds.
const (
	Empty  Kind = "empty"
	JSON   Kind = "json"
	Text   Kind = "text"
	Binary Kind = "binary"
)

// Body is a body as it is shown.
type Body struct {
	Kind      Kind
	MediaType string // of the headers, or as it was recognised
	Coding    string // the Content-Encoding that was undone for Text, such as "gzip"; of a binary body also one that is not known
	Text      string // as of Visible; of a binary body a hex dump of its beginning
	Size      int    // of the whole body as it is given, in bytes
	Truncated bool   // Text is not the whole
}

// mostDumped is how much of a binary body is shown.
const mostDumped = 256

// Of shows a body, at most limit bytes of its text; 0: all. The work is in proportion to the limit, however long the
// body is: of a body that is longer only the beginning is looked at, so that what is broken behind it does not show.
//
// JSON is indented, with numbers, strings and members as they are written; so are JSON Lines. Where that would
// make it many times as long, it is shown as it is. What is called JSON and is none is text.
func Of(header http.Header, body []byte, limit int) Body {
	b := Body{Size: len(body), MediaType: mediaType(header)}
	if len(body) == 0 {
		b.Kind = Empty
		return b
	}
	work := 0
	if limit > 0 {
		work = 8*limit + 4096 // so much of the body is white space at most
	}
	plain, whole, err := Plain(header, body, work)
	b.Coding = coding(header)
	if err != nil {
		return b.binary(body, limit)
	}
	if b.Kind, b.Text, b.Truncated = asJSON(header, b.MediaType, plain, whole, limit); b.Kind == JSON {
		if !isJSON(b.MediaType) {
			b.MediaType = "application/json"
		}
		return b
	}
	text, ok := decoded(header, b.MediaType, plain, whole)
	if !ok {
		return b.binary(plain, limit)
	}
	b.Kind = Text
	if b.MediaType == "" {
		b.MediaType, _, _ = strings.Cut(http.DetectContentType(text), ";")
	}
	if b.MediaType == "application/x-www-form-urlencoded" {
		text = form(text)
	}
	out := writer{limit: limit}
	if !whole {
		text = text[:wholeRunes(text)]
	}
	fits := out.visible(text, inText)
	b.Text, b.Truncated = string(out.text), !fits || !whole
	return b
}

// binary shows the beginning of a body that is no text.
func (b Body) binary(plain []byte, limit int) Body {
	b.Kind = Binary
	if b.MediaType == "" || b.MediaType == "application/octet-stream" {
		b.MediaType, _, _ = strings.Cut(http.DetectContentType(plain), ";")
	}
	shown := min(len(plain), mostDumped)
	dump := hex.Dump(plain[:shown])
	if limit > 0 && len(dump) > limit {
		dump = dump[:strings.LastIndexByte(dump[:limit+1], '\n')+1] // whole lines
		shown = 16 * strings.Count(dump, "\n")
	}
	b.Text, b.Truncated = dump, shown < len(plain)
	return b
}

// mediaType is that of the headers, without parameters; empty if they tell none.
func mediaType(header http.Header) string {
	text := header.Get("Content-Type")
	if t, _, err := mime.ParseMediaType(text); err == nil {
		return t
	}
	text, _, _ = strings.Cut(text, ";") // parameters that are not well formed
	return Line(strings.ToLower(strings.TrimSpace(text)))
}

// isText reports whether a type is of bodies that are text, in whatever charset.
func isText(mediaType string) bool {
	major, minor, _ := strings.Cut(mediaType, "/")
	switch {
	case major == "text", isJSON(mediaType), strings.HasSuffix(minor, "+xml"), strings.HasSuffix(minor, "+yaml"):
		return true
	}
	switch mediaType {
	case "application/xml", "application/javascript", "application/ecmascript", "application/yaml", "application/x-yaml", "application/toml",
		"application/graphql", "application/sql", "application/x-www-form-urlencoded", "application/xml-dtd", "application/x-sh":
		return true
	}
	return false
}

// form is form data with a line for each field.
func form(text []byte) []byte {
	var lines []byte
	for i, pair := range bytes.Split(bytes.TrimSpace(text), []byte("&")) {
		if i > 0 {
			lines = append(lines, '\n')
		}
		name, value, ok := bytes.Cut(pair, []byte("="))
		lines = append(lines, unescaped(name)...)
		if ok {
			lines = append(append(lines, " = "...), unescaped(value)...)
		}
	}
	return lines
}

// wholeRunes is the length of text without a rune of which the end is cut off.
func wholeRunes(text []byte) int {
	for i := 1; i < utf8.UTFMax && i <= len(text); i++ {
		if c := text[len(text)-i]; utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRune(text[len(text)-i:]) {
				return len(text) - i
			}
			break
		}
	}
	return len(text)
}
