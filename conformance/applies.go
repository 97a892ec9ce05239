package main

import (
	"fmt"
	"maps"
	"os"
)

// excluded are the tests that are not for a private cache in a client, with the
// reason. Those for a CDN-Cache-Control field the suite marks itself.
var excluded = map[string]string{
	"freshness-s-maxage-shared":                         shared,
	"freshness-max-age-s-maxage-shared-longer":          shared,
	"freshness-max-age-s-maxage-shared-longer-reversed": shared,
	"freshness-max-age-s-maxage-shared-longer-multiple": shared,
	"freshness-max-age-s-maxage-shared-shorter":         shared,
	"freshness-max-age-s-maxage-shared-shorter-expires": shared,
	"cc-resp-private-shared":                            shared,
	"stale-close-proxy-revalidate":                      shared,
	"stale-close-s-maxage=2":                            shared,
	"other-authorization":                               shared,
	"other-authorization-public":                        shared,
	"other-authorization-must-revalidate":               shared,
	"other-authorization-smaxage":                       shared,
	"cc-resp-immutable-fresh":                           reload,
	"cc-resp-immutable-stale":                           reload,
	"headers-store-Transfer-Encoding":                   refused,
}

const (
	cdn     = "for CDN-Cache-Control, which is not a client's"
	shared  = "for shared caches only"
	reload  = "for a browser's reload mode"
	refused = "net/http's own transport refuses the response"
)

// A tally counts tests by kind.
type tally map[string]int

// judge names the kinds as the library does, marks the tests that do not apply,
// and counts those required that are not passed.
func judge(results []*result) outcome {
	o := outcome{applies: tally{}}
	for _, r := range results {
		if r.Kind == "optimal" {
			r.Kind = "optional"
		}
		r.Excluded = excluded[r.ID]
		if r.CDN {
			r.Excluded = cdn
		}
		if !r.counts() {
			continue
		}
		o.applies[r.Kind]++
		if r.Kind == "required" && r.Verdict != pass {
			o.missed++
		}
	}
	return o
}

// An outcome is what the exit code depends on.
type outcome struct {
	applies tally
	missed  int // required tests that apply and are not passed
}

// check returns errNotConforming where the outcome is not good. A part of the
// suite has no number of tests to hold to.
func (o outcome) check(e edition, part bool) error {
	if !part && !maps.Equal(o.applies, e.applies) {
		fmt.Fprintf(os.Stderr, "conformance: %v tests of the %s apply, not %v\n", o.applies, e.name, e.applies)
		return errNotConforming
	}
	if o.missed > 0 {
		return errNotConforming
	}
	return nil
}
