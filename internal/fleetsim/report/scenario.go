// Package report says which fleets are simulated, and shows what they do: as tables in a page,
// and as pictures.
package report

import (
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/internal/fleetsim/model"
	"github.com/endpointcache/endpointcache/internal/fleetsim/simulation"
)

// Scenario is what befalls a fleet.
type Scenario struct {
	Name     string // of its picture and table
	Title    string
	Start    model.Start
	Life     time.Duration
	Duration time.Duration
	Measure  time.Duration
	Bucket   time.Duration
	Kills    []model.Kill
}

// Scenarios are those of the page.
var Scenarios = []Scenario{
	{
		Name: "cold", Title: "Cold start: the store is empty",
		Life: time.Minute, Duration: 10 * time.Second, Bucket: 250 * time.Millisecond,
	},
	{
		Name: "storm", Title: "Expiry storm: all entries expire at 8 s",
		Start: model.Start{Full: true, Expiry: 8 * time.Second},
		Life:  time.Minute, Duration: 14 * time.Second, Bucket: 250 * time.Millisecond,
	},
	{
		Name: "steady", Title: "Steady state: each entry lives for 20 s",
		Start: model.Start{Full: true},
		Life:  20 * time.Second, Duration: 50 * time.Second, Measure: 20 * time.Second, Bucket: time.Second,
	},
	{
		Name: "killed", Title: "Cold start, and a fifth of the processes are killed at 0.3 s",
		Life: time.Minute, Duration: 10 * time.Second, Bucket: 250 * time.Millisecond,
		Kills: []model.Kill{{At: 300 * time.Millisecond, Share: 0.2}},
	},
}

// Combination is a choice of settings.
type Combination struct {
	Name     string
	Settings model.Settings
	Renews   bool // it adds renewals, and nothing else, to another one
}

// Combinations are those that are compared. Those that have a stroke are in the pictures.
var Combinations = []Combination{
	{Name: "nothing"},
	{Name: "refresh ahead", Settings: model.Settings{RefreshAhead: ahead}, Renews: true},
	{Name: "refresh by chance", Settings: model.Settings{RefreshBeta: 1}, Renews: true},
	{Name: "stale while revalidating", Settings: model.Settings{StaleWhileRevalidate: stale}, Renews: true},
	{Name: "tier", Settings: model.Settings{Tier: true, ShortLife: shortLife}},
	{Name: "leases", Settings: model.Settings{Lease: lease}},
	{Name: "leases, refresh ahead", Settings: model.Settings{Lease: lease, RefreshAhead: ahead}, Renews: true},
	{Name: "leases, refresh ahead, tier", Settings: model.Settings{Lease: lease, RefreshAhead: ahead, Tier: true, ShortLife: shortLife}},
}

// The values of the settings.
const (
	ahead = 0.1
	stale = 10 * time.Second
	lease = 5 * time.Second

	shortLife = time.Second // of package tier, where the store does not tell of changes
)

// Sizes are how many processes a fleet has.
var Sizes = []int{100, 1_000, 10_000}

// The workload of each process, and the origin.
const (
	keys      = 200
	exponent  = 0.9 // of popularity
	perSecond = 2.0 // requests of each process
	seed      = 1
)

// OriginLatency is that of the origin in all scenarios.
var OriginLatency = simulation.Distribution{
	100 * time.Millisecond, 150 * time.Millisecond, 170 * time.Millisecond, 200 * time.Millisecond,
	250 * time.Millisecond, 300 * time.Millisecond, 500 * time.Millisecond, time.Second,
}

// Case is one fleet in one scenario.
type Case struct {
	Scenario    *Scenario
	Combination *Combination
	Processes   int
}

// Row is a case and what came of it.
type Row struct {
	Case
	*model.Result
}

// Setting is what is not part of a case.
type Setting struct {
	Costs           model.Costs
	OriginPerSecond float64 // 0: no limit
}

func (s *Setting) fleet(c Case) *model.Fleet {
	return &model.Fleet{
		Workload: model.Workload{
			Processes: c.Processes, Keys: keys, Exponent: exponent, PerSecond: perSecond,
			Duration: c.Scenario.Duration, Seed: seed,
		},
		Start: c.Scenario.Start, Settings: c.Combination.Settings, Kills: c.Scenario.Kills,
		Origin: model.Origin{Latency: OriginLatency, PerSecond: s.OriginPerSecond},
		Costs:  s.Costs, Life: c.Scenario.Life,
		Measure: c.Scenario.Measure, Bucket: c.Scenario.Bucket,
	}
}

// Cases are the combinations of a scenario with fleets of these sizes, in the order of its
// table. Where the store is empty and no entry comes to its end, there is nothing to renew, and
// combinations that differ in renewals alone are one.
func Cases(s *Scenario, sizes []int) []Case {
	renews := s.Start.Full || s.Life < s.Duration
	var cases []Case
	for _, n := range sizes {
		for i := range Combinations {
			if c := &Combinations[i]; renews || !c.Renews {
				cases = append(cases, Case{s, c, n})
			}
		}
	}
	return cases
}

// Run simulates the cases, as many at a time as there are processors.
func (s *Setting) Run(cases []Case) ([]Row, error) {
	rows, errs := make([]Row, len(cases)), make([]error, len(cases))
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	var running sync.WaitGroup
	for i, c := range cases {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			result, err := model.Simulate(s.fleet(c))
			rows[i] = Row{c, result}
			if err != nil {
				errs[i] = fmt.Errorf("%s, %s, %d processes: %w", c.Scenario.Name, c.Combination.Name, c.Processes, err)
			}
		})
	}
	running.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}
