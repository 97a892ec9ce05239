// Fleetsim simulates fleets of 100 to 10,000 processes that use one store and ask one origin,
// and shows how many requests reach the origin, how long callers wait and what the store has
// to do, with and without leases, renewals ahead of expiry and tiers in memory:
//
//	go run ./internal/fleetsim -out docs/images -page docs/fleet.md    # the pictures and tables of the page
//	go run ./internal/fleetsim                                         # prints the tables
//	go run ./internal/fleetsim -scenario cold -processes 3000 -store postgres -origin-per-second 500
//
// It does not run them: it takes from costs.json what operations on a store cost one process.
// With -calibrate it measures that anew, with the servers of the tests:
//
//	go run ./internal/testserver/run -durable go run ./internal/fleetsim -calibrate
//
// The same costs and settings have the same outcome, to the byte.
package main

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/endpointcache/endpointcache/internal/fleetsim/measure"
	"github.com/endpointcache/endpointcache/internal/fleetsim/report"
)

//go:embed costs.json
var costs []byte

// store is the one of the page.
const store = "redis"

func main() {
	var o options
	measures := flag.Bool("calibrate", false, "measure what the stores cost, and write it to the file of -costs")
	path := flag.String("costs", "internal/fleetsim/costs.json", "the `file` that -calibrate writes")
	flag.StringVar(&o.out, "out", "", "write the pictures into this `folder`")
	flag.StringVar(&o.page, "page", "", "write the tables into this `page`, between the comments that name them, instead of printing them")
	flag.StringVar(&o.store, "store", store, "the kind of the store that the fleet uses")
	flag.StringVar(&o.scenario, "scenario", "", "simulate this one alone, by its `name`")
	flag.IntVar(&o.processes, "processes", 0, "simulate fleets of this `number` of processes alone")
	flag.Float64Var(&o.originPerSecond, "origin-per-second", 0, "how many requests the origin answers in a second; 0 is any number")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	do := o.run
	if *measures {
		do = func() error { return calibrate(ctx, *path) }
	}
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, "fleetsim:", err)
		os.Exit(1)
	}
}

type options struct {
	out, page       string
	store           string
	scenario        string
	processes       int
	originPerSecond float64
}

func (o *options) run() error {
	f, err := measure.Parse(costs)
	if err != nil {
		return err
	}
	setting := report.Setting{OriginPerSecond: o.originPerSecond}
	if setting.Costs, err = f.Costs(o.store); err != nil {
		return fmt.Errorf("%w: there are %s", err, strings.Join(kinds(f), ", "))
	}
	sizes := report.Sizes
	if o.processes != 0 {
		sizes = []int{o.processes}
	}
	scenarios, err := o.scenarios()
	if err != nil {
		return err
	}
	tables := []report.Table{report.CostTable(f)}
	for _, s := range scenarios {
		rows, err := setting.Run(report.Cases(s, sizes))
		if err != nil {
			return err
		}
		tables = append(tables, report.ScenarioTable(s, rows))
		if o.out != "" {
			if err := report.WritePicture(o.out, s, rows); err != nil {
				return err
			}
		}
	}
	return o.show(tables)
}

func (o *options) scenarios() ([]*report.Scenario, error) {
	var chosen []*report.Scenario
	for i := range report.Scenarios {
		if s := &report.Scenarios[i]; cmp.Or(o.scenario, s.Name) == s.Name {
			chosen = append(chosen, s)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("there is no scenario %q", o.scenario)
	}
	return chosen, nil
}

func (o *options) show(tables []report.Table) error {
	if o.page == "" {
		for _, t := range tables {
			fmt.Printf("%s\n\n%s\n", t.Name, t.Text)
		}
		return nil
	}
	page, err := os.ReadFile(o.page)
	if err != nil {
		return err
	}
	text := string(page)
	var problems []error
	for _, t := range tables {
		var err error
		text, err = t.PutInto(text)
		problems = append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("%s: %w", o.page, err)
	}
	return os.WriteFile(o.page, []byte(text), 0o644) // #nosec G306 -- it is part of the project
}
