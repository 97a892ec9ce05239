package prefetch

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/internal/secret"
	"github.com/endpointcache/endpointcache/origin"
)

// Options are the settings of a run. A nil *Options means the defaults.
type Options struct {
	// Concurrency is how many requests there are at once. The default is that of the
	// fetcher.
	Concurrency int

	// RetryBudget is how many retries all requests of the run have together. When they are
	// used up, every failure is final. The default is the budget of the context, see
	// origin.WithRetryBudget, or no limit.
	RetryBudget int

	// MaxFailures is how many keys may fail one after another, in being fetched
	// or in being saved, before the run ends with [ErrMaxFailures]: the host
	// is down, or a token has expired and there is only a login page. A key that
	// is absent has not failed. The default is no limit.
	MaxFailures int

	// Refresh also asks the origin for keys that are cached or known to be absent. Stored
	// responses with a validator are revalidated. Entries that the origin no longer has are
	// removed.
	Refresh bool

	// BelieveAbsent lets a run go on in which the origin has nothing for any key. A gateway
	// may answer 404 for everything, so by default a run ends with fetch.ErrAllAbsent after
	// ten absences, before it remembers them (ExpireAbsent) or removes entries (Refresh). A
	// run that would do neither goes on.
	BelieveAbsent bool

	// Unsaved lets a run go on when the store fails: keys that cannot be saved count as
	// failed. By default the run ends with the store's error.
	Unsaved bool

	// Fetch has options for each key, such as fetch.With, whose policy says how long saved
	// entries live.
	Fetch []fetch.Option

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

// plan is Options with the defaults filled in.
type plan struct {
	Options
	budget *origin.RetryBudget // nil: no limit
}

func (o *Options) plan() (*plan, error) {
	p := &plan{}
	if o != nil {
		p.Options = *o
	}
	if err := p.validate(); err != nil {
		return nil, err
	}
	if p.Logger != nil {
		p.Logger = secret.Logger(p.Logger)
	}
	p.LogEvery = cmp.Or(p.LogEvery, 10*time.Second)
	if p.Refresh {
		p.Fetch = append(slices.Clip(p.Fetch), fetch.Refresh())
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
