package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
)

// A result is what became of one test.
type result struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Kind     string `json:"kind"`
	CDN      bool   `json:"cdn,omitempty"`
	Selected bool   `json:"selected"`
	Verdict  string `json:"verdict"`
	Message  string `json:"message,omitempty"`
	Excluded string `json:"excluded,omitempty"` // why it does not apply
	Detail   string `json:"detail,omitempty"`   // what is more to say about it
	Declined string `json:"declined,omitempty"` // why it is not passed on purpose
}

// Verdicts. Any other is of a test that is unmet: its set-up or a test that it
// depends on failed, so that it tells nothing.
const (
	pass = "pass"
	fail = "fail"
)

// counts tells whether the result is one of those that were asked for and
// apply.
func (r *result) counts() bool { return r.Selected && r.Excluded == "" }

// unmet tells whether the test says nothing about the cache.
func (r *result) unmet() bool { return r.Verdict != pass && r.Verdict != fail }

// A score is how the tests of a kind went.
type score struct{ passed, failed, unmet int }

func (s score) all() int { return s.passed + s.failed + s.unmet }

// report prints the tests that are not passed, all in full where asked for, and
// the numbers: those of the tests left out too, so that none is so in silence.
func report(w io.Writer, results []*result, full bool) {
	scores := map[string]score{}
	left := map[string]int{} // by reason
	for _, r := range results {
		if !r.counts() {
			if r.Selected {
				left[r.Excluded]++
			}
			if full && r.Selected {
				leftOut(w, r)
			}
			continue
		}
		s, state := scores[r.Kind], r.Verdict
		switch {
		case r.unmet():
			s.unmet++
			state = "unmet, " + r.Verdict
		case r.Verdict == pass:
			s.passed++
		default:
			s.failed++
		}
		scores[r.Kind] = s
		if full || r.Kind != "check" && r.Verdict != pass {
			line(w, r, state)
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(left)) {
		fmt.Fprintf(w, "left out %d: %s\n", left[reason], reason)
	}
	for _, kind := range []string{"required", "optional"} {
		s := scores[kind]
		fmt.Fprintf(w, "%s: %d passed, %d failed, %d unmet of %d\n", kind, s.passed, s.failed, s.unmet, s.all())
	}
	// A check asks how a cache does it; no answer is wrong.
	s := scores["check"]
	fmt.Fprintf(w, "check: %d yes, %d no, %d unmet of %d\n", s.passed, s.failed, s.unmet, s.all())
	required, optional := scores["required"], scores["optional"]
	fmt.Fprintf(w, "required %d/%d, optional %d/%d\n", required.passed, required.all(), optional.passed, optional.all())
}

func leftOut(w io.Writer, r *result) {
	fmt.Fprintf(w, "left out %s %s: %s", r.Kind, r.ID, r.Excluded)
	if r.Detail != "" {
		fmt.Fprintf(w, "; %s", r.Detail)
	}
	fmt.Fprintln(w)
}

func line(w io.Writer, r *result, state string) {
	fmt.Fprintf(w, "%s %s: %s", r.Kind, r.ID, state)
	if r.Message != "" {
		fmt.Fprintf(w, ": %s", r.Message)
	}
	if r.Declined != "" {
		fmt.Fprintf(w, "; on purpose: %s", r.Declined)
	}
	fmt.Fprintln(w)
}

// A run is what became of the tests with one key, in one form.
type run struct {
	Key     string    `json:"key,omitempty"`
	Form    string    `json:"form"`
	Results []*result `json:"results"`
}

func writeJSON(path string, runs []run) error {
	data, err := json.MarshalIndent(runs, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o600)
}
