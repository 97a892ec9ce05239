package simulation

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"time"
)

// Shares are those whose quantiles make a [Distribution].
var Shares = [...]float64{0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999}

// Distribution is how long something takes: the quantiles of [Shares], between which all
// durations are equally likely. None is longer than the last. As JSON it is an array of
// microseconds.
type Distribution [len(Shares)]time.Duration

// Constant is the distribution of what always takes d.
func Constant(d time.Duration) (c Distribution) {
	for i := range c {
		c[i] = d
	}
	return c
}

// Uniform is the distribution of what takes anything from 0 to d.
func Uniform(d time.Duration) (u Distribution) {
	last := Shares[len(Shares)-1]
	for i, share := range Shares {
		u[i] = time.Duration(share / last * float64(d))
	}
	return u
}

// Measured is the distribution of durations that were measured. It sorts them.
func Measured(took []time.Duration) (m Distribution) {
	if len(took) == 0 {
		return m
	}
	slices.Sort(took)
	for i, share := range Shares {
		m[i] = took[int(share*float64(len(took)-1))]
	}
	return m
}

// Median is what half of the draws are below.
func (d *Distribution) Median() time.Duration { return d[slices.Index(Shares[:], 0.5)] }

// Draw returns a duration at random.
func (d *Distribution) Draw(random *rand.Rand) time.Duration {
	share := random.Float64() * Shares[len(Shares)-1]
	i := sort.SearchFloat64s(Shares[1:], share) // between the quantiles i and i+1
	within := (share - Shares[i]) / (Shares[i+1] - Shares[i])
	return d[i] + time.Duration(float64(d[i+1]-d[i])*within)
}

// MarshalJSON implements json.Marshaler.
func (d Distribution) MarshalJSON() ([]byte, error) {
	var us [len(d)]float64
	for i, q := range d {
		us[i] = math.Round(float64(q)/float64(time.Microsecond)*100) / 100
	}
	return json.Marshal(us)
}

// UnmarshalJSON implements json.Unmarshaler. The quantiles have to ascend from 0 or more.
func (d *Distribution) UnmarshalJSON(text []byte) error {
	var us []float64
	if err := json.Unmarshal(text, &us); err != nil {
		return err
	}
	if len(us) != len(d) || us[0] < 0 || !slices.IsSorted(us) {
		return fmt.Errorf("%v are not %d quantiles in ascending order", us, len(d))
	}
	for i, q := range us {
		d[i] = time.Duration(q * float64(time.Microsecond))
	}
	return nil
}

// Exponential returns a duration between two events that come at random, so many of them
// a second.
func Exponential(perSecond float64, random *rand.Rand) time.Duration {
	return time.Duration(random.ExpFloat64() / perSecond * float64(time.Second))
}

// Zipf draws numbers from 0 on, of which the one of rank k is as likely as 1/k to the power
// of the exponent. Unlike rand.Zipf, it takes exponents up to 1, which those of requests are.
type Zipf struct{ upTo []float64 }

// NewZipf returns draws from n numbers; 0 as the exponent makes all equally likely.
func NewZipf(n int, exponent float64) *Zipf {
	z := &Zipf{upTo: make([]float64, n)}
	sum := 0.0
	for i := range z.upTo {
		sum += 1 / math.Pow(float64(i+1), exponent)
		z.upTo[i] = sum
	}
	return z
}

// Draw returns a number at random.
func (z *Zipf) Draw(random *rand.Rand) int {
	return sort.SearchFloat64s(z.upTo, random.Float64()*z.upTo[len(z.upTo)-1])
}

// Line is a queue before someone who serves one after the other.
type Line struct{ free time.Duration }

// Join returns how long who comes now waits, and how long it then takes to be served, is
// given. No time to serve is no queue.
func (l *Line) Join(now, serve time.Duration) (wait time.Duration) {
	if serve <= 0 {
		return 0
	}
	begin := max(now, l.free)
	l.free = begin + serve
	return begin - now
}
