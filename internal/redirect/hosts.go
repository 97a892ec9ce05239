package redirect

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/internal/urlpattern"
)

// Hosts are those that may answer after a redirect, besides the one that was asked.
type Hosts []host

type host struct {
	urlpattern.Pattern
	cleartext bool // the pattern names http
}

// ParseHosts reads patterns of hosts.
func ParseHosts(patterns []string) (Hosts, error) {
	var hosts Hosts
	for _, text := range patterns {
		pattern, err := urlpattern.Parse(text)
		scheme, name, ok := strings.Cut(text, "://")
		if !ok {
			name = text
		}
		if err == nil && strings.Contains(name, "/") {
			err = errors.New("it may have a scheme, a host and a port")
		}
		if err != nil {
			return nil, fmt.Errorf("pattern %q: %w", text, err)
		}
		hosts = append(hosts, host{pattern, ok && strings.EqualFold(scheme, "http")})
	}
	return hosts, nil
}

// allow reports whether a redirect may lead from one request to another. It leads from
// https to http only where a pattern names that.
func (h Hosts) allow(from, to *http.Request) bool {
	downgraded := strings.EqualFold(from.URL.Scheme, "https") && !strings.EqualFold(to.URL.Scheme, "https")
	for _, allowed := range h {
		if allowed.Match(to) && (allowed.cleartext || !downgraded) {
			return true
		}
	}
	return false
}

// maxRedirects is more than any client follows.
const maxRedirects = 100

// Way yields the requests whose redirects have led to a request, the latest first. It begins
// after the response until, which is nil for all of it.
func Way(to *http.Request, until *http.Response) iter.Seq[*http.Request] {
	return func(yield func(*http.Request) bool) {
		for range maxRedirects {
			if to == nil || to.Response == nil || to.Response == until {
				return
			}
			if to = to.Response.Request; to != nil && !yield(to) {
				return
			}
		}
	}
}

// Stay reports whether the redirects on the way to a request have led to no other place
// than the first request's and the hosts, see [Way]. A host on the way counts even if it
// leads back: it has chosen what was asked for there.
func (h Hosts) Stay(last *http.Request, until *http.Response) bool {
	way := append([]*http.Request{last}, slices.Collect(Way(last, until))...)
	if len(way) == 1 {
		return true // there were no redirects, or it cannot be told
	}
	if len(way) > maxRedirects || slices.ContainsFunc(way, func(req *http.Request) bool { return req.URL == nil }) {
		return false
	}
	first := way[len(way)-1]
	for i, to := range way[:len(way)-1] {
		if !isSame(first, to) && !h.allow(way[i+1], to) {
			return false
		}
	}
	return true
}

type hostsKey struct{}

// With is a context whose requests may be redirected to the hosts with their bodies.
func (h Hosts) With(ctx context.Context) context.Context {
	return context.WithValue(ctx, hostsKey{}, h)
}

func hostsOf(ctx context.Context) Hosts {
	h, _ := ctx.Value(hostsKey{}).(Hosts)
	return h
}
