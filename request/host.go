package request

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// host is the host of a pattern. The zero value matches every host.
type host struct {
	text string // as it stands in the pattern
	name string
	port string // empty: the default of the request's scheme
}

func parseHost(text string) (host, error) {
	if text == "" {
		return host{}, nil
	}
	u, err := url.Parse("//" + text)
	if err != nil || u.Host != text || u.Hostname() == "" {
		return host{}, fmt.Errorf("%q is not a host with an optional port", text)
	}
	return host{text: text, name: hostName(u), port: u.Port()}, nil
}

func hostName(u *url.URL) string { return strings.TrimSuffix(u.Hostname(), ".") }

// matches holds req to both its hosts: the URL's says where it is sent, and the
// other, which may be set on its own, who is to answer it there.
func (h host) matches(req *http.Request) bool {
	if h.name == "" {
		return true
	}
	scheme := req.URL.Scheme
	if scheme == "" && req.TLS != nil {
		scheme = "https"
	}
	if req.URL.Host == "" {
		return h.equals(req.Host, scheme)
	}
	return h.equals(req.URL.Host, scheme) &&
		(req.Host == "" || req.Host == req.URL.Host || h.equals(req.Host, scheme))
}

func (h host) equals(text, scheme string) bool {
	u := url.URL{Host: text}
	if !strings.EqualFold(hostName(&u), h.name) {
		return false
	}
	standard := "80"
	if strings.EqualFold(scheme, "https") {
		standard = "443"
	}
	want, got := h.port, u.Port()
	if want == "" {
		want = standard
	}
	if got == "" {
		got = standard
	}
	return got == want
}
