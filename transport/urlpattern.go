package transport

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// urlPattern is a parsed [URLExpiry].URL. It is anchored at both ends of the
// host and at the beginning of the path.
type urlPattern struct {
	scheme   string   // empty: any
	labels   []string // the host's, lower case; a first "*" stands for one or more
	port     string   // empty: the scheme's own
	segments []string // the path's, decoded
}

func parseURLPattern(s string) (urlPattern, error) {
	var p urlPattern
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
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
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
	for segment := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if segment == "" {
			continue
		}
		decoded, err := url.PathUnescape(segment)
		if err != nil {
			return p, err
		}
		if strings.Contains(decoded, "*") && segment != "*" {
			return p, errors.New("a star stands for a whole segment of a path only")
		}
		p.segments = append(p.segments, decoded)
	}
	return p, nil
}

func (p urlPattern) match(req *http.Request) bool {
	u := req.URL
	if u == nil || p.scheme != "" && !strings.EqualFold(p.scheme, u.Scheme) {
		return false
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

func (p urlPattern) matchHost(host string) bool {
	labels := strings.Split(strings.TrimSuffix(strings.ToLower(host), "."), ".")
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

func (p urlPattern) matchPath(escaped string) bool {
	path := strings.TrimPrefix(escaped, "/")
	for _, want := range p.segments {
		if path == "" {
			return false
		}
		var segment string
		segment, path, _ = strings.Cut(path, "/")
		decoded, err := url.PathUnescape(segment)
		if err != nil || want != "*" && decoded != want {
			return false
		}
	}
	return true
}
