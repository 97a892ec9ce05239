package model

import (
	"fmt"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/internal/fleetsim/simulation"
)

// racing is a fleet whose operations overtake each other: each takes anything up to 20 ms, and
// the origin answers sooner than that.
func racing(processes int, seed uint64, s Settings) *Fleet {
	f := fleet(processes, 3, s)
	slow := Cost{Latency: simulation.Uniform(20 * ms)}
	f.Costs.Get, f.Costs.Save, f.Costs.Lease, f.Costs.Refused, f.Costs.Release = slow, slow, slow, slow, slow
	f.Origin.Latency = simulation.Uniform(5 * ms)
	f.Workload.Seed = seed
	return f
}

func eachSeed(t *testing.T, test func(t *testing.T, seed uint64)) {
	t.Helper()
	for seed := range uint64(5) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { test(t, seed) })
	}
}

// A process that gets the lease only after another one has saved the answer does not ask. It
// gives the lease back, so that nobody waits for its end after the next expiry.
func TestAFleetAsksOnceThoughItsProcessesOvertakeEachOther(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) {
		s := Settings{Lease: 5 * time.Second}
		if r := simulate(t, racing(50, seed, s)); r.Requests != 3 || r.Duplicates != 0 {
			t.Errorf("%d requests for 3 keys, %d of them duplicates", r.Requests, r.Duplicates)
		}
		f := racing(50, seed, s)
		f.Life, f.Workload.PerSecond, f.Workload.Duration = 300*ms, 100, 12*time.Second
		if r := simulate(t, f); r.Duplicates != 0 || r.AtOnce != 1 || r.Wait(1) > time.Second || r.Requests < 3*12 {
			t.Errorf("%d of %d requests are duplicates, %d at once; the longest wait is %v", r.Duplicates, r.Requests, r.AtOnce, r.Wait(1))
		}
	})
}

func TestDuplicatesAreAllRequestsButTheFirst(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) {
		f := racing(50, seed, Settings{})
		f.Origin.Latency = simulation.Constant(0) // none is under way when another is sent
		if r := simulate(t, f); r.Requests <= 3 || r.Duplicates != r.Requests-3 {
			t.Errorf("%d requests for 3 keys, %d of them duplicates", r.Requests, r.Duplicates)
		}
	})
}

// newRun is a simulation in which only what a test does happens.
func newRun() *run {
	r := &run{Fleet: fleet(2, 1, Settings{Lease: time.Second}), processes: make([]process, 2), keys: make([]key, 1)}
	r.random = Workload{Seed: 1, Keys: 1}.Arrivals().random
	r.store.run, r.origin.run, r.tally = r, r, newTally(r)
	for i := range r.processes {
		r.processes[i].run = r
		r.processes[i].begin()
	}
	return r
}

func TestAnAnswerDoesNotReplaceANewerOne(t *testing.T) {
	r := newRun()
	p := &r.processes[0]
	var seen []int
	save := func(sent time.Duration) {
		r.store.save(p, 0, entry{sent: sent, expires: time.Hour}, func(e entry, ok bool) { seen = append(seen, e.version) })
		r.Run(r.Now() + time.Second)
	}
	save(20 * ms)
	save(10 * ms)
	save(30 * ms)
	if fmt.Sprint(seen) != "[1 1 2]" || r.keys[0].entry.sent != 30*ms || len(r.keys[0].told) != 2 {
		t.Errorf("the versions are %v, the entry %+v", seen, r.keys[0].entry)
	}
}

func TestALeaseIsGivenBackByItsHolderAlone(t *testing.T) {
	r := newRun()
	first, second := &flight{process: &r.processes[0]}, &flight{process: &r.processes[1]}
	take := func(f *flight) (got bool) {
		r.store.take(f, func(mine, ok bool) { got = mine && ok })
		r.Run(r.Now() + 10*ms)
		return got
	}
	if !take(first) || take(second) {
		t.Fatal("not the first one has the lease alone")
	}
	r.Run(2 * time.Second)
	if !take(second) {
		t.Fatal("the lease does not end")
	}
	r.store.release(first)
	r.Run(r.Now() + 10*ms)
	if take(first) {
		t.Error("it was given back by another")
	}
	r.store.release(second)
	r.Run(r.Now() + 10*ms)
	if !take(first) {
		t.Error("it is not given back")
	}
}

// A store that answers nothing is tried less and less often.
func TestAStoreThatHangsIsTriedNowAndThen(t *testing.T) {
	f := fleet(1, 1, Settings{})
	f.Costs.Get.Latency = simulation.Constant(time.Hour)
	f.Workload.PerSecond, f.Workload.Duration, f.Measure = 100, time.Minute, 10*time.Second
	r := simulate(t, f)
	// Each try takes a second, and there are 5 between two.
	if r.Operations < 7 || r.Operations > 9 {
		t.Errorf("%d operations in 50 s", r.Operations)
	}
	if most := asking + 10*ms; r.Wait(1) > most {
		t.Errorf("a caller waits %v, though the store is left alone", r.Wait(1))
	}
}

func TestWhoWaitsForALeaseLooksLessAndLessOften(t *testing.T) {
	f := fleet(2, 1, Settings{Lease: 20 * time.Second})
	f.Origin.Latency = simulation.Constant(20 * time.Second)
	f.Workload.PerSecond, f.Workload.Duration = 1, 10*time.Second
	// About 20 gets of callers, and 100 looks, for the entry and for the lease.
	if r := simulate(t, f); r.Operations < 100 || r.Operations > 300 {
		t.Errorf("%d operations in 10 s", r.Operations)
	}
}
