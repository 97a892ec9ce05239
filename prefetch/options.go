package prefetch

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"time"

	"github.com/go-resty/resty/v2"
	"golang.org/x/time/rate"

	"github.com/endpointcache/endpointcache/repository"
)

// NoRetries is the value of [Options.Retries] for one attempt at each key.
const NoRetries = -1

// Options are the settings of a run. A nil *Options means the defaults.
type Options struct {
	// BaseURL is the scheme and host of the API, perhaps with a path, as the
	// repository's endpoint takes it. The default is the client's BaseURL,
	// and without either the endpoint's pattern has to have a host.
	BaseURL string

	// Client sends the requests, with its headers, credentials, cookies,
	// query parameters, middlewares, transport, timeout and redirect policy.
	// The run works with a clone and leaves it as it is; nobody may change it
	// meanwhile. The default has a timeout of a minute.
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
	// changes the transport for each request, so it needs a Concurrency of 1.
	Client *resty.Client

	// Concurrency is how many keys are fetched at once. The default is 8.
	Concurrency int

	// Rate is how many requests are sent in a second, one after another and
	// retries included. The default is no limit.
	Rate float64

	// Limiter takes the place of Rate, which must not be set, too, where several runs, or other users of
	// an API, share one limit.
	Limiter *rate.Limiter

	// Retries is how many more attempts there are for a key after an error of
	// the connection, a body that was cut short, and the statuses 408, 425,
	// 429 and 5xx except for 501 and 505. All methods are retried: what is
	// cached is a read, also where it is a POST. The waits before them grow
	// exponentially, with jitter, or are as long as a Retry-After header says.
	// The default is 3, and [NoRetries] is none.
	Retries int

	// MaxRetryWait is the longest wait before a retry. Where the server asks
	// for a longer one, the retry comes before that has passed. The default is 30 seconds.
	MaxRetryWait time.Duration

	// MaxBody is the size in bytes of the largest body that is fetched. The
	// default is the client's ResponseBodyLimit, else 64 MiB.
	MaxBody int

	// MaxFailures is how many keys may fail one after another, in being fetched
	// or in being saved, before the run ends with [ErrMaxFailures]: the host
	// is down, or a token has expired and there is only a login page.
	// The default is no limit.
	MaxFailures int

	// SaveEvery is how many responses are saved together, at most. The
	// default is 500. Fewer are saved where there are enough of them to be
	// worth it, where they have a few megabytes, or where the first has
	// waited for half a second. While one batch is being saved another is
	// gathered: a process that dies loses no more than these two.
	SaveEvery int

	// Save are options of all saves, such as repository.ExpireIn.
	Save []repository.SaveOption

	// Refresh fetches also the keys that are cached.
	Refresh bool

	// Total is the number of keys, where it is known, for Progress.
	Total int

	// Progress is called about ten times a second and once at the end, by
	// one goroutine at a time. A slow one does not hold up the run, except at
	// the end.
	Progress func(Progress)
}

// The sizes that have no option.
const (
	lookupBatch = 1000                   // keys that are looked up together
	saveFrom    = 256                    // responses that are worth a save
	saveBytes   = 8 << 20                // the size at which responses are saved
	saveWithin  = 500 * time.Millisecond // how long a response waits to be saved
	saveGrace   = 5 * time.Second        // how long saving may go on after the run was cancelled

	progressEvery = 100 * time.Millisecond
)

// plan is Options with the defaults filled in.
type plan struct {
	Options
	base  *url.URL // nil: the pattern has the host
	close func()   // releases what the plan has made
}

func (o *Options) plan() (*plan, error) {
	p := &plan{close: func() {}}
	if o != nil {
		p.Options = *o
	}
	if err := p.validate(); err != nil {
		return nil, err
	}
	p.Concurrency = cmp.Or(p.Concurrency, 8)
	p.MaxRetryWait = cmp.Or(p.MaxRetryWait, 30*time.Second)
	p.SaveEvery = cmp.Or(p.SaveEvery, 500)
	switch p.Retries {
	case 0:
		p.Retries = 3
	case NoRetries:
		p.Retries = 0
	}
	if p.Limiter == nil {
		limit := rate.Inf
		if p.Rate > 0 {
			limit = rate.Limit(p.Rate)
		}
		p.Limiter = rate.NewLimiter(limit, 1)
	}
	if p.Client == nil {
		p.Client, p.close = newClient(p.Concurrency)
	} else {
		p.BaseURL = cmp.Or(p.BaseURL, p.Client.BaseURL)
		p.MaxBody = cmp.Or(p.MaxBody, p.Client.ResponseBodyLimit)
	}
	p.MaxBody = cmp.Or(p.MaxBody, 64<<20)
	if p.BaseURL == "" {
		return p, nil
	}
	base, err := url.Parse(p.BaseURL)
	switch {
	case err != nil:
		return nil, errors.New("BaseURL cannot be parsed") // not err, which has all of it
	case base.Scheme != "http" && base.Scheme != "https", base.Host == "":
		return nil, errors.New(`BaseURL is not of the form "https://host"`)
	}
	p.base = base
	return p, nil
}

func (o *Options) validate() error {
	for _, field := range []struct {
		name  string
		value int
		least int
	}{
		{"Concurrency", o.Concurrency, 0},
		{"Retries", o.Retries, NoRetries},
		{"MaxBody", o.MaxBody, 0},
		{"MaxFailures", o.MaxFailures, 0},
		{"SaveEvery", o.SaveEvery, 0},
		{"Total", o.Total, 0},
	} {
		if field.value < field.least {
			return fmt.Errorf("%s is %d: it cannot be less than %d", field.name, field.value, field.least)
		}
	}
	switch {
	case o.MaxRetryWait < 0:
		return fmt.Errorf("MaxRetryWait is %v: it cannot be negative", o.MaxRetryWait)
	case !(o.Rate >= 0) || math.IsInf(o.Rate, 1):
		return fmt.Errorf("Rate is %v: it is a number of requests in a second, or 0 for no limit", o.Rate)
	case o.Limiter == nil:
		return nil
	case o.Rate > 0:
		return errors.New("both Rate and Limiter are set")
	case o.Limiter.Burst() < 1 && o.Limiter.Limit() != rate.Inf:
		return errors.New("Limiter has no burst: it lets nothing pass")
	}
	return nil
}

// newClient returns a client that keeps a connection for each request at once,
// and what releases these.
func newClient(concurrency int) (*resty.Client, func()) {
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: concurrency,
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second,
	}
	client := resty.NewWithClient(&http.Client{Transport: transport, Timeout: time.Minute})
	return client, transport.CloseIdleConnections
}
