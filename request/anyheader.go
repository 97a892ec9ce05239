package request

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/internal/secret"
)

// anyHeaders tell which headers count for the key of any request.
type anyHeaders struct {
	chosen  []string // nil: all but the neutral ones
	ignored []string
	byVary  bool // Accept-Encoding, which many clients add by themselves, is left to Vary
	digests digests
}

func newAnyHeaders(opts *AnyOptions) (anyHeaders, error) {
	var h anyHeaders
	if opts.Headers != nil {
		h.chosen = make([]string, 0, len(opts.Headers))
	}
	for _, name := range opts.Headers {
		if !isToken(name) {
			return h, fmt.Errorf("Headers: %q is not a header's name", name)
		}
		h.chosen = append(h.chosen, textproto.CanonicalMIMEHeaderKey(name))
	}
	for _, name := range opts.IgnoreHeaders {
		if !isToken(name) {
			return h, fmt.Errorf("IgnoreHeaders: %q is not a header's name", name)
		}
		h.ignored = append(h.ignored, textproto.CanonicalMIMEHeaderKey(name))
	}
	return h, nil
}

// headerKind is what is known of a header by its name.
type headerKind uint8

const (
	otherHeader     headerKind = iota // counts, as a digest
	neutralHeader                     // makes no difference to what is answered
	clearHeader                       // counts, and its values are no secrets
	elsewhereHeader                   // is not sent as it is, or part of the body's digest
)

// neutralHeaders do not count, each group for its reason.
var neutralHeaders = [][]string{
	// How the message travels: the next hop takes them off.
	{"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Upgrade", "Expect", "Max-Forwards", "Via"},
	// When it is answered, not how: RFC 9218 and RFC 8470.
	{"Priority", "Early-Data"},
	// What a cache may use, and whether the caller's own copy is still good: the cache
	// answers these itself.
	{"Cache-Control", "Pragma", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"},
	// Which program asks. It changes with every version of a program, whose answers do not.
	{"User-Agent"},
	// The sender's clock.
	{"Date"},
	// One attempt, so that an answer never had one before.
	{"Idempotency-Key", "Request-Id", "X-Request-Id", "X-Correlation-Id"},
	// The place in a trace, which is another for each request. What a trace carries for the
	// application, such as Baggage and X-Datadog-Tags, may have the user, and counts.
	// Tracestate holds no more than such a place, by the Trace Context recommendation.
	{
		"Traceparent", "Tracestate", "B3", "X-B3-Traceid", "X-B3-Spanid", "X-B3-Parentspanid", "X-B3-Sampled",
		"X-B3-Flags", "Uber-Trace-Id", "X-Amzn-Trace-Id", "X-Cloud-Trace-Context", "X-Datadog-Trace-Id",
		"X-Datadog-Parent-Id", "X-Datadog-Sampling-Priority", "Sentry-Trace", "Elastic-Apm-Traceparent", "Newrelic",
	},
}

// clearHeaders count, and people may read their values.
var clearHeaders = []string{
	"Range", "Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Accept-Version", "Prefer",
	"X-Requested-With", "X-Api-Version", "Api-Version", "X-Github-Api-Version", "Upgrade-Insecure-Requests",
}

var headerKinds = func() map[string]headerKind {
	all := make(map[string]headerKind)
	add := func(kind headerKind, names []string) {
		for _, name := range names {
			all[name] = kind
		}
	}
	for _, group := range neutralHeaders {
		add(neutralHeader, group)
	}
	add(clearHeader, clearHeaders)
	add(elsewhereHeader, append([]string{"Content-Type", "Content-Encoding"}, unsent...))
	return all
}()

func (h *anyHeaders) count(name string, kind headerKind) bool {
	switch {
	case kind == elsewhereHeader || matchName(h.ignored, name):
		return false
	case h.chosen != nil:
		return matchName(h.chosen, name) || name == "Range" || secret.Header(name)
	case h.byVary && name == "Accept-Encoding":
		return false
	default:
		return kind != neutralHeader
	}
}

// headerLines are the lines of a header under one spelling of its name.
type headerLines struct {
	name    string
	written string
	kind    headerKind
	lines   []string
}

// append appends the headers of req that count.
func (h *anyHeaders) append(dst []byte, req *http.Request) []byte {
	var buf [16]headerLines
	all := buf[:0]
	basic := ""
	if req.URL.User != nil && req.Header.Get("Authorization") == "" {
		authorization := header{input: input{name: "Authorization"}}
		basic, _ = authorization.value(&http.Request{URL: req.URL})
	}
	if basic != "" && h.count("Authorization", otherHeader) {
		all = append(all, headerLines{"Authorization", "Authorization", otherHeader, []string{basic}})
	}
	for written, lines := range req.Header {
		name := textproto.CanonicalMIMEHeaderKey(written)
		kind := headerKinds[name]
		if len(lines) == 0 || !h.count(name, kind) || name == "Referer" && h.chosen == nil && followsRedirect(req, lines) || basic != "" && written == "Authorization" && strings.Join(lines, "") == "" {
			continue
		}
		all = append(all, headerLines{name, written, kind, lines})
	}
	slices.SortFunc(all, func(a, b headerLines) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.written, b.written))
	})
	dst = appendOtherHost(dst, req)
	for i := range all {
		dst = all[i].append(dst, h.digests)
	}
	return dst
}

// followsRedirect reports whether a Referer is the one that a client sets as it follows a
// redirect, which is then the same request as another to that URL.
func followsRedirect(req *http.Request, referer []string) bool {
	if req.Response == nil || req.Response.Request == nil || req.Response.Request.URL == nil || len(referer) != 1 {
		return false
	}
	from := *req.Response.Request.URL
	from.User = nil
	return referer[0] == from.String()
}

// appendOtherHost appends the host that is to answer, where it is not the one
// that is asked.
func appendOtherHost(dst []byte, req *http.Request) []byte {
	if req.Host == "" || req.Host == req.URL.Host {
		return dst
	}
	var buf [128]byte
	secure := strings.EqualFold(req.URL.Scheme, "https")
	asked := appendHost(buf[:0], req.URL.Host, secure)
	end := len(asked)
	if asked = appendHost(asked, req.Host, secure); string(asked[:end]) == string(asked[end:]) {
		return dst
	}
	return append(append(dst, "Host: "...), asked[end:]...)
}

// headerSeparator stands between headers in a key; no value has the bar.
const headerSeparator = " | "

func (h *headerLines) append(dst []byte, d digests) []byte {
	for _, line := range h.lines {
		if len(dst) > 0 {
			dst = append(dst, headerSeparator...)
		}
		for i := range len(h.name) {
			dst = appendByte(dst, h.name[i], tokenByte)
		}
		dst = append(dst, ": "...)
		line = trim(line)
		switch start := len(dst); {
		case line == "":
		case h.kind != clearHeader:
			dst = append(dst, line...)
			dst = d.append(dst[:start], dst[start:])
		default:
			for i := range len(line) {
				dst = appendByte(dst, line[i], valueByte)
			}
		}
	}
	return dst
}

// setAnyHeaders sets the headers of a key that has all of them in clear.
func setAnyHeaders(req *http.Request, text string) error {
	if text == "" {
		return nil
	}
	for line := range strings.SplitSeq(text, headerSeparator) {
		name, value, ok := strings.Cut(line, ": ")
		switch {
		case !ok:
			return errors.New("request: Any: the key's headers are malformed")
		case name == "Host":
			req.Host = value
		default:
			req.Header.Add(name, value)
		}
	}
	return nil
}
