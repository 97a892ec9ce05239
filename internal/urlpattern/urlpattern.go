// Package urlpattern tells which requests a pattern such as "*.example.com/v1/*.json"
// is for.
package urlpattern

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/endpointcache/endpointcache/internal/hostname"
)

// Pattern is a parsed pattern. It is anchored at both ends of the host and at the
// beginning of the path.
type Pattern struct {
	scheme   string    // empty: any
	labels   []string  // the host's, lower case; a first "*" stands for one or more
	port     string    // empty: the scheme's own, or any where the host is a star
	segments []segment // the path's
}

// Parse reads a pattern: a host, or a host and path, after a scheme or not. A star
// alone as the host stands for every host, and without a port for every port; as the
// first label, for one or more. A star in a segment of the path stands for any text
// in that segment. Without a port, a host that has a name is for the scheme's own.
func Parse(s string) (Pattern, error) {
	var p Pattern
	scheme, rest, ok := strings.Cut(s, "://")
	if ok {
		p.scheme = strings.ToLower(scheme)
		if p.scheme != "http" && p.scheme != "https" {
			return p, errors.New("the scheme is neither http nor https")
		}
	} else {
		rest = s
	}
	if strings.ContainsAny(rest, "?#@ ") {
		return p, errors.New("it may have a scheme, a host, a port and a path")
	}
	host, path, _ := strings.Cut(rest, "/")
	if name, port, err := net.SplitHostPort(host); err == nil {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return p, errors.New("the port is not a number")
		}
		host, p.port = name, port
	}
	host = strings.TrimSuffix(hostname.Lower(strings.Trim(host, "[]")), ".")
	if strings.Contains(host, ":") && net.ParseIP(host) == nil {
		return p, errors.New("the host is neither a name nor an address")
	}
	p.labels = strings.Split(host, ".")
	for i, label := range p.labels {
		if label == "" || label != "*" && strings.Contains(label, "*") {
			return p, errors.New("the host is empty, or has a star beside other text")
		}
		if label == "*" && i > 0 {
			return p, errors.New("a star stands for the first labels of a host only")
		}
	}
	for text := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if text == "" {
			continue
		}
		segment, err := parseSegment(text)
		if err != nil {
			return p, err
		}
		p.segments = append(p.segments, segment)
	}
	return p, nil
}

// Match reports whether the pattern is for the URL of a request: its path is the
// pattern's or goes on below it. Its query makes no difference.
func (p Pattern) Match(req *http.Request) bool {
	u := req.URL
	if u == nil || p.scheme != "" && !strings.EqualFold(p.scheme, u.Scheme) {
		return false
	}
	if p.port == "" && len(p.labels) == 1 && p.labels[0] == "*" {
		return p.matchPath(u.EscapedPath())
	}
	host, port := u.Hostname(), u.Port()
	if port == defaultPort(u.Scheme) {
		port = ""
	}
	want := p.port
	if want == defaultPort(u.Scheme) {
		want = ""
	}
	return port == want && p.matchHost(host) && p.matchPath(u.EscapedPath())
}

func defaultPort(scheme string) string {
	if strings.EqualFold(scheme, "https") {
		return "443"
	}
	return "80"
}

func (p Pattern) matchHost(host string) bool {
	labels := strings.Split(strings.TrimSuffix(hostname.Lower(host), "."), ".")
	want := p.labels
	if want[0] == "*" {
		if len(labels) < len(want) {
			return false
		}
		want = want[1:]
		labels = labels[len(labels)-len(want):]
	}
	if len(labels) != len(want) {
		return false
	}
	for i := range want {
		if labels[i] != want[i] {
			return false
		}
	}
	return true
}

func (p Pattern) matchPath(escaped string) bool {
	path := strings.TrimPrefix(escaped, "/")
	for _, want := range p.segments {
		if path == "" {
			return false
		}
		var text string
		text, path, _ = strings.Cut(path, "/")
		decoded, err := url.PathUnescape(text)
		if err != nil || !want.match(decoded) {
			return false
		}
	}
	return true
}

// segment is one of a path: the texts before, between and after its stars, decoded.
type segment []string

func parseSegment(s string) (segment, error) {
	if strings.Contains(s, "**") {
		return nil, errors.New("a star stands for text within one segment of a path: two have no meaning")
	}
	var parsed segment
	for text := range strings.SplitSeq(s, "*") { // before it is decoded: %2A is no star
		decoded, err := url.PathUnescape(text)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, decoded)
	}
	return parsed, nil
}

func (s segment) match(text string) bool {
	first, last := s[0], s[len(s)-1]
	if len(s) == 1 {
		return text == first
	}
	text, ok := strings.CutPrefix(text, first)
	for _, between := range s[1 : len(s)-1] {
		if !ok {
			return false
		}
		_, text, ok = strings.Cut(text, between)
	}
	return ok && strings.HasSuffix(text, last)
}
