package simulation_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/internal/fleetsim/simulation"
)

func seeded() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

func TestEventsRunInOrder(t *testing.T) {
	var s simulation.Simulation
	var ran []string
	note := func(name string) func() { return func() { ran = append(ran, name) } }
	s.At(2*time.Second, note("third"))
	s.At(time.Second, func() {
		note("first")()
		s.After(time.Second, note("fourth")) // at the same time as the third, but added later
		s.At(0, func() {
			note("second")()
			if s.Now() != time.Second {
				t.Errorf("an event of the past runs at %v", s.Now())
			}
		})
	})
	s.At(2*time.Second+1, note("too late"))
	s.Run(2 * time.Second)
	if want := []string{"first", "second", "third", "fourth"}; !slices.Equal(ran, want) {
		t.Errorf("the order is %v, want %v", ran, want)
	}
	if s.Now() != 2*time.Second {
		t.Errorf("at the end it is %v", s.Now())
	}
	s.Run(3 * time.Second)
	if len(ran) != 5 {
		t.Errorf("a second run does not go on: %v", ran)
	}
}

func TestDrawsHaveTheQuantilesOfTheirDistribution(t *testing.T) {
	var d simulation.Distribution
	for i := range d {
		d[i] = time.Duration(i*i) * time.Millisecond
	}
	const n = 100_000
	below := make([]float64, len(d))
	random := seeded()
	for range n {
		draw := d.Draw(random)
		if draw < d[0] || draw > d[len(d)-1] {
			t.Fatalf("%v is not within %v", draw, d)
		}
		for i := range d {
			if draw <= d[i] {
				below[i]++
			}
		}
	}
	for i, share := range simulation.Shares {
		if got := below[i] / n; math.Abs(got-share) > 0.005 {
			t.Errorf("%.3f of the draws are at most the quantile of %.3f", got, share)
		}
	}
}

func TestDistributions(t *testing.T) {
	took := make([]time.Duration, 1001)
	for i := range took {
		took[len(took)-1-i] = time.Duration(i) * time.Microsecond
	}
	measured := simulation.Measured(took)
	if measured.Median() != 500*time.Microsecond || measured[0] != 0 || measured[len(measured)-1] != 999*time.Microsecond {
		t.Errorf("0 to 1000 µs are %v", measured)
	}
	if uniform := simulation.Uniform(999 * time.Microsecond); uniform != measured {
		t.Errorf("the uniform distribution is %v, want %v", uniform, measured)
	}
	if c := simulation.Constant(time.Second); c.Draw(seeded()) != time.Second {
		t.Errorf("a constant varies: %v", c)
	}
	if none := simulation.Measured(nil); none != (simulation.Distribution{}) {
		t.Errorf("nothing has taken %v", none)
	}
	text, err := json.Marshal(measured)
	if err != nil {
		t.Fatal(err)
	}
	var read simulation.Distribution
	if err := json.Unmarshal(text, &read); err != nil || read != measured {
		t.Errorf("%s is read as %v, %v", text, read, err)
	}
	for _, wrong := range []string{"[1]", `"x"`, "[-1,0,0,0,0,0,0,0]", "[0,1,0,1,1,1,1,1]"} {
		if err := json.Unmarshal([]byte(wrong), &read); err == nil {
			t.Errorf("%s is a distribution", wrong)
		}
	}
}

func TestExponential(t *testing.T) {
	const n = 100_000
	random := seeded()
	var sum time.Duration
	for range n {
		sum += simulation.Exponential(50, random)
	}
	if mean := (sum / n).Seconds(); math.Abs(mean-0.02) > 0.0005 {
		t.Errorf("50 events a second come every %.4f s", mean)
	}
}

func TestZipf(t *testing.T) {
	const n, keys = 100_000, 10
	for _, exponent := range []float64{0, 0.9, 1.2} {
		z, random := simulation.NewZipf(keys, exponent), seeded()
		var counts [keys]float64
		for range n {
			counts[z.Draw(random)]++
		}
		sum := 0.0
		for k := range keys {
			sum += math.Pow(float64(k+1), -exponent)
		}
		for k, count := range counts {
			if want := math.Pow(float64(k+1), -exponent) / sum; math.Abs(count/n-want) > 0.005 {
				t.Errorf("exponent %v: key %d has %.4f of the draws, want %.4f", exponent, k, count/n, want)
			}
		}
	}
}

func TestLine(t *testing.T) {
	var l simulation.Line
	for _, c := range []struct{ now, serve, wait time.Duration }{
		{0, 10, 0}, {0, 10, 10}, {15, 5, 5}, {100, 10, 0}, {100, 0, 0}, {105, 1, 5},
	} {
		if wait := l.Join(c.now, c.serve); wait != c.wait {
			t.Errorf("who comes at %d waits %d, want %d", c.now, wait, c.wait)
		}
	}
}
