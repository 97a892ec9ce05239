// Package redirect tells what may follow a redirect: which headers go along, and whose
// answers count.
package redirect

import (
	"net/http"
	"net/url"

	"github.com/endpointcache/endpointcache/internal/hostname"
)

// place is where a request goes to: the server, and the host that it is asked for there.
// Two spellings of one host that differ in more than the case of ASCII letters are two
// places, which at worst costs a credential.
type place struct {
	scheme        string
	server, asked hostPort
}

type hostPort struct{ host, port string } // the port is empty where it is the scheme's own

func placeOf(req *http.Request) place {
	p := place{scheme: hostname.Lower(req.URL.Scheme)}
	p.server = p.hostPort(req.URL)
	p.asked = p.server
	if req.Host != "" && req.Host != req.URL.Host {
		p.asked = p.hostPort(&url.URL{Host: req.Host})
	}
	return p
}

func (p place) hostPort(u *url.URL) hostPort {
	h := hostPort{hostname.Lower(u.Hostname()), u.Port()}
	if p.scheme == "https" && h.port == "443" || p.scheme == "http" && h.port == "80" {
		h.port = ""
	}
	return h
}

// isSame reports whether a request that was redirected stays where it was: at the same
// scheme, host and port, or over https instead of http, on the ports that these have by
// default.
func isSame(from, to *http.Request) bool {
	a, b := placeOf(from), placeOf(to)
	if a.scheme == "http" && b.scheme == "https" && a.server.port == "" && a.asked.port == "" {
		a.scheme = b.scheme
	}
	return a == b
}
