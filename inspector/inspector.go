// Package inspector shows people what a cache holds and does, as pages of a web server: its
// repositories, the stored responses with their headers, freshness and bodies, how they differ
// from the origin's answers of this moment, and how many answers came from the store.
//
//	recorder := new(inspector.Recorder)
//	c, err := cache.New(store, &cache.Options{Hooks: recorder.Hooks()})
//	pages, err := inspector.Handler(c, &inspector.Options{Recorder: recorder})
//	defer pages.Close()
//	mux.Handle("/debug/cache/", pages)
//
// The pages change nothing unless [Options.AllowChanges] is set, and answer only to browsers of the
// same machine unless [Options.Hosts] names others. They work without JavaScript; with it, the
// plots are kept up. What is stored is shown as text: whatever is in it, it is not run.
package inspector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/settings"
)

// Options are the settings of an inspector. A nil *Options means the defaults.
type Options struct {
	// Recorder has the numbers of the page of what the cache does: its Hooks are those of the
	// cache, or joined with them. Without one, that page has the totals of cache.Stats.
	Recorder *Recorder

	// Origin is asked where a stored response is compared with the origin's answer of this moment:
	// once for each press of the button, by GET or HEAD, without a body, without following
	// redirects, and not from a cache, if the transport has one. It adds credentials, if the
	// origin wants them: it is asked for whatever origins the store has responses of, so it has
	// to look to which host they go. Without one, only responses are compared that OriginFor is
	// for.
	Origin http.RoundTripper

	// OriginFor is Origin for responses that are one identity's own: it returns the transport that
	// adds the credentials of the identity of that name, for one comparison. It is called for
	// repositories that are settings.PerIdentity, and the contexts of the call and the request are
	// on behalf of that identity ([identity.Of]). Like Origin, the transport has to look to which
	// host a request goes before it adds credentials. An error is shown on the page, without
	// secrets. Without OriginFor such responses are not compared, as the answer would be
	// somebody else's; nor are those of identities for which a digest of credentials stands.
	OriginFor func(ctx context.Context, identity string) (http.RoundTripper, error)

	// BaseURL is that of the API, such as "https://api.example.com", for comparing responses of
	// which the store does not know whose they are.
	BaseURL string

	// AllowChanges lets whoever sees the pages expire and delete stored responses.
	AllowChanges bool

	// Hosts are the names, without a port, by which the pages may be reached besides those of
	// the machine itself, such as "cache.example.com". "0.0.0.0" or "::" is any address of a
	// machine, and "*" any name whatever: with that, any site that someone who can reach the pages
	// looks at can read them, too. A request for such a name may come
	// from any address, so think of [Options.Authorize]. Without Hosts, requests are
	// answered that come from a loopback address and are for localhost or such an address.
	// Requests for other names are refused, also from the same machine: otherwise any site
	// could read the pages by a name that it makes lead to this machine (DNS rebinding).
	//
	// A proxy on the same machine is a loopback address. If it hands over requests of others,
	// with its own name or without Forwarded and X-Forwarded-For, these are taken for local
	// ones: let it check who asks, or use Authorize.
	Hosts []string

	// Authorize is called for each request that the hosts allow. If it returns an error, the
	// answer is 403 (Forbidden), without the error's text. To ask for a password, or to lead to
	// a login, put a middleware around the inspector instead.
	Authorize func(*http.Request) error

	// Timeout is how long a page waits at most for the store or the origin. The default is 20
	// seconds.
	Timeout time.Duration

	// Now is the clock; the default is [time.Now].
	Now func() time.Time
}

// Inspector serves the pages. Many goroutines may use it at once.
type Inspector struct {
	cache   *cache.ResponseCache
	opts    Options
	hosts   hosts
	crossed *http.CrossOriginProtection
	figures *figures

	// Those of long bodies take some hundred megabytes: there is one comparison at a time.
	comparing chan struct{}

	closing context.Context
	close   context.CancelFunc
	running sync.WaitGroup
}

// Handler returns the pages for a cache, which stays the caller's. Mount it at any path that
// ends in a slash; a proxy in front may take from that path or add to it, as all links are
// relative. [Inspector.Close] it before the cache.
func Handler(c *cache.ResponseCache, opts *Options) (*Inspector, error) {
	if c == nil {
		return nil, errors.New("inspector: the cache is nil")
	}
	i := &Inspector{cache: c, crossed: http.NewCrossOriginProtection(), comparing: make(chan struct{}, 1)}
	if opts != nil {
		i.opts = *opts
	}
	o := &i.opts
	if o.Timeout < 0 {
		return nil, fmt.Errorf("inspector: Timeout is %v: it is negative", o.Timeout)
	}
	o.Timeout = cmp.Or(o.Timeout, 20*time.Second)
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := settings.ValidateBaseURL(o.BaseURL); err != nil {
		return nil, fmt.Errorf("inspector: %w", err)
	}
	var err error
	if i.hosts, err = newHosts(o.Hosts); err != nil {
		return nil, fmt.Errorf("inspector: %w", err)
	}
	i.closing, i.close = context.WithCancel(context.Background())
	i.figures = &figures{inspector: i}
	if o.Recorder != nil {
		i.running.Go(i.sampleSize)
	}
	return i, nil
}

// Close ends what goes on in the background, and waits for it. Requests that come afterwards are
// answered with 503. Closing twice is not an error.
func (i *Inspector) Close() error {
	i.close()
	i.figures.close()
	i.running.Wait()
	return nil
}
