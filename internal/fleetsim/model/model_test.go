package model

import (
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/internal/fleetsim/simulation"
)

const (
	ms      = time.Millisecond
	getting = ms       // what a get takes in these tests
	asking  = 100 * ms // what the origin takes
)

// costs are of a store without limits, where not said otherwise.
func costs() Costs {
	op, notify := Cost{Latency: simulation.Constant(getting)}, simulation.Constant(2*ms)
	return Costs{
		Get: op, Save: op, Lease: op, Refused: op, Release: op,
		Notify: &notify, Memory: simulation.Constant(time.Microsecond),
	}
}

// fleet is one of processes that begin with an empty store, and ask often.
func fleet(processes, keys int, s Settings) *Fleet {
	return &Fleet{
		Workload: Workload{Processes: processes, Keys: keys, PerSecond: 1_000, Duration: 2 * time.Second, Seed: 7},
		Settings: s, Origin: Origin{Latency: simulation.Constant(asking)}, Costs: costs(),
		Life: time.Minute, Bucket: 100 * ms,
	}
}

func simulate(t *testing.T, f *Fleet) *Result {
	t.Helper()
	r, err := Simulate(f)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestOneProcessAsksOnceForEachExpiry(t *testing.T) {
	f := fleet(1, 1, Settings{})
	f.Life, f.Workload.Duration = time.Second, 10*time.Second
	r := simulate(t, f)
	// A round takes the life, the request, a get, a save and the time to the next caller: 1.102 s
	// and about a millisecond. Nine of them end in 10 s, and a tenth one begins.
	if r.Requests != 10 || r.Duplicates != 0 || r.AtOnce != 1 {
		t.Errorf("%d requests, %d of them duplicates, %d at once; want 10, 0 and 1", r.Requests, r.Duplicates, r.AtOnce)
	}
	if most := asking + 2*getting; r.Wait(1) > most || r.Wait(1) < most-10*ms {
		t.Errorf("the longest wait is %v, want about %v", r.Wait(1), most)
	}
	if r.Wait(0.5) != getting {
		t.Errorf("a hit takes %v, want %v", r.Wait(0.5), getting)
	}
}

func TestWithoutLeasesEachProcessAsks(t *testing.T) {
	const processes, keys = 20, 3
	f := fleet(processes, keys, Settings{})
	f.Origin.Latency = simulation.Constant(time.Second) // all have asked for all keys by then
	r := simulate(t, f)
	if r.Requests != processes*keys || r.Duplicates != (processes-1)*keys || r.AtOnce != processes {
		t.Errorf("%d requests, %d of them duplicates, %d at once", r.Requests, r.Duplicates, r.AtOnce)
	}
}

func TestWithLeasesOneProcessAsks(t *testing.T) {
	const processes, keys = 50, 20
	for name, tier := range map[string]bool{"polling": false, "told by the tier": true} {
		t.Run(name, func(t *testing.T) {
			r := simulate(t, fleet(processes, keys, Settings{Lease: 5 * time.Second, Tier: tier}))
			if r.Requests != keys || r.Duplicates != 0 || r.AtOnce != 1 {
				t.Errorf("%d requests, %d of them duplicates, %d at once; want %d, 0 and 1", r.Requests, r.Duplicates, r.AtOnce, keys)
			}
			// The holder gets, takes the lease, gets, asks and saves; the others look within
			// a pause and its jitter, or when they are told, and their callers get.
			most := asking + 4*getting + longestPause*3/2 + 2*getting
			if tier {
				most = asking + 4*getting + 2*ms + 2*getting
			}
			if r.Wait(1) > most {
				t.Errorf("the longest wait is %v, want at most %v", r.Wait(1), most)
			}
		})
	}
}

func TestALeaseOfAProcessThatIsKilledEnds(t *testing.T) {
	f := fleet(10, 1, Settings{Lease: 5 * time.Second})
	f.Workload.Duration = 8 * time.Second
	f.Kills = []Kill{{At: asking / 2, Share: 1}}
	r := simulate(t, f)
	if r.Requests != 2 || r.AtOnce != 1 {
		t.Errorf("%d requests, %d at once; want 2 and 1", r.Requests, r.AtOnce)
	}
	if most := 5*time.Second + longestPause*3/2 + asking + 10*getting; r.Wait(1) < 4*time.Second || r.Wait(1) > most {
		t.Errorf("the longest wait is %v, want the rest of the lease and at most %v", r.Wait(1), most)
	}
	if r.Lost == 0 {
		t.Errorf("%d callers are lost", r.Lost)
	}
}

func TestRefreshAheadLetsNobodyWait(t *testing.T) {
	for name, s := range map[string]Settings{
		"RefreshAhead":         {RefreshAhead: 0.5},
		"RefreshBeta":          {RefreshBeta: 50},
		"StaleWhileRevalidate": {StaleWhileRevalidate: time.Minute},
		"with leases":          {RefreshAhead: 0.5, Lease: 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			f := fleet(1, 5, s)
			f.Start.Full, f.Start.Expiry, f.Life, f.Workload.Duration = true, 2*time.Second, 2*time.Second, 20*time.Second
			r := simulate(t, f)
			if r.Wait(1) != getting {
				t.Errorf("a caller waits %v, want %v", r.Wait(1), getting)
			}
			if r.Requests < 5*9 || r.Duplicates != 0 {
				t.Errorf("%d requests, %d of them duplicates; want one for each of 5 keys and each life", r.Requests, r.Duplicates)
			}
		})
	}
}

