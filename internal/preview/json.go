package preview

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// isJSON reports whether a type is of JSON, or of a sequence of it.
func isJSON(mediaType string) bool {
	_, minor, _ := strings.Cut(mediaType, "/")
	return minor == "json" || strings.HasSuffix(minor, "+json") || isSequence(mediaType)
}

// isSequence reports whether a type is of many JSON values: JSON Lines, or JSON Text Sequences, RFC 7464.
func isSequence(mediaType string) bool {
	_, minor, _ := strings.Cut(mediaType, "/")
	switch strings.TrimPrefix(minor, "x-") {
	case "ndjson", "jsonl", "jsonlines", "json-lines", "json-seq", "json-stream", "stream+json":
		return true
	}
	return strings.HasSuffix(minor, "+json-seq")
}

// asJSON shows a body as JSON: if the headers say that it is, or do not say what it is. Kind is not JSON
// where it is none.
func asJSON(header http.Header, mediaType string, plain []byte, whole bool, limit int) (kind Kind, text string, truncated bool) {
	declared := isJSON(mediaType)
	if !declared {
		switch mediaType {
		case "", "text/plain", "application/octet-stream", "text/javascript", "application/javascript":
		default:
			return Text, "", false
		}
		if first := bytes.TrimLeft(plain, " \t\r\n"); len(first) == 0 || first[0] != '{' && first[0] != '[' {
			return Text, "", false
		}
	}
	if decoded, ok := asUTF8(header, plain, whole); ok {
		plain = decoded
	}
	most := limit
	if limit <= 0 {
		most = 8*len(plain) + 4096
	}
	out := writer{limit: most}
	fits, ok := indent(&out, plain, whole, isSequence(mediaType))
	switch {
	case !ok:
		return Text, "", false
	case !fits && limit <= 0: // deep nesting, mostly made of indentation
		out = writer{}
		out.visible(plain, inJSON)
		return JSON, string(out.text), false
	}
	return JSON, string(out.text), !fits || !whole
}

// indent writes JSON with a line for each element and member. It returns whether all of it fits, and false for ok
// if it is no JSON. Of a body that is not the whole, the end may be missing.
func indent(out *writer, plain []byte, whole, sequence bool) (fits, ok bool) {
	if sequence {
		plain = bytes.ReplaceAll(plain, []byte{0x1e}, []byte{' '})
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(plain), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for values := 0; ; {
		kind, length := jsontext.KindInvalid, int64(0)
		if depth := dec.StackDepth(); depth > 0 {
			kind, length = dec.StackIndex(depth)
		}
		next := dec.PeekKind()
		var token []byte
		var err error
		switch next {
		case jsontext.KindBeginObject, jsontext.KindBeginArray, jsontext.KindEndObject, jsontext.KindEndArray:
			_, err = dec.ReadToken()
			token = []byte{byte(next)}
		default:
			token, err = dec.ReadValue()
		}
		switch {
		case errors.Is(err, io.EOF) && dec.StackDepth() == 0:
			return true, whole && values > 0 || !whole && values+len(out.text) > 0
		case err != nil && !whole && errors.Is(err, io.ErrUnexpectedEOF):
			rest := bytes.TrimLeft(plain[dec.InputOffset():], " \t\r\n,:")
			return out.before(dec.StackDepth(), kind, length) && out.visible(rest[:wholeRunes(rest)], inJSON), true
		case err != nil:
			return false, false
		}
		if dec.StackDepth() == 0 { // a value of the outermost level has ended
			values++
		}
		outermost := kind == jsontext.KindInvalid
		if outermost && !sequence && (values > 1 || values == 1 && len(out.text) > 0) {
			return false, false // something follows the value
		}
		if !out.token(next, token, dec.StackDepth(), kind, length) {
			return false, true
		}
	}
}

// token writes a token of an object or array, of which length names and values stand before it. depth is
// that behind the token.
func (w *writer) token(next jsontext.Kind, token []byte, depth int, kind jsontext.Kind, length int64) bool {
	switch next {
	case jsontext.KindEndObject, jsontext.KindEndArray:
		return (length == 0 || w.line(depth)) && w.raw(token)
	case jsontext.KindBeginObject, jsontext.KindBeginArray:
		depth--
	default:
	}
	return w.before(depth, kind, length) && w.visible(token, inJSON)
}

// before writes what stands between a token of the given depth and the one before it.
func (w *writer) before(depth int, kind jsontext.Kind, length int64) bool {
	switch {
	case kind == jsontext.KindBeginObject && length%2 == 1:
		return w.raw([]byte(": "))
	case kind == jsontext.KindInvalid:
		return len(w.text) == 0 || w.raw([]byte("\n"))
	case length > 0 && !w.raw([]byte(",")):
		return false
	}
	return w.line(depth)
}

// line begins a line of the given depth.
func (w *writer) line(depth int) bool {
	if !w.raw([]byte("\n")) {
		return false
	}
	for range depth {
		if !w.raw([]byte("  ")) {
			return false
		}
	}
	return true
}
