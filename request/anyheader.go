package request

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// anyHeaders tell which headers count for the key of any request.
type anyHeaders struct {
	chosen  []string // nil: all but the neutral ones
	ignored []string
	byVary  bool // Accept-Encoding, which many clients add by themselves, is left to Vary
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
	neutralHeader    headerKind = 1 + iota // makes no difference to most APIs
	credentialHeader                       // counts unless it is ignored
	clearHeader                            // counts, and its values are no secrets
	elsewhereHeader                        // is not sent as it is, or part of the body's digest
)

var headerKinds = func() map[string]headerKind {
	all := make(map[string]headerKind)
	for kind, names := range map[headerKind][]string{
		neutralHeader: {
			"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Te", "Upgrade", "Expect",
			"Max-Forwards", "Upgrade-Insecure-Requests", "Priority", "Early-Data",
			"User-Agent", "Referer", "From", "Via", "Date",
			"Cache-Control", "Pragma", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since",
			"Idempotency-Key", "Request-Id", "X-Request-Id", "X-Correlation-Id",
			"Traceparent", "Tracestate", "Baggage", "B3", "X-B3-Traceid", "X-B3-Spanid", "X-B3-Parentspanid",
			"X-B3-Sampled", "X-B3-Flags", "Uber-Trace-Id", "X-Amzn-Trace-Id", "X-Cloud-Trace-Context",
			"X-Datadog-Trace-Id", "X-Datadog-Parent-Id", "X-Datadog-Sampling-Priority", "X-Datadog-Origin",
			"X-Datadog-Tags", "Sentry-Trace", "Elastic-Apm-Traceparent", "Newrelic",
		},
		credentialHeader: {
			"Authorization", "Cookie", "X-Api-Key", "X-Apikey", "Api-Key", "Apikey", "X-Api-Token", "X-Auth-Token",
			"X-Auth-Key", "X-Access-Token", "X-Session-Token", "X-Amz-Security-Token", "X-Goog-Api-Key",
			"X-Functions-Key", "Ocp-Apim-Subscription-Key", "Private-Token", "X-Vault-Token",
		},
		clearHeader: {
			"Range", "Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Accept-Version",
			"Prefer", "X-Requested-With", "X-Api-Version", "Api-Version", "X-Github-Api-Version",
		},
		elsewhereHeader: append([]string{"Content-Type", "Content-Encoding"}, unsent...),
	} {
		for _, name := range names {
			all[name] = kind
		}
	}
	return all
}()

func (h *anyHeaders) count(name string, kind headerKind) bool {
	switch {
	case kind == elsewhereHeader || matchName(h.ignored, name):
		return false
	case kind == credentialHeader || name == "Range":
		return true
	case h.chosen != nil:
		return matchName(h.chosen, name)
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
	if basic != "" && h.count("Authorization", credentialHeader) {
		all = append(all, headerLines{"Authorization", "Authorization", credentialHeader, []string{basic}})
	}
	for written, lines := range req.Header {
		name := textproto.CanonicalMIMEHeaderKey(written)
		kind := headerKinds[name]
		if len(lines) == 0 || !h.count(name, kind) || basic != "" && written == "Authorization" && strings.Join(lines, "") == "" {
			continue
		}
		all = append(all, headerLines{name, written, kind, lines})
	}
	slices.SortFunc(all, func(a, b headerLines) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.written, b.written))
	})
	dst = appendOtherHost(dst, req)
	for i := range all {
		dst = all[i].append(dst)
	}
	return dst
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

func (h *headerLines) append(dst []byte) []byte {
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
			dst = appendDigest(dst[:start], dst[start:])
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
