package inspector

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/hooks"
)

// Recorder remembers what a cache did in the last day: numbers alone, no keys, in steps of 5
// seconds for an hour and of 2 minutes for a day. It takes 1.5 MB, from its first event on,
// whatever the cache does. The zero value is ready to use. Many goroutines may use it at once, and
// several caches may share one: their numbers are added up, also what they hold where they share a
// store.
type Recorder struct {
	mu           sync.Mutex
	now          func() time.Time // nil: time.Now
	began        time.Time
	fine, coarse []step
	repositories map[string]*repositoryCount
	active       int64 // requests to the origin that go on
	runs         map[uint64]*run
	ended        []run // the last ones, the latest first
	nextRun      uint64
	sizes        map[*cache.ResponseCache]cache.Size // what each holds, of those that have pages
}

const (
	fineStep   = 5 * time.Second
	coarseStep = 2 * time.Minute
	fineSteps  = int(time.Hour / fineStep)
	dailySteps = int(24 * time.Hour / coarseStep)

	countedRepositories = 200 // by name; what others do is counted together
	shownRuns           = 50
	endedRuns           = 10
)

// step is what happened in a step of time.
type step struct {
	index      int64 // of the step since 1970; what is kept for another is outdated
	answers    [hooks.Results]int64
	requests   [requestKinds]int64
	received   int64 // bytes
	answerTime histogram
	originTime histogram
	entries    int64
	size       int64 // bytes
	sized      bool  // entries and size are known

	seconds float64 // how long it took, in a plot
}

// What became of requests to the origin.
const (
	requestFetched = iota
	requestConfirmed
	requestAbsent
	requestFailed
	requestKinds
)

// repositoryCount is what one repository did since the recorder began.
type repositoryCount struct {
	answers  [hooks.Results]int64
	requests int64
	received int64
}

// run is one of package prefetch.
type run struct {
	repository string
	began      time.Time
	progress   hooks.Progress
}

// Hooks are what tells the recorder of a cache. Join them with others by [hooks.Join].
func (r *Recorder) Hooks() hooks.Hooks {
	return hooks.Hooks{Answered: r.answered, Requesting: r.requesting, Prefetching: r.prefetching}
}

func (r *Recorder) answered(_ context.Context, a hooks.Answer) {
	if a.Result >= hooks.Results {
		return
	}
	r.record(func(s *step) {
		s.answers[a.Result] += int64(a.Keys)
		if a.Duration > 0 {
			s.answerTime.add(a.Duration)
		}
	})
	r.count(a.Repository, func(c *repositoryCount) { c.answers[a.Result] += int64(a.Keys) })
}

func (r *Recorder) requesting(ctx context.Context, q hooks.Request) (context.Context, func(hooks.RequestEnd)) {
	r.mu.Lock()
	r.active++
	r.mu.Unlock()
	return ctx, func(end hooks.RequestEnd) {
		r.record(func(s *step) {
			s.requests[requestKind(end)]++
			s.received += end.Bytes
			if end.Attempts > 0 {
				s.originTime.add(end.Duration)
			}
		})
		r.count(q.Repository, func(c *repositoryCount) { c.requests++; c.received += end.Bytes })
		r.mu.Lock()
		r.active--
		r.mu.Unlock()
	}
}

func requestKind(end hooks.RequestEnd) int {
	switch {
	case end.Status == http.StatusNotModified:
		return requestConfirmed
	case end.Status == http.StatusNotFound || end.Status == http.StatusGone:
		return requestAbsent
	case end.ErrorType != "" || end.Status == 0 || end.Status >= http.StatusBadRequest:
		return requestFailed
	}
	return requestFetched
}

func (r *Recorder) prefetching(_ context.Context, p hooks.Prefetch) func(hooks.Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.runs == nil {
		r.runs = make(map[uint64]*run)
	}
	if len(r.runs) >= shownRuns {
		return nil
	}
	id := r.nextRun
	r.nextRun++
	r.runs[id] = &run{repository: strings.Clone(p.Repository), began: r.clock()}
	return func(now hooks.Progress) {
		r.mu.Lock()
		defer r.mu.Unlock()
		going := r.runs[id]
		if going == nil {
			return
		}
		going.progress = now
		if now.Ended {
			delete(r.runs, id)
			r.ended = append([]run{*going}, r.ended[:min(len(r.ended), endedRuns-1)]...)
		}
	}
}

