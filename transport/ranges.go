package transport

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/rfc9111"
)

// rangeOf are the headers that ask for a range. They share nothing with h, which is the
// caller's again before all is saved.
func rangeOf(h http.Header) http.Header {
	ranged := make(http.Header, 2)
	for _, name := range [...]string{"Range", "If-Range"} {
		if values := h[name]; len(values) > 0 {
			ranged[name] = slices.Clone(values)
		}
	}
	return ranged
}

// answersRanges reports whether a stored response of that status answers a request for
// parts of it.
func answersRanges(req *http.Request, status int) bool {
	return (status == http.StatusOK || status == http.StatusPartialContent) &&
		(req.Method == "" || req.Method == http.MethodGet) && len(req.Header["Range"]) > 0
}

// respondPart is the status and body of the response to a request for parts of what is
// stored, whose headers it changes to those of that response. It is all of it where the
// request's Range is to be ignored.
func respondPart(req *http.Request, s *exchange.Stored) (status int, body []byte, err error) {
	parts, payload := s.Parts(), s.Entry.Payload
	stored := s.Head.Header
	if !rfc9111.RangeHolds(req.Header, stored, s.Entry.CachedAt) {
		return s.Entry.Status, payload, nil
	}
	spans, wanted, _ := parts.Wanted(req.Header)
	if wanted != rfc9111.SomeBytes && wanted != rfc9111.NoneOfIt {
		return s.Entry.Status, payload, nil
	}
	header := rfc9111.RangeHeaders(stored)
	s.Head.Header, s.Head.Reason = header, ""
	switch {
	case wanted == rfc9111.NoneOfIt:
		rfc9111.UnsatisfiedHeaders(header, parts)
		return http.StatusRequestedRangeNotSatisfiable, nil, nil
	case len(spans) == 1:
		body = parts.Bytes(payload, spans[0])
		header.Set("Content-Range", parts.ContentRange(spans[0]))
	default:
		var mediaType string
		if body, mediaType, err = rfc9111.Multipart(parts, payload, spans, header.Get("Content-Type")); err != nil {
			return 0, nil, err
		}
		header.Set("Content-Type", mediaType)
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	return http.StatusPartialContent, body, nil
}
