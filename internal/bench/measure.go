package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"time"

	"github.com/google/pprof/profile"
)

// side is one of the two that are compared.
type side int

const (
	ours   side = iota // the library
	theirs             // the hand-written code
)

func (s side) String() string { return [...]string{"library", "hand-written"}[s] }

// line is one measurement and its target.
type line struct {
	name   string
	target float64 // the most that ours may take, as a multiple of theirs
	unit   string  // what one operation is
	rounds int
	setup  func(ctx context.Context, d *dataset, c *contest) error
}

// contest is what a line measures. Setup fills it in.
type contest struct {
	ops     int                      // operations of one run
	run     [2]func(round int) error // the timed part of each side
	restore func(side) error         // puts a side's data back before its run; may be nil
	verify  func(round int) error    // compares what the sides did in the round
	closers []func() error           // last first
	byHand  *contest                 // the same without the library, where both sides are the library's; may be nil
}

func (c *contest) onClose(f func() error) { c.closers = append(c.closers, f) }

func (c *contest) close() error {
	var errs []error
	for _, f := range slices.Backward(c.closers) {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

type options struct {
	rows      int
	rounds    int
	latency   time.Duration
	profiling bool
	profiles  []*profile.Profile // of the library's runs
}

// cost is what an operation has cost in a run.
type cost struct {
	wall, cpu float64 // nanoseconds
	allocs    float64
}

// result is what a line has measured.
type result struct {
	line
	samples
	byHand samples // none where that was not measured
}

// samples are numbers of each round.
type samples struct {
	costs  [2][]cost
	ratios []float64
}

func (l line) measure(ctx context.Context, d *dataset, o *options) (r result, err error) {
	r.line = l
	var c contest
	defer func() { err = errors.Join(err, c.close()) }()
	if err := l.setup(ctx, d, &c); err != nil {
		return r, err
	}
	rounds := l.rounds
	if o.rounds > 0 {
		rounds = o.rounds
	}
	for round := range rounds + 1 {
		if err := r.samples.add(&c, round, o); err != nil {
			return r, err
		}
		if c.byHand == nil {
			continue
		}
		if err := r.byHand.add(c.byHand, round, &options{}); err != nil {
			return r, fmt.Errorf("by hand: %w", err)
		}
	}
	return r, nil
}

// add measures a round.
func (m *samples) add(c *contest, round int, o *options) error {
	order := []side{ours, theirs}
	if round%2 == 1 {
		slices.Reverse(order)
	}
	var costs [2]cost
	for _, s := range order {
		var err error
		if costs[s], err = c.once(s, round, o); err != nil {
			return fmt.Errorf("%v: %w", s, err)
		}
	}
	if round > 0 { // the first is for warming up
		m.ratios = append(m.ratios, costs[ours].wall/costs[theirs].wall)
		for s := range costs {
			m.costs[s] = append(m.costs[s], costs[s])
		}
	}
	if err := c.verify(round); err != nil {
		return fmt.Errorf("the sides differ: %w", err)
	}
	return nil
}

// once runs a side and returns the cost of an operation.
func (c *contest) once(s side, round int, o *options) (cost, error) {
	if c.restore != nil {
		if err := c.restore(s); err != nil {
			return cost{}, err
		}
	}
	runtime.GC()
	var cpu bytes.Buffer
	profiled := o.profiling && s == ours && round > 0
	if profiled {
		if err := pprof.StartCPUProfile(&cpu); err != nil {
			return cost{}, err
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start, cpuBefore := time.Now(), processorTime()
	err := c.run[s](round)
	elapsed, used := time.Since(start), processorTime()-cpuBefore
	runtime.ReadMemStats(&after)
	if profiled {
		pprof.StopCPUProfile()
		p, err := profile.Parse(&cpu)
		if err != nil {
			return cost{}, err
		}
		o.profiles = append(o.profiles, p)
	}
	n := float64(c.ops)
	return cost{
		wall: float64(elapsed) / n, cpu: float64(used) / n,
		allocs: float64(after.Mallocs-before.Mallocs) / n,
	}, err
}

func (o *options) writeProfile(path string) error {
	merged, err := profile.Merge(o.profiles)
	if err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(merged.Write(f), f.Close())
}

// String is the line that is printed. Its first five fields are read by scripts.
func (r result) String() string {
	us, them := r.median(ours), r.median(theirs)
	text := fmt.Sprintf("RATIO %s %.2f target %.2f   %s vs %s %s, %s vs %s of processor, %s vs %s allocs (%.2f-%.2f, %d rounds)",
		r.name, median(r.ratios), r.target, duration(us.wall), duration(them.wall), r.unit,
		duration(us.cpu), duration(them.cpu), number(us.allocs), number(them.allocs),
		quantile(r.ratios, 0.25), quantile(r.ratios, 0.75), len(r.ratios))
	if len(r.byHand.ratios) == 0 {
		return text
	}
	us, them = r.byHand.median(ours), r.byHand.median(theirs)
	return text + fmt.Sprintf(", by hand %.2f: %s vs %s, %s vs %s of processor (%.2f-%.2f)", median(r.byHand.ratios),
		duration(us.wall), duration(them.wall), duration(us.cpu), duration(them.cpu),
		quantile(r.byHand.ratios, 0.25), quantile(r.byHand.ratios, 0.75))
}

// median is the median of each cost of a side.
func (m samples) median(s side) cost {
	of := func(part func(cost) float64) float64 {
		var values []float64
		for _, c := range m.costs[s] {
			values = append(values, part(c))
		}
		return median(values)
	}
	return cost{
		wall:   of(func(c cost) float64 { return c.wall }),
		cpu:    of(func(c cost) float64 { return c.cpu }),
		allocs: of(func(c cost) float64 { return c.allocs }),
	}
}

func (r result) met() bool { return median(r.ratios) <= r.target }

func median(values []float64) float64 { return quantile(values, 0.5) }

func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

func duration(ns float64) string {
	switch {
	case ns < 1e3:
		return number(ns) + "ns"
	case ns < 1e6:
		return number(ns/1e3) + "us"
	default:
		return number(ns/1e6) + "ms"
	}
}

// number has one decimal where it is small.
func number(x float64) string {
	if x < 100 {
		return strconv.FormatFloat(math.Round(10*x)/10, 'f', -1, 64)
	}
	return strconv.FormatFloat(x, 'f', 0, 64)
}
