package fetch

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/go-resty/resty/v2"

	"github.com/endpointcache/endpointcache/origin"
)

// NoRetries is the value of [Options.Retries] for one attempt at each request.
const NoRetries = -1

// Options are the settings of a client. A nil *Options means the defaults.
type Options struct {
	// BaseURL is the scheme and host of the API, perhaps with a path, as the
	// endpoints take it. The default is the resty client's BaseURL, and without
	// either the endpoints' patterns have to have a host.
	BaseURL string

	// Origin are the limits, pauses and credentials of the default client,
	// which sends with an origin.Transport. It is not to be set together with
	// Client. Credentials without hosts are for the host of BaseURL.
	Origin *origin.Options

	// Transport makes the requests of the default client: below the limits of
	// Origin where these are set, and without any where they are not, so that
	// it may be an origin.Transport that is shared with others. It is not to be
	// set together with Client, and stays the caller's to close.
	Transport http.RoundTripper

	// Client sends the requests, with its headers, credentials, cookies,
	// query parameters, middlewares, transport, timeout and redirect policy.
	// A clone of it is used and the client left as it is; nobody may change it
	// meanwhile.
	//
	// What it adds may not change the key: a query parameter that the endpoint
	// neither has nor ignores, or a header whose hash is another than the
	// key's, makes a key fail, as the answer would be another's.
	//
	// Each attempt is one request to the client. Its RetryConditions,
	// RetryHooks, RetryAfter and RetryWaitTime apply to the attempts, its
	// RetryCount and RetryMaxWaitTime do not. What the endpoint sets is sent
	// as the endpoint says, so the client's FormData and path parameters do
	// not apply. Its transport should keep as many idle connections for a
	// host as there are requests at once; Go's default is 2. SetDigestAuth
	// changes the transport for each request, so it is only for requests that
	// are made one after another.
	Client *resty.Client

	// Timeout is how long an attempt may take, from when an http.Transport
	// begins to send it to the end of the answer. That it waits for its turn, in an
	// origin.Transport, does not count, as it would in the timeout of a
	// resty client. The default is a minute, and with Client none but its own.
	Timeout time.Duration

	// Retries is how many more attempts there are at a request after an error of
	// the connection, a body that was cut short, and the statuses 408, 425,
	// 429 and 5xx except for 501 and 505. All methods are retried: what is
	// cached is a read, also where it is a POST. The waits before them grow
	// exponentially, with jitter, or are as long as a Retry-After header says.
	// The default is 3, and [NoRetries] is none. See also
	// [Client.WithRetryBudget].
	Retries int

	// MaxRetryWait is the longest wait before a retry. Where the server asks
	// for a longer one, the retry comes before that has passed. The default is 30 seconds.
	MaxRetryWait time.Duration

	// Offline sends no request: what would need one fails with [ErrOffline]. See
	// also [StaleIfError], which then returns what has expired.
	Offline bool

	// MaxBody is the size in bytes of the largest body that is fetched, as it
	// is when it has been unpacked. The default is the resty client's
	// ResponseBodyLimit, else 64 MiB.
	MaxBody int
}

// settled is Options with the defaults filled in.
type settled struct {
	Options
	base  *url.URL // nil: the patterns have the host
	close func()   // closes a transport that is our own
}

func (o *Options) settle() (*settled, error) {
	s := &settled{close: func() {}}
	if o != nil {
		s.Options = *o
	}
	if err := s.validate(); err != nil {
		return nil, err
	}
	s.MaxRetryWait = cmp.Or(s.MaxRetryWait, 30*time.Second)
	switch s.Retries {
	case 0:
		s.Retries = 3
	case NoRetries:
		s.Retries = 0
	}
	if s.Client != nil {
		s.BaseURL = cmp.Or(s.BaseURL, s.Client.BaseURL)
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
	if s.Client == nil {
		s.Timeout = cmp.Or(s.Timeout, time.Minute)
		if err := s.setClient(); err != nil {
			return nil, err
		}
	}
	s.MaxBody = cmp.Or(s.MaxBody, s.Client.ResponseBodyLimit, 64<<20)
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
	case o.Retries < NoRetries:
		return fmt.Errorf("Retries is %d: it cannot be less than %d", o.Retries, NoRetries)
	case o.MaxRetryWait < 0:
		return fmt.Errorf("MaxRetryWait is %v: it cannot be negative", o.MaxRetryWait)
	case o.MaxBody < 0:
		return fmt.Errorf("MaxBody is %d: it cannot be negative", o.MaxBody)
	}
	return nil
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
	s.Client = resty.NewWithClient(&http.Client{Transport: transport})
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
