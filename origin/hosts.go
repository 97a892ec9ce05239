package origin

import (
	"container/list"
	"errors"
	"net"
	"net/url"
	"strings"
	"sync"

	"golang.org/x/time/rate"

	"github.com/endpointcache/endpointcache/internal/hostname"
)

// remembered is how many hosts are kept that no request is for. Of the ones before
// these, pauses and what is left of a rate are forgotten.
const remembered = 4096

// hosts are the states of the hosts that requests are for, or were for lately.
type hosts struct {
	opts   *Options
	limits map[string]Limits // by name, instead of the general ones

	mu     sync.Mutex
	byName map[string]*host
	unused list.List // of *host: the one used last in front
}

func (hs *hosts) init(opts *Options) {
	hs.opts = opts
	hs.byName = make(map[string]*host)
	hs.limits = make(map[string]Limits, len(opts.Hosts))
	for text, limits := range opts.Hosts {
		name, _ := parseHost(text) // which was checked
		hs.limits[name] = limits
	}
}

// use returns the host of that name. Afterwards, done is due.
func (hs *hosts) use(name string) *host {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h, ok := hs.byName[name]
	if !ok {
		h = hs.newHost(name)
		hs.byName[name] = h
	}
	if h.unused != nil {
		hs.unused.Remove(h.unused)
		h.unused = nil
	}
	h.users++
	return h
}

func (hs *hosts) done(h *host) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if h.users--; h.users > 0 {
		return
	}
	h.unused = hs.unused.PushFront(h)
	if hs.unused.Len() > remembered {
		oldest := hs.unused.Remove(hs.unused.Back()).(*host)
		delete(hs.byName, oldest.name)
	}
}

func (hs *hosts) newHost(name string) *host {
	limits, ok := hs.limits[name]
	if !ok {
		limits = hs.opts.Limits
	}
	h := &host{name: name, most: limits.InFlight, firstPause: hs.opts.Pause, maxPause: hs.opts.MaxPause}
	if limits.Rate > 0 {
		h.limiter = rate.NewLimiter(rate.Limit(limits.Rate), max(1, limits.Burst))
	}
	return h
}

// hostName is the host of a URL in small letters, with its port only where that is
// not the scheme's default.
func hostName(u *url.URL) string {
	port := u.Port()
	if (u.Scheme == "https" && port == "443") || (u.Scheme == "http" && port == "80") {
		port = ""
	}
	return joinPort(u.Hostname(), port)
}

// parseHost is hostName for a host of the options, which has no scheme.
func parseHost(text string) (string, error) {
	u, err := url.Parse("//" + text)
	if err != nil || u.Host != text || u.Hostname() == "" || strings.ContainsAny(text, "*, ") {
		// The text is not told: it may be a URL with a password.
		return "", errors.New(`origin: options: a host is not of the form "api.example.com" or "localhost:8080"`)
	}
	port := u.Port()
	if port == "443" || port == "80" {
		port = ""
	}
	return joinPort(u.Hostname(), port), nil
}

func joinPort(name, port string) string {
	name = hostname.Lower(name)
	switch {
	case port != "":
		return net.JoinHostPort(name, port)
	case strings.Contains(name, ":"):
		return "[" + name + "]"
	}
	return name
}
