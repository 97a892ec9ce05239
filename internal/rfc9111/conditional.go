package rfc9111

import (
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/internal/head"
)

// IsConditional reports whether the caller itself asks for a response only if it
// has changed.
func IsConditional(h http.Header) bool {
	return len(h["If-None-Match"]) > 0 || len(h["If-Modified-Since"]) > 0
}

// HasPrecondition reports whether a request is only to be done where the origin's
// state is as the caller thinks: the origin alone can tell.
func HasPrecondition(h http.Header) bool {
	return len(h["If-Match"]) > 0 || len(h["If-Unmodified-Since"]) > 0
}

// NotModified evaluates the caller's conditions for a stored response, which was saved
// at cachedAt, RFC 9110, section 13.2.2: If-None-Match before If-Modified-Since.
func NotModified(req, stored http.Header, cachedAt time.Time) bool {
	if len(req["If-None-Match"]) > 0 {
		tag := opaqueTag(stored.Get("Etag"))
		for wanted := range Elements(req, "If-None-Match") {
			if wanted == "*" || tag != "" && opaqueTag(wanted) == tag {
				return true
			}
		}
		return false
	}
	since, ok := HeaderDate(req, "If-Modified-Since")
	if !ok {
		return false
	}
	modified, ok := HeaderDate(stored, "Last-Modified")
	if !ok {
		if modified, ok = HeaderDate(stored, "Date"); !ok {
			modified = cachedAt
		}
	}
	return !modified.After(since)
}

// opaqueTag is an entity tag without its mark of weakness: the comparison is the
// weak one.
func opaqueTag(tag string) string { return strings.TrimPrefix(tag, "W/") }

// SetValidators makes a request ask whether a stored response still holds.
func SetValidators(req, stored http.Header) {
	req.Del("If-None-Match")
	req.Del("If-Modified-Since")
	if tag := stored.Get("Etag"); tag != "" {
		req.Set("If-None-Match", tag)
	}
	if modified := stored.Get("Last-Modified"); modified != "" {
		req.Set("If-Modified-Since", modified)
	}
}

// Confirms reports whether a 304 is about that stored response, RFC 9111,
// section 4.3.4.
func Confirms(h, stored http.Header) bool {
	tag, ours := h.Get("Etag"), stored.Get("Etag")
	return tag == "" || ours == "" || opaqueTag(tag) == opaqueTag(ours)
}

// ofTheBody are headers that a 304 does not change: the stored body is coded, and
// whole, as it came, and may have been decoded or redacted since.
var ofTheBody = map[string]bool{
	"Content-Digest": true, "Content-Encoding": true, "Content-Length": true, "Content-Md5": true, "Content-Range": true,
	"Digest": true, "Repr-Digest": true,
}

// Update is a stored response's headers with those of the 304 that confirmed it,
// RFC 9111, section 3.2. It shares the values of stored that the 304 leaves.
func Update(stored, h http.Header, answered time.Time) http.Header {
	u := make(http.Header, len(stored)+1)
	maps.Copy(u, stored)
	// They tell of the state when they came, not of that of the 304.
	delete(u, "Age")
	delete(u, "Date")
	var connection map[string]bool
	for name := range Elements(h, "Connection") {
		if connection == nil {
			connection = make(map[string]bool)
		}
		connection[textproto.CanonicalMIMEHeaderKey(name)] = true
	}
	for name, values := range h {
		if !ofTheBody[name] && !connection[name] && !head.HopByHop(name) {
			u[name] = slices.Clone(values)
		}
	}
	if len(u["Date"]) == 0 {
		u.Set("Date", answered.UTC().Format(http.TimeFormat))
	}
	return u
}

// NotModifiedHeaders are what a 304 tells of the response that the caller has,
// RFC 9110, section 15.4.5. They share the values of stored.
func NotModifiedHeaders(stored http.Header) http.Header {
	h := maps.Clone(stored)
	for name := range h {
		if strings.HasPrefix(name, "Content-") && name != "Content-Location" {
			delete(h, name)
		}
	}
	return h
}
