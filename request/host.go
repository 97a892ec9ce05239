package request

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/endpointcache/endpointcache/internal/hostname"
)

// host is the host of a pattern. The zero value matches every host.
type host struct {
	text string // as it stands in the pattern
	name string
	port string // empty: the default of the request's scheme
}

// parseHost parses the host of a pattern. The error shows asPath, which is the pattern
// with a slash before it.
func parseHost(text, asPath string) (host, error) {
	if text == "" {
		return host{}, nil
	}
	u, err := url.Parse("//" + text)
	if err != nil || u.Host != text || u.Hostname() == "" {
		return host{}, fmt.Errorf("%q is not a host with an optional port; a path begins with a slash, as in %q", text, asPath)
	}
	h := host{text: text, name: hostName(u), port: u.Port()}
	if u.Port() == "" && h.name == u.Hostname() && !likelyHost(h.name) {
		return host{}, fmt.Errorf("%q would be the host: a path begins with a slash, as in %q; such a host is written with a dot at its end, as in %q",
			text, asPath, text+".")
	}
	if !strings.Contains(h.name, ".") {
		h.text = strings.TrimSuffix(text, ".") // which was only to say that it is a host
	}
	return h, nil
}

// likelyHost tells whether a name can be told from a segment of a path, such as v1 or
// v1.0: it has a dot, and no number for its last label unless it is an address.
func likelyHost(name string) bool {
	if strings.EqualFold(name, "localhost") {
		return true
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	dot := strings.LastIndexByte(name, '.')
	return dot >= 0 && strings.Trim(name[dot+1:], "0123456789") != ""
}

func (h host) same(other host) bool {
	return hostname.Equal(h.name, other.name) && h.port == other.port
}

func hostName(u *url.URL) string { return strings.TrimSuffix(u.Hostname(), ".") }

// matches holds req to both its hosts: the URL's says where it is sent, and the
// other, which may be set on its own, which host is to answer it there.
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
	if !hostname.Equal(hostName(&u), h.name) {
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
