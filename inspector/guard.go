package inspector

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/endpointcache/endpointcache/internal/hostname"
)

// contentPolicy lets a page load what this package serves, and nothing else; nothing of what is
// shown can run, load, be sent or frame.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'"

// protect sets the headers that all answers have.
func protect(h http.Header) {
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin") // with no-referrer, browsers hide from the pages, too, where a form comes from
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// refuse tells why a request is not answered, nil where it is.
func (i *Inspector) refuse(r *http.Request) error {
	if !i.hosts.allow(r) {
		return refused{notFor(r)}
	}
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" && r.Header.Get("Sec-Fetch-Mode") != "navigate" {
		return refused{"Another site has sent this request."}
	}
	if err := i.crossed.Check(r); err != nil {
		return refused{"Another site has sent this request, or a proxy has changed its Host."}
	}
	if i.opts.Authorize != nil && i.opts.Authorize(r) != nil {
		return refused{"You may not see this."}
	}
	return nil
}

// notFor tells what the hosts do not allow.
func notFor(r *http.Request) string {
	name := printable(r.Host, 100)
	if isLoopbackName(nameOf(r)) {
		return fmt.Sprintf("As %q, only programs of the same machine reach these pages, and this request is from another one, or through a proxy. "+
			"Let the proxy hand over the Host that it was asked for, and name that in Options.Hosts of package inspector, or with --host of endpointcache serve.", name)
	}
	return fmt.Sprintf("These pages are not for the host %q, unless it is named in Options.Hosts of package inspector, or with --host of endpointcache serve.", name)
}

// refused is the reason of a 403, for the one who has asked.
type refused struct{ text string }

func (e refused) Error() string { return e.text }

// hosts are the names that the pages may be reached by.
type hosts struct {
	any       bool
	addresses bool // any that is an address: no site can make one lead elsewhere
	named     []string
}

func newHosts(names []string) (hosts, error) {
	var h hosts
	for _, name := range names {
		bare := strings.Trim(name, "[]")
		addr, err := netip.ParseAddr(bare)
		switch {
		case addr.IsUnspecified():
			h.addresses = true
		case name == "*":
			h.any = true
		case name == "":
			return hosts{}, errors.New("Hosts has an empty name")
		case err != nil && strings.ContainsAny(name, ":/@?#[]* "):
			return hosts{}, fmt.Errorf("Hosts has %q: a name of a host is meant, without a scheme, port or path", name)
		default:
			h.named = append(h.named, bare)
		}
	}
	return h, nil
}

func (h hosts) allow(r *http.Request) bool {
	name := nameOf(r)
	if h.any || isLoopbackName(name) && fromLoopback(r) {
		return true
	}
	if _, err := netip.ParseAddr(name); h.addresses && err == nil {
		return true
	}
	for _, named := range h.named {
		if hostname.Equal(named, strings.TrimSuffix(name, ".")) {
			return true
		}
	}
	return false
}

// nameOf is the host that a request is for, without a port.
func nameOf(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.Host); err == nil {
		return host
	}
	return strings.Trim(r.Host, "[]")
}

func isLoopbackName(name string) bool {
	name = hostname.Lower(strings.TrimSuffix(name, "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") { // RFC 6761, section 6.3
		return true
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.Unmap().IsLoopback()
}

// fromLoopback reports whether a program of this machine has sent the request, and not on behalf
// of another machine, as far as it says.
func fromLoopback(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip"} {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	if r.RemoteAddr == "" || strings.HasPrefix(r.RemoteAddr, "@") || strings.HasPrefix(r.RemoteAddr, "/") {
		return true // a Unix socket
	}
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && addr.Addr().Unmap().IsLoopback()
}
