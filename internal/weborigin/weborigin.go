// Package weborigin names the origins of URLs, RFC 6454: scheme, host and port. Names are
// equal where the origins are, however the URLs are written.
package weborigin

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/endpointcache/endpointcache/internal/hostname"
)

// Of is the origin of a URL, empty where the URL has no host.
func Of(u *url.URL) string {
	scheme := strings.ToLower(u.Scheme)
	host := hostOf(u.Host, scheme)
	if host == "" {
		return ""
	}
	return scheme + "://" + host
}

// OfRequest is the origin that answers a request. One that is told by its Host header to
// answer for another host is an origin of its own.
func OfRequest(req *http.Request) string {
	scheme := strings.ToLower(req.URL.Scheme)
	if scheme == "" {
		scheme = "http"
		if req.TLS != nil {
			scheme = "https"
		}
	}
	asked := hostOf(req.URL.Host, scheme)
	named := asked
	if req.Host != "" && req.Host != req.URL.Host {
		named = hostOf(req.Host, scheme)
	}
	switch {
	case asked == "" && named == "":
		return ""
	case asked == "" || asked == named:
		return scheme + "://" + named
	}
	return scheme + "://" + named + "@" + asked // no host has this sign
}

// hostOf is a host and its port in the one form that all its spellings have.
func hostOf(host, scheme string) string {
	u := url.URL{Host: host}
	name, port := hostname.Lower(strings.TrimSuffix(u.Hostname(), ".")), u.Port()
	if port == "443" && scheme == "https" || port == "80" && scheme == "http" {
		port = ""
	}
	switch {
	case name == "":
		return ""
	case port != "":
		return net.JoinHostPort(name, port)
	case strings.Contains(name, ":"):
		return "[" + name + "]"
	}
	return name
}
