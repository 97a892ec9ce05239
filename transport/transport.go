package transport

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/repository"
)

// Options are the settings of a transport. A nil *Options means the defaults.
type Options struct {
	// Base makes the requests that the cache does not answer. The default is
	// [http.DefaultTransport].
	Base http.RoundTripper

	// Policy holds for all repositories, Repositories for one, by its name,
	// and before Policy. [WithPolicy] sets that of a call.
	Policy       Policy
	Repositories map[string]Policy

	// MaxBody is the size in bytes of the largest body that is saved. Up to
	// that, a body is held in memory while it comes in. The default is 64 MiB.
	MaxBody int64

	// FinishTimeout and FinishBytes limit how long, and for how many bytes,
	// the rest of a body is read that a caller closed before its end, so that
	// it can be saved. The defaults are 5 seconds and 1 MiB.
	FinishTimeout time.Duration
	FinishBytes   int64

	// StoreTimeout is the longest that a request waits for each of its
	// operations on the store. The default is a second.
	StoreTimeout time.Duration

	// RevalidateTimeout limits a fetch in the background. The default is 30
	// seconds.
	RevalidateTimeout time.Duration

	// Logger is told of what went wrong beside the requests. The default is
	// [slog.Default]. It is given no URL, header or body.
	Logger *slog.Logger
}

// Transport is an [http.RoundTripper] that answers from a cache what it can, and
// keeps what it has to fetch. Many goroutines may use it at once.
type Transport struct {
	cache   *cache.ResponseCache
	opts    Options
	base    http.RoundTripper
	log     *slog.Logger
	name    string // the cache's, as Cache-Status has it
	invalid error

	general  rules             // for repositories without a policy of their own
	special  map[string]*rules // for those that have one
	methods  []string          // that any policy adds
	flights  flights
	variants variants
	counts   counters

	mu         sync.Mutex
	closed     bool
	background sync.WaitGroup
}

// New returns a transport over c, which stays the caller's to close, after the
// transport. With a nil c nothing is cached. Options that cannot be are the
// error of every request, and of [Options.Validate].
func New(c *cache.ResponseCache, opts *Options) *Transport {
	t := &Transport{cache: c}
	if opts != nil {
		t.opts = *opts
	}
	t.invalid = t.opts.Validate()
	t.opts.setDefaults()
	t.base, t.log = t.opts.Base, t.opts.Logger
	t.flights.init()
	t.variants.init()
	t.name = statusName("")
	if c != nil {
		t.name = statusName(c.Name())
	}
	t.setRules()
	return t
}

// Validate reports what keeps a transport from being used with these options.
func (o *Options) Validate() error {
	if o.MaxBody < 0 || o.FinishTimeout < 0 || o.FinishBytes < 0 || o.StoreTimeout < 0 || o.RevalidateTimeout < 0 {
		return errors.New("transport: options: a limit is negative")
	}
	if err := o.Policy.Validate(); err != nil {
		return err
	}
	for name, p := range o.Repositories {
		if err := p.Validate(); err != nil {
			return fmt.Errorf("%w (repository %q)", err, name)
		}
	}
	return nil
}

