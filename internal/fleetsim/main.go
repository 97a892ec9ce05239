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
	"context"
	_ "embed"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/endpointcache/endpointcache/internal/fleetsim/measure"
	"github.com/endpointcache/endpointcache/internal/fleetsim/report"
)

//go:embed costs.json
var costs []byte

func main() {
	var o options
	measures := flag.Bool("calibrate", false, "measure what the stores cost, and write it to the file of -costs")
	path := flag.String("costs", "internal/fleetsim/costs.json", "the `file` that -calibrate writes")
	out := flag.String("out", "", "write the pictures into this `folder`")
	page := flag.String("page", "", "write the tables into this `file`, between the comments that name them, instead of printing them")
	flag.StringVar(&o.store, "store", "", "simulate all with this `kind` of store, instead of what the page has")
	flag.StringVar(&o.scenario, "scenario", "", "simulate this one alone, by its `name`")
	flag.IntVar(&o.processes, "processes", 0, "simulate fleets of this `number` of processes alone")
	flag.Float64Var(&o.originPerSecond, "origin-per-second", 0, "how many requests the origin answers in a second; 0 is any number")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	do := func() error { return simulate(&o, *out, *page) }
	if *measures {
		do = func() error { return calibrate(ctx, *path) }
	}
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, "fleetsim:", err)
		os.Exit(1)
	}
}

// options say what is simulated. The zero value is what the page has.
type options struct {
	store           string
	scenario        string
	processes       int
	originPerSecond float64
}

func simulate(o *options, out, page string) error {
	tables, pictures, err := o.run()
	if err != nil {
		return err
	}
	if out != "" {
		for name, svg := range pictures {
			if err := os.WriteFile(filepath.Join(out, name), svg, 0o644); err != nil { // #nosec G306 -- it is part of the project
				return err
			}
		}
	}
	if page == "" {
		for _, t := range tables {
			fmt.Printf("%s\n\n%s\n", t.Name, t.Text)
		}
		return nil
	}
	return writeInto(page, tables)
}

// run simulates and returns the tables, and the pictures by their names.
func (o *options) run() ([]report.Table, map[string][]byte, error) {
	f, err := measure.Parse(costs)
	if err != nil {
		return nil, nil, err
	}
	parts, err := o.parts()
	if err != nil {
		return nil, nil, err
	}
	tables, pictures := []report.Table{report.CostTable(f)}, make(map[string][]byte)
	for _, p := range parts {
		setting := report.Setting{OriginPerSecond: o.originPerSecond}
		if setting.Costs, err = f.Costs(p.store); err != nil {
			return nil, nil, err
		}
		rows, err := setting.Run(report.Cases(p.scenario, p.sizes))
		if err != nil {
			return nil, nil, err
		}
		tables = append(tables, report.ScenarioTable(p.table, rows))
		if p.picture == "" {
			continue
		}
		if pictures[p.picture], err = report.Picture(p.scenario, rows); err != nil {
			return nil, nil, err
		}
	}
	return tables, pictures, nil
}

func writeInto(path string, tables []report.Table) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text := string(page)
	for _, t := range tables {
		if text, err = t.PutInto(text); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return os.WriteFile(path, []byte(text), 0o644) // #nosec G306 -- it is part of the project
}
