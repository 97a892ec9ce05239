package main

import (
	"cmp"
	"fmt"

	"github.com/endpointcache/endpointcache/internal/fleetsim/report"
)

// part is a scenario on a store.
type part struct {
	store    string
	scenario *report.Scenario
	sizes    []int
	table    string
	picture  string // its name; empty: it has none
}

// The store of the page, and the one by which it shows what becomes of a store that is too
// small.
const (
	usual = "redis"
	small = "postgres"
)

// parts are what is to be simulated.
func (o *options) parts() ([]part, error) {
	var parts []part
	for i := range report.Scenarios {
		s := &report.Scenarios[i]
		if cmp.Or(o.scenario, s.Name) != s.Name {
			continue
		}
		parts = append(parts, part{cmp.Or(o.store, usual), s, o.sizes(report.Sizes), s.Name, "fleet-" + s.Name + ".svg"})
		if o.store == "" && s.Name == "cold" {
			parts = append(parts, part{small, s, o.sizes([]int{1_000, 10_000}), s.Name + "-" + small, ""})
		}
	}
	if len(parts) == 0 {
		return nil, fmt.Errorf("there is no scenario %q", o.scenario)
	}
	return parts, nil
}

func (o *options) sizes(usual []int) []int {
	if o.processes != 0 {
		return []int{o.processes}
	}
	return usual
}
