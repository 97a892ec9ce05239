package inspector

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/hooks"
)

// at is a recorder whose clock can be set.
func at(now *time.Time) *Recorder { return &Recorder{now: func() time.Time { return *now }} }

func answers(steps []step) (all []int64) {
	for n := range steps {
		all = append(all, steps[n].answers[hooks.Fresh])
	}
	return all
}

func TestStepsAreOfTheirTime(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 1, 0, time.UTC)
	r := at(&now)
	told := func(n int) { r.answered(context.Background(), hooks.Answer{Result: hooks.Fresh, Keys: n}) }
	told(1)
	now = now.Add(fineStep)
	told(2)
	now = now.Add(2 * fineStep)
	told(4)
	points, from, length := r.points(windows[0])
	if got := answers(points[116:]); fmt.Sprint(got) != "[1 2 0 4]" || length != fineStep || !from.Equal(now.Truncate(fineStep).Add(-119*fineStep)) {
		t.Errorf("%v from %v in steps of %v", got, from, length)
	}
	if points[119].seconds != 1 || points[118].seconds != 5 {
		t.Errorf("the last step took %v s, the one before %v s", points[119].seconds, points[118].seconds)
	}
	for _, w := range windows {
		points, _, _ := r.points(w)
		var sum step
		for n := range points {
			sum.add(&points[n])
		}
		if len(points) != 120 || sum.answers[hooks.Fresh] != 7 {
			t.Errorf("%s: %d points, %d answers", w.name, len(points), sum.answers[hooks.Fresh])
		}
	}
	// What is older than the window is not in it, though its place in the ring may not have been used since.
	now = now.Add(time.Hour)
	points, _, _ = r.points(windows[0])
	if got := answers(points); fmt.Sprint(got) != fmt.Sprint(make([]int64, 120)) {
		t.Errorf("%v", got)
	}
	told(8)
	hour, _, _ := r.points(windows[1])
	day, _, _ := r.points(windows[2])
	var sums [2]step
	for n := range hour {
		sums[0].add(&hour[n])
		sums[1].add(&day[n])
	}
	if sums[0].answers[hooks.Fresh] != 8 || sums[1].answers[hooks.Fresh] != 15 {
		t.Errorf("an hour has %d, a day %d", sums[0].answers[hooks.Fresh], sums[1].answers[hooks.Fresh])
	}
}

// What several caches hold is added up, as what they do is.
func TestSizesOfSeveralCaches(t *testing.T) {
	now := time.Unix(1e9, 0)
	r := at(&now)
	one, other := new(cache.ResponseCache), new(cache.ResponseCache)
	want := func(entries, bytes int64) {
		t.Helper()
		points, _, _ := r.points(windows[0])
		if last := points[len(points)-1]; last.entries != entries || last.size != bytes {
			t.Errorf("%d entries of %d bytes, want %d of %d", last.entries, last.size, entries, bytes)
		}
	}
	r.stored(one, cache.Size{Entries: 1, Bytes: 10})
	want(1, 10)
	r.stored(other, cache.Size{Entries: 2, Bytes: 20})
	want(3, 30)
	r.stored(one, cache.Size{Entries: 5, Bytes: 50})
	want(7, 70)
	r.forget(one)
	r.stored(other, cache.Size{Entries: 2, Bytes: 20})
	want(2, 20)
}

func TestTheMemoryOfARecorderIsBounded(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	r := at(&now)
	h := r.Hooks()
	for n := range 5000 {
		h.Answered(t.Context(), hooks.Answer{Repository: fmt.Sprint(n), Result: hooks.Fresh, Keys: 1})
		now = now.Add(7 * time.Minute)
	}
	if len(r.repositories) != countedRepositories+1 || r.repositories[otherRepositories].answers[hooks.Fresh] != 5000-countedRepositories {
		t.Errorf("%d repositories, the others have %d", len(r.repositories), r.repositories[otherRepositories].answers[hooks.Fresh])
	}
	if len(r.fine) != fineSteps || len(r.coarse) != dailySteps {
		t.Errorf("%d and %d steps", len(r.fine), len(r.coarse))
	}
	h.Answered(t.Context(), hooks.Answer{Result: hooks.Results}) // of a version to come
}

func TestQuantiles(t *testing.T) {
	var h histogram
	if h.quantile(0.5) != 0 {
		t.Error("nothing has a median")
	}
	for n := 1; n <= 1000; n++ {
		h.add(time.Duration(n) * time.Millisecond)
	}
	for share, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.95: 950 * time.Millisecond, 1: time.Second} {
		if got := h.quantile(share); math.Abs(float64(got-want))/float64(want) > 0.13 {
			t.Errorf("quantile %v is %v, want about %v", share, got, want)
		}
	}
	var edges histogram
	for _, d := range []time.Duration{-1, 0, 1, math.MaxInt64} {
		edges.add(d)
	}
	if edges.counts[0] != 3 || edges.counts[classes-1] != 1 {
		t.Errorf("%v", edges.counts)
	}
}

func BenchmarkAnswered(b *testing.B) {
	h := new(Recorder).Hooks()
	a := hooks.Answer{Repository: "tracks", Result: hooks.Fresh, Keys: 1, Duration: time.Microsecond}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			h.Answered(context.Background(), a)
		}
	})
}
