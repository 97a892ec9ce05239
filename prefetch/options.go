package prefetch

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/repository"
)

// Options are the settings of a run. A nil *Options means the defaults.
type Options struct {
	// Client sends the requests: it has the API's URL, credentials, retries and,
	// by its transport, the limits of the hosts. It stays the caller's to close.
	// The default is one of fetch.NewClient without options, for endpoints whose
	// pattern has the host.
	Client *fetch.Client

	// Concurrency is how many requests there are at once. The default is 8.
	Concurrency int

	// RetryBudget is how many retries all requests of the run have together. When
	// they are used up, what fails has failed at once. The default is the budget of
	// the context, see origin.WithRetryBudget, or no limit.
	RetryBudget int

	// MaxFailures is how many keys may fail one after another, in being fetched
	// or in being saved, before the run ends with [ErrMaxFailures]: the host
	// is down, or a token has expired and there is only a login page. A key that
	// is absent has not failed. The default is no limit.
	MaxFailures int

	// SaveEvery is how many responses are saved together, at most. The
	// default is 500. Fewer are saved where there are enough of them to be
	// worth it, where they have a few megabytes, or where the first has
	// waited for half a second. While one batch is being saved another is
	// gathered: a process that dies loses no more than these two.
	SaveEvery int

	// Save are options of the saves of values, such as repository.ExpireIn.
	Save []repository.SaveOption

	// Refresh fetches also the keys that are cached or known to be absent. What the
	// origin has no more is removed.
	Refresh bool

	// Total is the number of keys, where it is known, for Progress.
	Total int

	// Progress is called about ten times a second and once at the end, by
	// one goroutine at a time. A slow one does not hold up the run, except at
	// the end.
	Progress func(Progress)

	// Logger gets a line about the progress every LogEvery and one at the end. The
	// default is none.
	Logger *slog.Logger

	// LogEvery is the time between two lines. The default is 10 seconds.
	LogEvery time.Duration
}

// The sizes that have no option.
const (
	lookupBatch = 1000                   // keys that are looked up together
	heldKeys    = 16 * lookupBatch       // keys that may wait for others to share a request with
	heldIdle    = 200 * time.Millisecond // how long they wait when no more keys come
	heldWithin  = time.Second            // how long they wait when keys come slowly
	saveFrom    = 256                    // responses that are worth a save
	saveBytes   = 8 << 20                // the size at which responses are saved
	saveWithin  = 500 * time.Millisecond // how long a response waits to be saved
	saveGrace   = 5 * time.Second        // how long saving may go on after the run was cancelled
)

// plan is Options with the defaults filled in.
type plan struct {
	Options
	budget *origin.RetryBudget // nil: no limit
	close  func() error        // releases what the plan has made
}

func (o *Options) plan() (*plan, error) {
	p := &plan{close: func() error { return nil }}
	if o != nil {
		p.Options = *o
	}
	if err := p.validate(); err != nil {
		return nil, err
	}
	p.Concurrency = cmp.Or(p.Concurrency, 8)
	p.SaveEvery = cmp.Or(p.SaveEvery, 500)
	p.LogEvery = cmp.Or(p.LogEvery, 10*time.Second)
	if p.Client == nil {
		client, err := fetch.NewClient(nil)
		if err != nil {
			return nil, err
		}
		p.Client, p.close = client, client.Close
	}
	if p.RetryBudget > 0 {
		p.budget = origin.NewRetryBudget(p.RetryBudget)
	}
	return p, nil
}

func (o *Options) validate() error {
	for _, field := range []struct {
		name  string
		value int
	}{
		{"Concurrency", o.Concurrency},
		{"RetryBudget", o.RetryBudget},
		{"MaxFailures", o.MaxFailures},
		{"SaveEvery", o.SaveEvery},
		{"Total", o.Total},
	} {
		if field.value < 0 {
			return fmt.Errorf("%s is %d: it cannot be negative", field.name, field.value)
		}
	}
	if o.LogEvery < 0 {
		return fmt.Errorf("LogEvery is %v: it cannot be negative", o.LogEvery)
	}
	return nil
}
