package rfc9111

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// Multipart is the body of a response with several spans of a representation, and its
// Content-Type, RFC 9110, section 14.6.
func Multipart(p Parts, payload []byte, spans []Span, contentType string) (body []byte, mediaType string, err error) {
	var b bytes.Buffer
	var size int64
	for _, s := range spans {
		size += s.Len() + 200 // about the room of a part's headers
	}
	b.Grow(int(size))
	w := multipart.NewWriter(&b)
	for _, s := range spans {
		h := make(textproto.MIMEHeader, 2)
		if contentType != "" {
			h.Set("Content-Type", contentType)
		}
		h.Set("Content-Range", p.ContentRange(s))
		part, err := w.CreatePart(h)
		if err != nil {
			return nil, "", err
		}
		if _, err := part.Write(p.Bytes(payload, s)); err != nil {
			return nil, "", err
		}
	}
	if err := w.Close(); err != nil {
		return nil, "", err
	}
	return b.Bytes(), "multipart/byteranges; boundary=" + w.Boundary(), nil
}

// RangeHeaders are the headers of a response with no more than a part of the stored one.
// They share the values of stored.
func RangeHeaders(stored http.Header) http.Header {
	h := make(http.Header, len(stored)+3)
	for name, values := range stored {
		h[name] = values
	}
	for _, name := range ofThePart {
		delete(h, name)
	}
	return h
}

// UnsatisfiedHeaders makes the headers of a stored response those of one that says that it
// has no byte of what was asked for, RFC 9110, section 15.5.17.
func UnsatisfiedHeaders(h http.Header, p Parts) {
	for name := range h {
		if strings.HasPrefix(name, "Content-") || name == "Etag" || name == "Last-Modified" {
			delete(h, name)
		}
	}
	h.Set("Content-Range", "bytes */"+strconv.FormatInt(p.Size, 10))
	h.Set("Content-Length", "0")
}
