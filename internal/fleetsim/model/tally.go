package model

import (
	"slices"
	"time"
)

// Result is what a fleet has done, from the time on that is measured.
type Result struct {
	Requests   int // to the origin
	Duplicates int // of these, sent while another one for the key was under way or its answer stored
	AtOnce     int // the most requests for one key that were under way at a time
	Operations int // on the store

	RequestsOver   []int // by buckets, from the beginning on
	OperationsOver []int
	Bucket         time.Duration

	Answered int
	Lost     int // callers whose process was killed
	Span     time.Duration
	waits    []time.Duration // in ascending order
}

// Wait is the time in which that share of the callers have been answered. Those whose answers
// have not come when all is over are left out.
func (r *Result) Wait(share float64) time.Duration {
	if len(r.waits) == 0 {
		return 0
	}
	return r.waits[int(share*float64(len(r.waits)-1))]
}

// Most is the largest number of a bucket within the time that is measured, per second.
func (r *Result) Most(over []int) float64 {
	from := len(over) - int(r.Span/r.Bucket)
	return float64(slices.Max(over[from:])) / r.Bucket.Seconds()
}

// OperationsPerSecond is how many operations the store does, on average.
func (r *Result) OperationsPerSecond() float64 { return float64(r.Operations) / r.Span.Seconds() }

// tally counts.
type tally struct {
	now      func() time.Duration
	from     time.Duration
	duration time.Duration
	r        Result
}

func newTally(run *run) tally {
	buckets := int((run.Workload.Duration + run.Bucket - 1) / run.Bucket)
	return tally{
		now: run.Now, from: run.Measure, duration: run.Workload.Duration,
		r: Result{
			RequestsOver: make([]int, buckets), OperationsOver: make([]int, buckets),
			Bucket: run.Bucket, Span: run.Workload.Duration - run.Measure,
		},
	}
}

func (t *tally) measured(at time.Duration) bool { return at >= t.from && at < t.duration }

func count(over []int, at, bucket time.Duration) {
	if i := int(at / bucket); i < len(over) {
		over[i]++
	}
}

// request counts a request to the origin: underWay are those for its key, with it; needless
// is one whose answer is stored already.
func (t *tally) request(underWay int, needless bool) {
	now := t.now()
	count(t.r.RequestsOver, now, t.r.Bucket)
	if !t.measured(now) {
		return
	}
	t.r.Requests++
	if underWay > 1 || needless {
		t.r.Duplicates++
	}
	t.r.AtOnce = max(t.r.AtOnce, underWay)
}

func (t *tally) operation(at time.Duration) {
	count(t.r.OperationsOver, at, t.r.Bucket)
	if t.measured(at) {
		t.r.Operations++
	}
}

func (t *tally) answer(wait time.Duration) {
	if t.measured(t.now()) {
		t.r.waits = append(t.r.waits, wait)
	}
}

// lose counts callers whose process was killed.
func (t *tally) lose(callers int) {
	if t.measured(t.now()) {
		t.r.Lost += callers
	}
}

func (t *tally) result() *Result {
	slices.Sort(t.r.waits)
	t.r.Answered = len(t.r.waits)
	return &t.r
}