// The more processes read, the more of them begin a renewal at once in the last share of a
// life; by chance, hardly more.
func TestRenewalsByChanceAreFewer(t *testing.T) {
	most := func(s Settings) int {
		f := fleet(200, 1, s)
		f.Workload.PerSecond, f.Start.Full, f.Start.Expiry = 10, true, 10*time.Second
		f.Workload.Duration = 12 * time.Second
		return simulate(t, f).AtOnce
	}
	if ahead, chance := most(Settings{RefreshAhead: 0.1}), most(Settings{RefreshBeta: 1}); ahead < 100 || chance > 20 {
		t.Errorf("%d renewals at once in the last share of a life, %d by chance", ahead, chance)
	}
}

func TestATierAsksTheStoreOnce(t *testing.T) {
	f := fleet(1, 1, Settings{Tier: true})
	f.Start.Full, f.Start.Expiry, f.Workload.PerSecond = true, time.Minute, 100
	r := simulate(t, f)
	// The only other gets are of callers who come while the first one's is under way.
	if r.Operations < 1 || r.Operations > 3 || r.Wait(0.5) != time.Microsecond {
		t.Errorf("%d operations, and a hit takes %v", r.Operations, r.Wait(0.5))
	}
}

// Nor does one that knows that there is nothing: callers who come while the first one waits for
// the origin join its flight without a look.
func TestATierHoldsThatThereIsNothing(t *testing.T) {
	operations := func(tier bool) int { return simulate(t, fleet(1, 1, Settings{Tier: tier})).Operations }
	if with, without := operations(true), operations(false); with > 10 || without < 1_000 {
		t.Errorf("%d operations, and %d without a tier", with, without)
	}
}

// A process that is told what another has renewed does not renew it.
func TestATierIsToldOfChanges(t *testing.T) {
	renewals := func(told time.Duration, leave time.Duration) int {
		f := fleet(10, 1, Settings{Tier: true, RefreshAhead: 0.5, ShortLife: leave})
		f.Workload.PerSecond = 2 // so that hardly two begin at once
		f.Start.Full, f.Start.Expiry, f.Life, f.Workload.Duration = true, 20*time.Second, 20*time.Second, 19*time.Second
		f.Origin.Latency = simulation.Constant(ms)
		*f.Costs.Notify = simulation.Constant(told)
		if leave > 0 {
			f.Costs.Notify = nil
		}
		return simulate(t, f).Requests
	}
	if at := renewals(ms, 0); at > 2 {
		t.Errorf("%d of 10 processes renew an entry though they are told that it is renewed", at)
	}
	if never := renewals(time.Hour, 0); never != 10 {
		t.Errorf("%d of 10 processes renew an entry that they do not know to be renewed", never)
	}
	if short := renewals(0, 10*ms); short > 2 {
		t.Errorf("%d of 10 processes renew an entry that their tiers keep for a moment", short)
	}
}

