package exchange

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/hooks"
	"github.com/endpointcache/endpointcache/internal/compress"
	"github.com/endpointcache/endpointcache/internal/expire"
	"github.com/endpointcache/endpointcache/internal/head"
	"github.com/endpointcache/endpointcache/internal/secret"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/redact"
	"github.com/endpointcache/endpointcache/settings"
)

// Options are the settings of an exchange; zero values stand for the defaults.
type Options struct {
	Name   string
	Expire time.Duration // of tables that do not say; settings.DefaultExpire where zero
	Policy policy.Policy // of all tables, behind their own
	Router func(*http.Request) string
	Now    func() time.Time
	Logger *slog.Logger

	Hooks hooks.Hooks
	Store string // the kind of the store, for the hooks

	DigestKey []byte // empty: one that the store keeps

	// Of tables that do not say.
	Scope    settings.Scope
	Identity func(*http.Request) string
	Origin   string

	Redact redact.Rules // of all tables, besides their own

	Upkeep Upkeep

	Unclosed bool // nobody closes it: nothing goes on in the background by itself

	Limits
}

// Upkeep is what is done in the background to what is stored. The zero value is nothing.
type Upkeep struct {
	Limit       settings.Limit // of all tables together, besides their own
	ClearEvery  time.Duration  // between two looks at what has expired; 0: never
	KeepExpired time.Duration  // how long an expired entry stays; negative: until it is cleared
}

// Limits bound what an exchange holds and waits for.
type Limits struct {
	// MaxBody is the size in bytes of the largest body that is kept. While it comes in,
	// a body is held in memory, and takes one and a half times MaxBody at most. The
	// default is 64 MiB.
	MaxBody int64

	// MaxInFlight is how many bytes all bodies have together that are held in memory
	// while they come in. Where they would have more, some wait for others to be
	// saved. The default is four times MaxBody; it is one and a half times MaxBody at
	// least.
	MaxInFlight int64

	// FinishTimeout and FinishBytes limit how long, and for how many bytes, the rest
	// of a body is read that a caller closed before its end, so that it can be saved.
	// A reader that has not read for FinishTimeout does not hold up others that read
	// the same stream. The defaults are 5 seconds and 1 MiB.
	FinishTimeout time.Duration
	FinishBytes   int64

	// StreamAfter is how long a response without a length may take to end before it
	// is taken for a stream, which is its caller's alone and not kept. The default is
	// 10 seconds.
	StreamAfter time.Duration

	// StoreTimeout is the longest that a caller waits for each operation on the
	// store, and once more for every thousand keys of it. The default is a second.
	StoreTimeout time.Duration

	// RenewTimeout limits a renewal in the background. The default is 30 seconds.
	RenewTimeout time.Duration
}

// ErrClosed is the error of calls that an exchange no longer answers.
var ErrClosed = fmt.Errorf("the cache is closed: %w", driver.ErrClosed)

// Exchange answers asks about the tables of one store. Many goroutines may use it at
// once.
type Exchange struct {
	opts         Options
	log          *slog.Logger
	general      *layer
	fixed        *Rules // of what belongs to no table
	flights      flights
	guard        guard
	budget       budget
	vary         variants
	records      records
	dictionaries ownTable
	digest       digestKey
	marks        marks
	order        order
	upkeep       upkeep
	counts       counters
	damage       damage
	leases       leases
	running      running

	rawMu sync.Mutex
	raw   map[string]*Table // tables without their declarations, by name
}

// New returns an exchange, which is to be closed.
func New(opts Options) (*Exchange, error) {
	if err := opts.validate(); err != nil {
		return nil, err
	}
	x := &Exchange{opts: opts}
	x.opts.setDefaults()
	x.log = secret.Logger(x.opts.Logger)
	x.general = newLayer(opts.Policy)
	if x.general.err != nil {
		return nil, x.general.err
	}
	x.fixed = fixedRules(x.general)
	x.flights.byKey = make(map[flightKey]*Flight)
	x.flights.endOf = make(map[flightKey]int64)
	x.flights.tables = make(map[string]*atomic.Int64)
	x.guard.init(x)
	x.budget.init(x.opts.MaxInFlight, largestShare(x.opts.MaxBody))
	x.vary.init(x)
	x.records.init(x)
	x.damage.init(x)
	x.leases.init(x)
	x.dictionaries.x, x.dictionaries.spec = x, driver.TableSpec{Name: DictionariesTable, Key: compress.Columns}
	x.marks.x = x
	x.running.init()
	return x, nil
}

func (o *Options) validate() error {
	if err := expire.Validate(o.Expire); err != nil {
		return err
	}
	if err := o.Redact.Validate(); err != nil {
		return err
	}
	if n := len(o.DigestKey); n > 0 && n < minDigestKey {
		return fmt.Errorf("DigestKey has %d bytes of at least %d", n, minDigestKey)
	}
	if err := o.Upkeep.Limit.Validate(); err != nil {
		return err
	}
	for name, n := range map[string]int64{
		"MaxBody": o.MaxBody, "MaxInFlight": o.MaxInFlight, "FinishBytes": o.FinishBytes,
		"FinishTimeout": int64(o.FinishTimeout), "StreamAfter": int64(o.StreamAfter),
		"StoreTimeout": int64(o.StoreTimeout), "RenewTimeout": int64(o.RenewTimeout),
	} {
		if n < 0 {
			return fmt.Errorf("%s is negative", name)
		}
	}
	return nil
}