func (o *Options) setDefaults() {
	if o.Base == nil {
		o.Base = http.DefaultTransport
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	setDefault(&o.MaxBody, 64<<20)
	setDefault(&o.FinishTimeout, 5*time.Second)
	setDefault(&o.FinishBytes, 1<<20)
	setDefault(&o.StoreTimeout, time.Second)
	setDefault(&o.RevalidateTimeout, 30*time.Second)
}

func setDefault[T comparable](value *T, otherwise T) {
	var zero T
	if *value == zero {
		*value = otherwise
	}
}

// setRules works out once what the policies say that do not belong to a call.
func (t *Transport) setRules() {
	general := newLayer(t.opts.Policy)
	t.general.fixed = []*layer{general}
	t.general.fill(general)
	t.methods = slices.Clone(t.opts.Policy.Methods)
	t.special = make(map[string]*rules, len(t.opts.Repositories))
	for name, p := range t.opts.Repositories {
		l := newLayer(p)
		r := &rules{fixed: []*layer{l, general}}
		r.fill(l)
		r.fill(general)
		t.special[name] = r
		t.methods = append(t.methods, p.Methods...)
	}
}

// rules are those of a repository for a call; name is empty where there is none.
func (t *Transport) rules(name string, call []*layer) *rules {
	fixed := &t.general
	if special, ok := t.special[name]; ok {
		fixed = special
	}
	if call == nil {
		return fixed
	}
	r := &rules{call: call, fixed: fixed.fixed}
	for l := range r.all {
		r.fill(l)
	}
	return r
}

// RoundTrip implements [http.RoundTripper].
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	return t.roundTrip(req, t.base)
}

// Do is RoundTrip for clients that take something with this method. To put the
// cache in front of such a one, see [Doer].
func (t *Transport) Do(req *http.Request) (*http.Response, error) {
	return t.roundTrip(req, t.base)
}

// Intercept is the transport as a middleware: next makes the requests that the
// cache does not answer, instead of the base. Equal requests at one time share
// the next of one of them.
func (t *Transport) Intercept(req *http.Request, next func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	if next == nil {
		closeBody(req)
		return nil, errors.New("transport: next is nil")
	}
	return t.roundTrip(req, roundTripper(next))
}

// Doer makes a base of what sends requests with a method Do, as [http.Client] and
// the clients of many SDKs have it:
//
//	cached := transport.New(c, &transport.Options{Base: transport.Doer(client)})
//	resp, err := cached.Do(req)
//
// Where it follows redirects itself, the last response is what is kept for the
// first URL.
func Doer(client interface {
	Do(req *http.Request) (*http.Response, error)
}) http.RoundTripper {
	return roundTripper(client.Do)
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements [http.RoundTripper].
func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func (t *Transport) roundTrip(req *http.Request, base http.RoundTripper) (*http.Response, error) {
	c, err := t.newCall(req)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	c.base = base
	switch {
	case c.repository != nil:
		return c.do()
	case c.neverForward():
		closeBody(req)
		return c.gatewayTimeout(), nil
	}
	t.counts.bypassed.Add(1)
	resp, err := base.RoundTrip(c.req)
	if err == nil && resp != nil && c.rules.use != Disabled {
		t.invalidateAfter(req, resp)
	}
	if resp != nil {
		resp.Request = req
	}
	return resp, err
}

// cached reports whether requests of that method are cached in r.
func (t *Transport) cached(method string, r *repository.Responses, call []*layer) bool {
	if slices.Contains(r.Methods(), method) {
		return true
	}
	rules := t.rules(r.Name(), call)
	for l := range rules.all {
		if slices.Contains(l.policy.Methods, method) {
			return true
		}
	}
	return false
}

// cachedSomewhere reports whether requests of that method are cached in any
// repository.
func (t *Transport) cachedSomewhere(method string, call []*layer) bool {
	if slices.Contains(t.methods, method) {
		return true
	}
	for _, l := range call {
		if slices.Contains(l.policy.Methods, method) {
			return true
		}
	}
	for _, r := range t.cache.Repositories() {
		if slices.Contains(r.Methods(), method) {
			return true
		}
	}
	return false
}

// Close waits for what the transport does in the background: revalidations, and
// bodies that are read to their end after their callers have closed them. Requests
// may still be made afterwards; they leave nothing behind.
func (t *Transport) Close() error {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.background.Wait()
	return nil
}

// enter is false where nothing may go on in the background any more. Otherwise,
// leave is due.
func (t *Transport) enter() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.background.Add(1)
	}
	return !t.closed
}

func (t *Transport) leave() { t.background.Done() }

// CloseIdleConnections closes those of the base, for [http.Client].
func (t *Transport) CloseIdleConnections() {
	if base, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}
