package transport

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/rfc9111"
)

// statusName is the cache's name as the header has it, a string of RFC 8941.
func statusName(name string) string {
	if name == "" {
		return "endpointcache"
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range name {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c < ' ' || c > '~':
			b.WriteByte('?')
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// cacheStatus adds what became of a request to its response's headers, after what
// caches nearer to the origin have said.
func (t *Transport) cacheStatus(h http.Header, o exchange.Outcome, ttl time.Duration, expires bool) {
	b := append(make([]byte, 0, 64), t.name...)
	if o.Hit {
		b = append(b, "; hit"...)
	}
	if o.Fwd != "" {
		b = append(b, "; fwd="...)
		b = append(b, o.Fwd...)
	}
	if o.Status != 0 {
		b = append(b, "; fwd-status="...)
		b = strconv.AppendInt(b, int64(o.Status), 10)
	}
	if expires {
		b = append(b, "; ttl="...)
		b = strconv.AppendInt(b, int64(ttl/time.Second), 10)
	}
	if o.Detail != "" {
		b = append(b, "; detail="...)
		b = append(b, o.Detail...)
	}
	h["Cache-Status"] = append(h["Cache-Status"], string(b))
}

// respond makes the call's response from what is stored. It takes s's headers
// over.
func (c *call) respond(s *exchange.Stored, o exchange.Outcome) (*http.Response, error) {
	now := c.t.cache.Now()
	header := rfc9111.WithDate(s.Head.Header, s.Entry.CachedAt)
	s.Head.Header = header
	status, body := s.Entry.Status, s.Entry.Payload
	length := int64(len(body))
	isHead := c.caller.Method == http.MethodHead
	switch {
	case (status == http.StatusOK || status == http.StatusPartialContent) && rfc9111.NotModified(c.caller.Header, header, s.Entry.CachedAt):
		status, body, length = http.StatusNotModified, nil, 0
		s.Head.Header, s.Head.Reason = rfc9111.NotModifiedHeaders(header), ""
	case isHead:
		if announced, err := strconv.ParseInt(header.Get("Content-Length"), 10, 64); err == nil {
			length = announced
		} else if c.req.Method == http.MethodHead && length == 0 {
			length = -1
		}
		body = nil
	case answersRanges(c.caller, status):
		var err error
		if status, body, err = respondPart(c.caller, s); err != nil {
			return nil, err
		}
		length = int64(len(body))
	}
	resp, err := s.Head.Response(status, body, c.answered(nil))
	if err != nil {
		return nil, err
	}
	resp.ContentLength = length
	if len(body) == 0 && resp.Trailer == nil {
		resp.Body = http.NoBody
	}
	header = resp.Header
	if c.rules.Controls() {
		header["Age"] = []string{strconv.FormatInt(int64(s.Age(now)/time.Second), 10)}
	}
	header["X-From-Cache"] = []string{"1"}
	c.t.cacheStatus(header, o, -s.Staleness(now), !s.Entry.ExpiresAt.IsZero())
	return resp, nil
}

// gatewayTimeout is the answer where there is none without the origin, RFC 9111,
// section 5.2.1.7.
func (c *call) gatewayTimeout() *http.Response {
	const text = "endpointcache: not in the cache, and the request is not to reach the origin\n"
	h := http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "Content-Length": {strconv.Itoa(len(text))}}
	c.t.cacheStatus(h, exchange.Outcome{Detail: "only-if-cached"}, 0, false)
	resp := &http.Response{
		Status: "504 Gateway Timeout", StatusCode: http.StatusGatewayTimeout,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, ContentLength: int64(len(text)), Request: c.caller,
		Body: io.NopCloser(bytes.NewReader([]byte(text))),
	}
	if c.caller.Method == http.MethodHead {
		resp.Body = http.NoBody
	}
	return resp
}