// A line with requests at random times and a constant time to serve is an M/D/1 queue, whose
// mean wait is known (Pollaczek and Khinchine).
func TestTheStoreIsAQueue(t *testing.T) {
	f := fleet(1, 1, Settings{})
	f.Start.Full, f.Start.Expiry = true, time.Hour
	f.Workload.PerSecond, f.Workload.Duration = 800, 200*time.Second
	f.Costs.Get = Cost{Latency: simulation.Constant(0), PerSecond: 1_000}
	r := simulate(t, f)
	var sum time.Duration
	for _, w := range r.waits {
		sum += w
	}
	const load = 0.8
	want := load / (2 * (1 - load)) * float64(ms)
	if mean := float64(sum) / float64(len(r.waits)); math.Abs(mean-want) > 0.1*want {
		t.Errorf("the mean wait is %v, want %v", time.Duration(mean), time.Duration(want))
	}
}

// A store that cannot do what it is asked for is left alone, as the library does: callers
// wait for the limit of an operation and for the origin, and no longer.
func TestAStoreThatIsTooSlowIsLeftAlone(t *testing.T) {
	f := fleet(10, 1, Settings{})
	f.Start.Full, f.Start.Expiry = true, time.Hour
	f.Workload.PerSecond, f.Workload.Duration = 50, 20*time.Second
	f.Costs.Get.PerSecond = 100
	r := simulate(t, f)
	if most := storeTimeout + asking; r.Wait(1) > most || r.Wait(1) < storeTimeout {
		t.Errorf("the longest wait is %v, want at most %v", r.Wait(1), most)
	}
	if r.OperationsPerSecond() > 101 {
		t.Errorf("the store does %.0f operations a second, of which it can do 100", r.OperationsPerSecond())
	}
	if r.Requests == 0 {
		t.Error("nobody asks the origin")
	}
}

func TestAnOriginWithALimitIsAQueue(t *testing.T) {
	f := fleet(10, 1, Settings{})
	f.Origin.PerSecond = 10
	f.Workload.Duration = 5 * time.Second
	r := simulate(t, f)
	if want := time.Second + 2*getting; r.Requests != 10 || r.Wait(1) > want || r.Wait(1) < want-50*ms {
		t.Errorf("%d requests, and the last one takes %v, want 10 and about %v", r.Requests, r.Wait(1), want)
	}
}

func TestTheSameSeedIsTheSameFleet(t *testing.T) {
	f := fleet(20, 10, Settings{Lease: time.Second, RefreshAhead: 0.2, Tier: true})
	f.Workload.Exponent, f.Workload.PerSecond, f.Life = 0.9, 20, 500*ms
	f.Origin.Latency = simulation.Uniform(asking)
	f.Kills = []Kill{{At: time.Second, Share: 0.5}}
	first, again := simulate(t, f), simulate(t, f)
	if !reflect.DeepEqual(first, again) {
		t.Errorf("two runs differ: %+v and %+v", first, again)
	}
	f.Workload.Seed++
	if other := simulate(t, f); reflect.DeepEqual(first, other) {
		t.Error("another seed makes no difference")
	}
}

func TestOnlyWhatIsMeasuredCounts(t *testing.T) {
	f := fleet(1, 1, Settings{})
	f.Measure = time.Second
	r := simulate(t, f)
	if r.Requests != 0 || r.RequestsOver[0] != 1 || r.Most(r.RequestsOver) != 0 || r.Span != time.Second {
		t.Errorf("what came before is counted: %+v", r)
	}
	if math.Abs(float64(r.Answered)-1_000) > 150 {
		t.Errorf("%d of about 1,000 requests of a second are answered", r.Answered)
	}
}

func TestFleetsThatCannotBe(t *testing.T) {
	for name, spoil := range map[string]func(*Fleet){
		"no processes":              func(f *Fleet) { f.Workload.Processes = 0 },
		"no keys":                   func(f *Fleet) { f.Workload.Keys = 0 },
		"no requests":               func(f *Fleet) { f.Workload.PerSecond = 0 },
		"no time":                   func(f *Fleet) { f.Workload.Duration = 0 },
		"no life":                   func(f *Fleet) { f.Life = 0 },
		"no buckets":                func(f *Fleet) { f.Bucket = 0 },
		"nothing measured":          func(f *Fleet) { f.Measure = f.Workload.Duration },
		"a tier that never changes": func(f *Fleet) { f.Settings.Tier, f.Costs.Notify = true, nil },
	} {
		f := fleet(1, 1, Settings{})
		spoil(f)
		if _, err := Simulate(f); err == nil {
			t.Errorf("%s: there is no error", name)
		}
	}
}
