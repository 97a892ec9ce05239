package exchange

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/head"
)

// malformed is what is wrong with a body. It has no contents of that in its text, as those of its
// cause may have.
type malformed struct {
	text  string
	cause error
}

func (e *malformed) Error() string { return e.text }

// Unwrap returns the cause, nil for none.
func (e *malformed) Unwrap() error { return e.cause }

// Malformed tells why the body of an entry, which is as it was saved, is not of the form that its
// headers or its declaration tell, nil if it is, or nobody knows.
func (t *Table) Malformed(e driver.Entry) error {
	h, err := head.Decode(e.Header)
	if err != nil || IsPart(e.Status) || t.isHead(e.Key) || len(e.Payload) == 0 && !HasValue(e.Status) {
		return nil //nolint:nilerr // that is told of otherwise
	}
	body, known, err := t.uncoded(e.Payload, h.Header)
	if err != nil || !known {
		return err
	}
	if err := ofType(t.mediaType(h.Header, e.Status), body); err != nil {
		return err
	}
	if t.Decode == nil || !HasValue(e.Status) || h.Header.Get("Content-Encoding") != "" {
		return nil
	}
	err = guarded(func() error {
		_, _, err := t.Decode(e.Payload, false)
		return err
	})
	if err != nil {
		return &malformed{"the repository's declaration cannot decode the body", err}
	}
	return nil
}

// isHead reports whether a key is that of a HEAD, whose response has no body.
func (t *Table) isHead(key driver.Key) bool {
	for i, column := range t.columns() {
		if column.Name == "method" && i < len(key) && key[i] == http.MethodHead {
			return true
		}
	}
	return false
}

// uncoded is a body without the coding of its headers. It is not known where the coding is not.
func (t *Table) uncoded(body []byte, h http.Header) (plain []byte, known bool, err error) {
	codings := h.Values("Content-Encoding")
	if len(codings) == 0 || len(codings) == 1 && (codings[0] == "" || strings.EqualFold(codings[0], "identity")) {
		return body, true, nil
	}
	if len(codings) > 1 || !slices.Contains([]string{"gzip", "x-gzip"}, strings.ToLower(codings[0])) {
		return nil, false, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err == nil {
		plain, err = io.ReadAll(io.LimitReader(r, t.x.opts.MaxBody+1))
	}
	if err != nil {
		return nil, false, &malformed{"the body is not gzip, as its Content-Encoding says", err}
	}
	return plain, int64(len(plain)) <= t.x.opts.MaxBody, nil
}

// mediaType is that of the headers, or else of the declaration.
func (t *Table) mediaType(h http.Header, status int) string {
	text := h.Get("Content-Type")
	if text == "" && HasValue(status) {
		_, text, _ = strings.Cut(t.Declared.Payload, " as ")
	}
	mediaType, _, err := mime.ParseMediaType(text)
	if err != nil {
		return ""
	}
	return mediaType
}

// signed are the media types whose bodies begin so that they can be told.
var signed = []string{"image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf", "application/zip"}

// ofType tells why a body is not one of a media type.
func ofType(mediaType string, body []byte) error {
	switch {
	case mediaType == "application/json" || mediaType == "text/json" || strings.HasSuffix(mediaType, "+json"):
		if json.Valid(body) {
			return nil
		}
		return notJSON("the body is not JSON, though its media type is "+mediaType, body)
	case mediaType == "application/x-ndjson" || mediaType == "application/ndjson" || mediaType == "application/jsonl":
		for i, line := range bytes.Split(body, []byte("\n")) {
			if line = bytes.TrimSpace(line); len(line) > 0 && !json.Valid(line) {
				return notJSON(fmt.Sprintf("line %d of the body is not JSON, though its media type is %s", i+1, mediaType), line)
			}
		}
	case slices.Contains(signed, mediaType):
		if http.DetectContentType(body) != mediaType {
			return &malformed{"the body does not begin as one of the media type " + mediaType, nil}
		}
	}
	return nil
}

func notJSON(text string, body []byte) error {
	var raw json.RawMessage
	err := json.Unmarshal(body, &raw)
	var syntax *json.SyntaxError
	switch {
	case len(body) == 0:
		text += ": it is empty"
	case errors.As(err, &syntax):
		text += fmt.Sprintf(": see byte %d", syntax.Offset)
	}
	return &malformed{text, err}
}
