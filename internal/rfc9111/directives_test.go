package rfc9111

import (
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDirectives(t *testing.T) {
	const s = time.Second
	number := func(d time.Duration) Seconds { return Seconds{Duration: d, Set: true} }
	invalid := Seconds{Set: true, Invalid: true}
	for _, test := range []struct {
		section, name string
		lines         []string
		want          Directives
	}{
		{"9111, 5.2", "none", nil, Directives{}},
		{"9110, 5.6.1.2", "empty", []string{"", ",", " , ,\t"}, Directives{}},
		{"9111, 5.2", "all flags", []string{"no-store, no-cache, must-revalidate, must-understand, public, immutable, only-if-cached"}, Directives{
			NoStore: true, NoCache: true, MustRevalidate: true, MustUnderstand: true, Public: true, Immutable: true, OnlyIfCached: true,
		}},
		{"9111, 5.2; 5861", "all numbers", []string{"max-age=1, min-fresh=2, max-stale=3, stale-while-revalidate=4, stale-if-error=5"}, Directives{
			MaxAge: number(s), MinFresh: number(2 * s), MaxStale: number(3 * s), StaleWhileRevalidate: number(4 * s), StaleIfError: number(5 * s),
		}},
		{"9110, 5.3", "several lines", []string{"no-store", "max-age=1"}, Directives{NoStore: true, MaxAge: number(s)}},
		{"9111, 5.2", "any letter case", []string{"No-Store, MAX-AGE=1"}, Directives{NoStore: true, MaxAge: number(s)}},
		{"9110, 5.6.1", "space", []string{" no-store ,\tmax-age = 1 "}, Directives{NoStore: true, MaxAge: number(s)}},
		{"9110, 5.6.1", "no space", []string{"no-store,max-age=1"}, Directives{NoStore: true, MaxAge: number(s)}},
		{"9111, 5.2", "a quoted number", []string{`max-age="1", no-store`}, Directives{MaxAge: number(s), NoStore: true}},
		{"9110, 5.6.4", "a comma in a quoted string", []string{`x="a, no-store", max-age=1`}, Directives{MaxAge: number(s)}},
		{"9110, 5.6.4", "a quote in a quoted string", []string{`x="a\", no-store", max-age=1`}, Directives{MaxAge: number(s)}},
		{"9110, 5.6.4", "an escaped digit", []string{`max-age="\1"`}, Directives{MaxAge: number(s)}},
		{"9110, 5.6.4", "a quoted string that does not end", []string{`x="a, no-store`, "max-age=1"}, Directives{MaxAge: number(s)}},
		{"9110, 5.6.4", "a backslash at the end", []string{`x="a\`}, Directives{}},
		{"9110, 5.6.4", "text after a quoted string", []string{`max-age="1"x, no-store`}, Directives{MaxAge: number(s), NoStore: true}},
		{"9110, 5.6.4", "single quotes are no quotes", []string{"max-age='1'"}, Directives{MaxAge: invalid}},
		{"9111, 4.2.1", "the first of several", []string{"max-age=1, max-age=2", "max-age=3"}, Directives{MaxAge: number(s)}},
		{"9111, 4.2.1", "the first of several, though invalid", []string{"max-age=x, max-age=2"}, Directives{MaxAge: invalid}},
		{"9111, 4.2.1", "no number", []string{"max-age"}, Directives{MaxAge: invalid}},
		{"9111, 1.2.2", "an empty number", []string{"max-age="}, Directives{MaxAge: invalid}},
		{"9111, 1.2.2", "a fraction", []string{"max-age=1.5"}, Directives{MaxAge: invalid}},
		{"9111, 1.2.2", "a sign", []string{"max-age=-1"}, Directives{MaxAge: invalid}},
		{"9111, 1.2.2", "a plus", []string{"max-age=+1"}, Directives{MaxAge: invalid}},
		{"9111, 1.2.2", "two numbers", []string{"max-age=1 2"}, Directives{MaxAge: invalid}},
		{"9111, 1.2.2", "a leading zero", []string{"max-age=001"}, Directives{MaxAge: number(s)}},
		{"9111, 1.2.2", "a large number", []string{"max-age=99999999999999999999999999"}, Directives{MaxAge: number((math.MaxInt32 + 1) * s)}},
		{"9111, 5.2.1.2", "max-stale without a number", []string{"max-stale"}, Directives{MaxStale: number((math.MaxInt32 + 1) * s)}},
		{"9111, 5.2.2.4", "no-cache of some headers", []string{`no-cache="Set-Cookie"`}, Directives{NoCache: true}},
		{"9111, 5.2.2.7", "private", []string{`private="X", private`}, Directives{}},
		{"9111, 5.2.2.10", "for others", []string{"s-maxage=1, proxy-revalidate, no-transform, x, y=z"}, Directives{}},
		{"9111, 5.2.3", "names that begin like others", []string{"no-store-x, xno-store, no_store, max-age-x=1"}, Directives{}},
		{"9111, 5.2.3", "garbage", []string{"=, ==, =1, ;no-store, \"no-store\", \x00=\xff"}, Directives{}},
	} {
		t.Run(test.section+": "+test.name, func(t *testing.T) {
			if got := ParseDirectives(http.Header{"Cache-Control": test.lines}); got != test.want {
				t.Errorf("%+v\nwant %+v", got, test.want)
			}
		})
	}
}

func FuzzDirectives(f *testing.F) {
	for _, line := range []string{"", "max-age=1", `x="a\", b", no-store`, `"`, "=", `a="\`, "a=b=c,,"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		d := ParseDirectives(http.Header{"Cache-Control": {line}})
		for _, n := range []Seconds{d.MaxAge, d.MinFresh, d.MaxStale, d.StaleIfError, d.StaleWhileRevalidate} {
			if n.Duration < 0 || (n.Invalid || n.Duration != 0) && !n.Set || n.Invalid && n.Duration != 0 {
				t.Errorf("%q: %+v", line, n)
			}
		}
		// On a line of its own, before another, it says the same.
		other := ParseDirectives(http.Header{"Cache-Control": {line, "x"}})
		if other != d {
			t.Errorf("%q: with another line %+v, alone %+v", line, other, d)
		}
	})
}

func TestDirectivesOfRequests(t *testing.T) {
	for _, test := range []struct {
		section, name string
		header        http.Header
		noCache       bool
	}{
		{"9111, 5.4", "Pragma", http.Header{"Pragma": {"no-cache"}}, true},
		{"9111, 5.4", "in any letter case, in a list", http.Header{"Pragma": {`x="a, b", No-Cache`}}, true},
		{"9111, 5.4", "Cache-Control goes before", http.Header{"Pragma": {"no-cache"}, "Cache-Control": {"max-age=1"}}, false},
		{"9111, 5.4", "in a quoted string", http.Header{"Pragma": {`x="a, no-cache"`}}, false},
		{"9111, 5.2.1.4", "Cache-Control", http.Header{"Cache-Control": {"no-cache"}}, true},
	} {
		if got := ParseRequestDirectives(test.header).NoCache; got != test.noCache {
			t.Errorf("RFC %s: %s: no-cache is %v", test.section, test.name, got)
		}
		if test.header["Pragma"] != nil && ParseDirectives(test.header).NoCache {
			t.Errorf("RFC %s: %s: the Pragma of a response says something", test.section, test.name)
		}
	}
}

func TestElements(t *testing.T) {
	for _, test := range []struct {
		section string
		lines   []string
		want    []string
	}{
		{"9110, 5.6.1", []string{"a,b , c"}, []string{"a", "b", "c"}},
		{"9110, 5.6.1.2", []string{"", ",", " ,a,\t, b,"}, []string{"a", "b"}},
		{"9110, 5.3", []string{"a", "b, c"}, []string{"a", "b", "c"}},
		{"9110, 8.8.3", []string{`"a,b", W/"c,d"`}, []string{`"a,b"`, `W/"c,d"`}},
		{"9110, 8.8.3", []string{`"a\", "b"`}, []string{`"a\"`, `"b"`}},
		{"9110, 5.6.4", []string{`x="a, b";y, z`}, []string{`x="a, b";y`, "z"}},
		{"9110, 5.6.4", []string{`"a, b`, "c"}, []string{`"a`, "b", "c"}},
	} {
		if got := slices.Collect(Elements(http.Header{"X": test.lines}, "X")); !slices.Equal(got, test.want) {
			t.Errorf("RFC %s: %q has the elements %q, want %q", test.section, test.lines, got, test.want)
		}
	}
	for element := range Elements(http.Header{"X": {"a, b"}}, "X") {
		if element == "a" {
			break // an iterator that is left early must not go on
		}
	}
}

func FuzzElements(f *testing.F) {
	for _, line := range []string{"", "a, b", `"a,b"`, `"`, `a",b"`, `",","`} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		got := slices.Collect(Elements(http.Header{"X": {line, "last"}}, "X"))
		if len(got) == 0 || got[len(got)-1] != "last" {
			t.Fatalf("%q hides the line after it: %q", line, got)
		}
		for _, element := range got {
			if strings.TrimSpace(element) != element || element == "" {
				t.Errorf("%q has the element %q", line, element)
			}
			if strings.Contains(element, ",") && strings.Count(element, `"`) < 2 {
				t.Errorf("%q has the element %q, with a comma outside quotes", line, element)
			}
		}
	})
}
