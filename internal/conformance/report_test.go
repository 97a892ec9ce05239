package main

import (
	"errors"
	"strings"
	"testing"
)

const someResults = `[
	{"id": "a", "kind": "required", "selected": true, "verdict": "pass"},
	{"id": "b", "kind": "required", "selected": true, "verdict": "fail", "message": "Response 2 comes from cache"},
	{"id": "c", "kind": "required", "selected": true, "verdict": "setup", "message": "Response 1 status is 502, not 200"},
	{"id": "d", "kind": "optimal", "selected": true, "verdict": "dependency", "message": "needs b"},
	{"id": "e", "kind": "optimal", "selected": true, "verdict": "pass"},
	{"id": "f", "kind": "check", "selected": true, "verdict": "fail"},
	{"id": "g", "kind": "required", "selected": false, "verdict": "fail"},
	{"id": "h", "kind": "required", "selected": true, "verdict": "fail", "cdn": true},
	{"id": "other-authorization", "kind": "required", "selected": true, "verdict": "fail"},
	{"id": "i", "kind": "required", "selected": true, "verdict": "fail"},
	{"id": "j", "kind": "required", "selected": true, "verdict": "pass"},
	{"id": "k", "kind": "required", "selected": false, "verdict": "pass"}
]`

// some is an edition of which a later state took back three tests.
var some = edition{
	name:      "a",
	applies:   tally{"required": 3, "optional": 2, "check": 1},
	withdrawn: map[string]string{"i": "reversed", "j": "dropped", "k": "dropped"},
}

func judged(t *testing.T) ([]*result, outcome) {
	t.Helper()
	results, err := parseResults([]byte(someResults))
	if err != nil {
		t.Fatal(err)
	}
	return results, judge(results, some)
}

func TestReportTellsFailedFromUnmet(t *testing.T) {
	results, _ := judged(t)
	var b strings.Builder
	report(&b, results, false)
	want := `required b: fail: Response 2 comes from cache
required c: unmet, setup: Response 1 status is 502, not 200
optional d: unmet, dependency: needs b
left out 1: for CDN-Cache-Control, which is not a client's
left out 1: for shared caches only
left out 2: withdrawn by the suite later
required: 1 passed, 1 failed, 1 unmet of 3
optional: 1 passed, 0 failed, 1 unmet of 2
check: 0 yes, 1 no, 0 unmet of 1
required 1/3, optional 1/2
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestFullReportSaysWhatIsLeftOut(t *testing.T) {
	results, _ := judged(t)
	var b strings.Builder
	report(&b, results, true)
	for _, want := range []string{
		"check f: fail\n", "required a: pass\n",
		"left out required h: " + cdn + "\n", "left out required other-authorization: " + shared + "\n",
		"left out required i: " + later + "; reversed\n", "left out required j: " + later + "; dropped\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), " g: ") || strings.Contains(b.String(), " k: ") {
		t.Error("a test that was only a dependency is reported")
	}
}

func TestOutcome(t *testing.T) {
	_, o := judged(t)
	if err := o.check(some, "", false); !errors.Is(err, errNotConforming) {
		t.Errorf("required tests are missed, and the outcome is %v", err)
	}
	o.missed = 0
	if err := o.check(some, "", false); err != nil {
		t.Errorf("all is well, and the outcome is %v", err)
	}
	fewer := edition{name: "a", applies: tally{"required": 4, "optional": 2, "check": 1}}
	if err := o.check(fewer, "", false); !errors.Is(err, errNotConforming) {
		t.Errorf("the suite shrank, and the outcome is %v", err)
	}
	if err := o.check(fewer, "", true); err != nil {
		t.Errorf("a part of the suite has no number to hold to, and the outcome is %v", err)
	}
	expecting := some
	expecting.optional = map[string]int{"vary": 1, "default": 2}
	if err := o.check(expecting, "vary", false); err != nil {
		t.Errorf("as many optional tests are passed as should, and the outcome is %v", err)
	}
	if err := o.check(expecting, "default", false); !errors.Is(err, errNotConforming) {
		t.Errorf("fewer optional tests are passed than should, and the outcome is %v", err)
	}
}

// What a later state took back is still judged where the state itself is run.
func TestWithdrawnTestsApplyToTheRepository(t *testing.T) {
	for id, why := range withdrawn {
		if why == "" || excluded[id] != "" {
			t.Errorf("%s is left out for two reasons or for none: %q, %q", id, why, excluded[id])
		}
		for _, e := range []edition{released, repository} {
			r := &result{ID: id, Kind: "required", Selected: true, Verdict: fail}
			o := judge([]*result{r}, e)
			if left := e.name == released.name; left == r.counts() || left != (o.missed == 0) {
				t.Errorf("%s of the %s: left out as %q, %d missed", id, e.name, r.Excluded, o.missed)
			}
		}
	}
}

func TestResultsThatAreNone(t *testing.T) {
	if _, err := parseResults([]byte("<html>")); err == nil {
		t.Error("no error")
	}
}
