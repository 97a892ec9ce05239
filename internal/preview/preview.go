// Package preview shows bodies to people: JSON indented, text as it is, anything else as a summary.
package preview

import "net/http"

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
	Text      string // valid UTF-8 without control characters other than newline and tab; of a binary body a hex dump of its beginning
	Size      int    // of the whole body, in bytes
	Truncated bool   // Text is not the whole
}

// Of shows a body, at most limit bytes of its text; 0: all.
func Of(header http.Header, body []byte, limit int) Body { return Body{} }