func (o *Options) setDefaults() {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	setDefault(&o.Expire, settings.DefaultExpire)
	setDefault(&o.MaxBody, 64<<20)
	o.MaxBody = min(o.MaxBody, 1<<60) // so that no sum overflows
	setDefault(&o.MaxInFlight, 4*o.MaxBody)
	o.MaxInFlight = max(o.MaxInFlight, largestShare(o.MaxBody))
	setDefault(&o.FinishTimeout, 5*time.Second)
	setDefault(&o.FinishBytes, 1<<20)
	setDefault(&o.StreamAfter, 10*time.Second)
	setDefault(&o.StoreTimeout, DefaultStoreTimeout)
	setDefault(&o.RenewTimeout, 30*time.Second)
}

// DefaultStoreTimeout is the StoreTimeout of options that have none. Tests that are about
// something else raise it: on a busy machine any store takes longer at times.
var DefaultStoreTimeout = time.Second

func setDefault[T comparable](value *T, otherwise T) {
	var zero T
	if *value == zero {
		*value = otherwise
	}
}

// Now is the time by the exchange's clock.
func (x *Exchange) Now() time.Time { return x.opts.Now() }

// Expire is how long responses live whose table does not say; negative: for ever.
func (x *Exchange) Expire() time.Duration { return x.opts.Expire }

// Name is the name that the exchange was given.
func (x *Exchange) Name() string { return x.opts.Name }

// MaxBody is [Limits.MaxBody] with its default.
func (x *Exchange) MaxBody() int64 { return x.opts.MaxBody }

// Logger is told of what goes wrong beside the calls.
func (x *Exchange) Logger() *slog.Logger { return x.log }

// Close ends the flights of typed callers that no reader of a response depends on, and
// waits for everything that goes on in the background. What has come is still saved, so
// the store is to be closed afterwards. Typed callers that wait get [ErrClosed], as does
// every typed call from then on; RoundTrips leave nothing behind any more. Closing twice
// is not an error.
func (x *Exchange) Close() error {
	x.running.close()
	x.flights.endUnread()
	x.running.wait()
	x.upkeep.close()
	x.damage.tellAll()
	return nil
}

// running counts what goes on in the background, so that Close can wait for it.
type running struct {
	mu     sync.Mutex
	n      int
	closed bool
	ended  bool          // it is closed, and nothing goes on any more
	idle   chan struct{} // closed when it has ended; nil where nobody waits
	ctx    context.Context
	cancel context.CancelCauseFunc
}

func (r *running) init() {
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
}

// enter is false where nothing may begin any more. Otherwise, leave is due.
func (r *running) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.n++
	}
	return !r.closed
}

// enterAlso is enter for the end of something that has begun before: it also enters while
// what is left is waited for. It is false when all has ended.
func (r *running) enterAlso() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		r.n++
	}
	return !r.ended
}

func (r *running) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n--; r.n == 0 && r.closed {
		r.end()
	}
}

// end is called with the lock held.
func (r *running) end() {
	r.ended = true
	if r.idle != nil {
		close(r.idle)
		r.idle = nil
	}
}

func (r *running) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel(ErrClosed)
}

// wait waits until all has ended.
func (r *running) wait() {
	r.mu.Lock()
	if r.n == 0 {
		r.end()
	}
	if r.ended {
		r.mu.Unlock()
		return
	}
	if r.idle == nil {
		r.idle = make(chan struct{})
	}
	idle := r.idle
	r.mu.Unlock()
	<-idle
}

// Enter lets a door's call begin, for which Close waits. It is false once the exchange
// is closed; otherwise Leave is due.
func (x *Exchange) Enter() bool { return x.running.enter() }

// Leave ends what Enter began.
func (x *Exchange) Leave() { x.running.leave() }

// background runs a function for whose end Close waits, with a context that ends when Close
// begins. It is false where nothing may begin, or may not any more.
func (x *Exchange) background(run func(context.Context)) bool {
	if x.opts.Unclosed || !x.running.enter() {
		return false
	}
	go func() {
		defer x.running.leave()
		run(x.running.ctx)
	}()
	return true
}

// Closing is done, with [ErrClosed] as its cause, when the exchange is closed.
func (x *Exchange) Closing() context.Context { return x.running.ctx }

// instant is t as stores know it: UTC, whole microseconds, within the years that all
// stores know.
func instant(t time.Time) time.Time {
	switch {
	case t.Before(earliest):
		return earliest
	case t.After(latest):
		return latest
	}
	return t.UTC().Truncate(time.Microsecond)
}

var (
	earliest = time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC)
	latest   = time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC)
)

// Instant is t as stores know it.
func Instant(t time.Time) time.Time { return instant(t) }

func hasValue(status int) bool { return head.HasValue(status) }

// HasValue reports whether a response of that status holds a value of its endpoint.
func HasValue(status int) bool { return head.HasValue(status) }

// IsPart reports whether an entry of that status is a part of a response, which only a
// request for ranges can be answered with.
func IsPart(status int) bool { return head.IsPart(status) }

// Gone reports whether a status says that the origin has nothing for a key.
func Gone(status int) bool { return status == http.StatusNotFound || status == http.StatusGone }