// stored tells how much a cache holds.
func (r *Recorder) stored(c *cache.ResponseCache, size cache.Size) {
	r.mu.Lock()
	if r.sizes == nil {
		r.sizes = make(map[*cache.ResponseCache]cache.Size)
	}
	r.sizes[c] = size
	var all cache.Size
	for _, size := range r.sizes {
		all.Entries += size.Entries
		all.Bytes += size.Bytes
	}
	r.mu.Unlock()
	r.record(func(s *step) { s.entries, s.size, s.sized = int64(all.Entries), all.Bytes, true })
}

// forget tells that nobody counts any more what a cache holds.
func (r *Recorder) forget(c *cache.ResponseCache) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sizes, c)
}

func (r *Recorder) clock() time.Time {
	if r.now != nil {
		return r.now()
	}
	return time.Now()
}

// record calls add with the steps of this moment.
func (r *Recorder) record(add func(*step)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock()
	if r.fine == nil {
		r.fine, r.coarse, r.began = make([]step, fineSteps), make([]step, dailySteps), now
	}
	add(stepAt(r.fine, now, fineStep))
	add(stepAt(r.coarse, now, coarseStep))
}

// stepAt is the ring's step of an instant, empty where it is the first in it.
func stepAt(ring []step, at time.Time, length time.Duration) *step {
	index := at.UnixNano() / int64(length)
	s := &ring[index%int64(len(ring))]
	if s.index != index {
		*s = step{index: index}
	}
	return s
}

func (r *Recorder) count(repository string, add func(*repositoryCount)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.repositories[repository]
	if c == nil {
		if r.repositories == nil {
			r.repositories = make(map[string]*repositoryCount)
		}
		if len(r.repositories) >= countedRepositories {
			repository = otherRepositories
			c = r.repositories[repository]
		}
		if c == nil {
			c = new(repositoryCount)
			r.repositories[strings.Clone(repository)] = c
		}
	}
	add(c)
}

const otherRepositories = "(others)"

// recorded is a copy of what the recorder knows.
type recorded struct {
	began        time.Time
	active       int64
	runs, ended  []run
	repositories map[string]repositoryCount
}

func (r *Recorder) recorded() recorded {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := recorded{began: r.began, active: r.active, ended: slices.Clone(r.ended), repositories: make(map[string]repositoryCount)}
	for _, id := range slices.Sorted(maps.Keys(r.runs)) {
		out.runs = append(out.runs, *r.runs[id])
	}
	for name, c := range r.repositories {
		out.repositories[name] = *c
	}
	return out
}

// A window is how far back the plots go, and in which steps.
type window struct {
	name, label string
	length      time.Duration
	coarse      bool
	merged      int // steps to a point
}

var windows = []window{
	{"10m", "10 minutes", 10 * time.Minute, false, 1},
	{"1h", "1 hour", time.Hour, false, 6},
	{"24h", "24 hours", 24 * time.Hour, true, 6},
}

// points are the steps of a window, the last one that of now; each is the sum of its steps, with
// when it begins.
func (r *Recorder) points(w window) (points []step, from time.Time, length time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ring, unit := r.fine, fineStep
	if w.coarse {
		ring, unit = r.coarse, coarseStep
	}
	length = unit * time.Duration(w.merged)
	n := int(w.length / length)
	points = make([]step, n)
	now := r.clock()
	last := now.UnixNano() / int64(length)
	from = time.Unix(0, (last-int64(n)+1)*int64(length))
	for p := range points {
		points[p].seconds = length.Seconds()
	}
	begun := now.Sub(from.Add(length * time.Duration(n-1)))
	points[n-1].seconds = max(begun.Seconds(), 1) // it goes on
	if ring == nil {
		return points, from, length
	}
	for p := range points {
		first := (last - int64(n-1-p)) * int64(w.merged)
		for index := first; index < first+int64(w.merged); index++ {
			if s := &ring[index%int64(len(ring))]; s.index == index {
				points[p].add(s)
			}
		}
	}
	for p := range points[1:] {
		if before, s := &points[p], &points[p+1]; before.sized && !s.sized {
			s.entries, s.size, s.sized = before.entries, before.size, true // as it was known last
		}
	}
	return points, from, length
}

func (s *step) add(other *step) {
	for i, n := range other.answers {
		s.answers[i] += n
	}
	for i, n := range other.requests {
		s.requests[i] += n
	}
	s.received += other.received
	s.answerTime.merge(&other.answerTime)
	s.originTime.merge(&other.originTime)
	if other.sized {
		s.entries, s.size, s.sized = other.entries, other.size, true
	}
}
