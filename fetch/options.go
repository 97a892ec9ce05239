package fetch

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/endpointcache/endpointcache/internal/redirect"
	"github.com/endpointcache/endpointcache/origin"
)

// Doer sends a request and returns the response, as an [http.Client] does, a
// transport.Transport, and for a resty client what package restyfetch makes of it. Many
// goroutines may use it at once.
//
// It returns a response or an error. It may return both, with the body read or closed,
// where it has something to say about a response, as an http.Client has about a redirect
// that it does not follow: the status then decides whether the request is sent again,
// unless the error is an origin.Permanent. The request belongs to the Doer, and the
// response to its caller. A body that it leaves packed is kept as it is, with its
// Content-Encoding.
type Doer interface {
	Do(req *http.Request) (*http.Response, error)
}

// Options are the settings of a client. A nil *Options means the defaults.
type Options struct {
	// BaseURL is the scheme and host of the API, perhaps with a path, as the
	// endpoints take it. Without it the endpoints' patterns have to have a host.
	BaseURL string

	// Origin has the limits, pauses and credentials of the default client, which sends with
	// an origin.Transport. Do not set it together with Client. Credentials without hosts
	// are for the host of BaseURL.
	Origin *origin.Options

	// Transport makes the requests of the default client. If Origin is set, it is below
	// Origin's limits; if not, it has no limits, so it may be an origin.Transport that is
	// shared with others. Do not set it together with Client. The caller closes it.
	Transport http.RoundTripper

	// Client sends the requests, one for each attempt, and may add to them. It stays the
	// caller's to close. The default is an [http.Client] of Transport. Its transport should
	// keep as many idle connections for a host as there are requests at once; Go's default
	// is 2.
	//
	// If it is an http.Client, no secrets go along with a redirect to another host, or from
	// https to http. Its CheckRedirect is asked, too.
	//
	// What it adds must not change the key: a query parameter that the endpoint neither has
	// nor ignores, or a header whose hash differs from the key's, makes the key fail,
	// because the response would be for another key. What was sent is read from the Request
	// of the response, if it has one.
	Client Doer

	// Timeout is how long an attempt may take, from when an http.Transport begins to send
	// it to the end of the response. Unlike the timeout of an http.Client, it does not
	// include the wait for its turn in an origin.Transport. The default is a minute; with
	// Client there is no timeout but the client's own.
	Timeout time.Duration

	// Retry says how often a request is tried, and for what. Requests of all methods are
	// retried, as if its AnyMethod were set, because every cached request is a read, even a
	// POST. Nil means the defaults of an origin.Retrier, which are three retries. See also
	// origin.WithRetryBudget.
	Retry *origin.RetryOptions

	// Offline sends no request: a key that would need one fails with [ErrOffline],
	// unless a policy's StaleIfError lets an expired entry be used.
	Offline bool

	// MaxBody is the size in bytes of the largest body that is fetched, after the client
	// has unpacked it. A larger one is an [ErrBodyTooLarge]. The default is 64 MiB.
	MaxBody int
}

// settled is Options with the defaults filled in.
type settled struct {
	Options
	base    *url.URL // nil: the patterns have the host
	retrier *origin.Retrier
	close   func() // closes a transport that is our own
}

func (o *Options) settle() (*settled, error) {
	s := &settled{close: func() {}}
	if o != nil {
		s.Options = *o
	}
	if err := s.validate(); err != nil {
		return nil, err
	}
	if s.BaseURL != "" {
		base, err := url.Parse(s.BaseURL)
		switch {
		case err != nil:
			return nil, errors.New("BaseURL cannot be parsed") // not err, which has all of it
		case base.Scheme != "http" && base.Scheme != "https", base.Host == "":
			return nil, errors.New(`BaseURL is not of the form "https://host"`)
		}
		s.base = base
	}
	s.MaxBody = cmp.Or(s.MaxBody, 64<<20)
	if err := s.setRetrier(); err != nil {
		return nil, err
	}
	if client, ok := s.Client.(*http.Client); ok {
		s.Client = redirect.Client{Client: client}
	}
	if s.Client == nil {
		s.Timeout = cmp.Or(s.Timeout, time.Minute)
		return s, s.setClient()
	}
	return s, nil
}

func (o *Options) validate() error {
	switch {
	case o.Client != nil && o.Transport != nil:
		return errors.New("both Client and Transport are set")
	case o.Origin != nil && o.Client != nil:
		return errors.New("both Client and Origin are set: give the client a transport of origin.New")
	case o.Timeout < 0:
		return fmt.Errorf("Timeout is %v: it cannot be negative", o.Timeout)
	case o.MaxBody < 0:
		return fmt.Errorf("MaxBody is %d: it cannot be negative", o.MaxBody)
	}
	return nil
}

// setRetrier makes what repeats requests, which are all reads.
func (s *settled) setRetrier() (err error) {
	var retry origin.RetryOptions
	if s.Retry != nil {
		retry = *s.Retry
	}
	retry.AnyMethod = true
	s.retrier, err = origin.NewRetrier(nil, &retry)
	return err
}

// setClient makes the default client.
func (s *settled) setClient() error {
	transport := s.Transport
	if s.Transport == nil || s.Origin != nil {
		manners := s.manners()
		if err := manners.Validate(); err != nil {
			return err
		}
		closeBase := func() {}
		if transport == nil {
			base := &http.Transport{
				Proxy:               http.ProxyFromEnvironment,
				ForceAttemptHTTP2:   true,
				MaxIdleConnsPerHost: 64,
				IdleConnTimeout:     90 * time.Second,
				TLSHandshakeTimeout: 10 * time.Second,
			}
			transport, closeBase = base, base.CloseIdleConnections
		}
		polite := origin.New(transport, manners)
		transport, s.close = polite, func() {
			_ = polite.Close() // which returns nil
			closeBase()
		}
	}
	s.Client = &http.Client{Transport: transport, CheckRedirect: redirect.Guard(nil)}
	return nil
}

// manners are Origin, with credentials for the host of the API.
func (s *settled) manners() *origin.Options {
	var o origin.Options
	if s.Origin != nil {
		o = *s.Origin
	}
	if o.Credentials != nil && len(o.Credentials.Hosts) == 0 && s.base != nil {
		credentials := *o.Credentials
		credentials.Hosts = []string{s.base.Host}
		o.Credentials = &credentials
	}
	return &o
}
