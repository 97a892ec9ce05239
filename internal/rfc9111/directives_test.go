package rfc9111

import (
	"math"
	"net/http"
	"testing"
	"time"
)

func TestDirectives(t *testing.T) {
	const s = time.Second
	number := func(d time.Duration) Seconds { return Seconds{Duration: d, Set: true} }
	invalid := Seconds{Set: true, Invalid: true}
	for _, test := range []struct {
		name  string
		lines []string
		want  Directives
	}{
		{"none", nil, Directives{}},
		{"empty", []string{"", ",", " , ,\t"}, Directives{}},
		{"all flags", []string{"no-store, no-cache, must-revalidate, must-understand, public, immutable, only-if-cached"}, Directives{
			NoStore: true, NoCache: true, MustRevalidate: true, MustUnderstand: true, Public: true, Immutable: true, OnlyIfCached: true,
		}},
		{"all numbers", []string{"max-age=1, min-fresh=2, max-stale=3, stale-while-revalidate=4, stale-if-error=5"}, Directives{
			MaxAge: number(s), MinFresh: number(2 * s), MaxStale: number(3 * s), StaleWhileRevalidate: number(4 * s), StaleIfError: number(5 * s),
		}},
		{"several lines", []string{"no-store", "max-age=1"}, Directives{NoStore: true, MaxAge: number(s)}},
		{"any letter case", []string{"No-Store, MAX-AGE=1"}, Directives{NoStore: true, MaxAge: number(s)}},
		{"space", []string{" no-store ,\tmax-age = 1 "}, Directives{NoStore: true, MaxAge: number(s)}},
		{"no space", []string{"no-store,max-age=1"}, Directives{NoStore: true, MaxAge: number(s)}},
		{"a quoted number", []string{`max-age="1", no-store`}, Directives{MaxAge: number(s), NoStore: true}},
		{"a comma in a quoted string", []string{`x="a, no-store", max-age=1`}, Directives{MaxAge: number(s)}},
		{"a quote in a quoted string", []string{`x="a\", no-store", max-age=1`}, Directives{MaxAge: number(s)}},
		{"an escaped digit", []string{`max-age="\1"`}, Directives{MaxAge: number(s)}},
		{"a quoted string that does not end", []string{`x="a, no-store`, "max-age=1"}, Directives{MaxAge: number(s)}},
		{"a backslash at the end", []string{`x="a\`}, Directives{}},
		{"text after a quoted string", []string{`max-age="1"x, no-store`}, Directives{MaxAge: number(s), NoStore: true}},
		{"single quotes are no quotes", []string{"max-age='1'"}, Directives{MaxAge: invalid}},
		{"the first of several", []string{"max-age=1, max-age=2", "max-age=3"}, Directives{MaxAge: number(s)}},
		{"the first of several, though invalid", []string{"max-age=x, max-age=2"}, Directives{MaxAge: invalid}},
		{"no number", []string{"max-age"}, Directives{MaxAge: invalid}},
		{"an empty number", []string{"max-age="}, Directives{MaxAge: invalid}},
		{"a fraction", []string{"max-age=1.5"}, Directives{MaxAge: invalid}},
		{"a sign", []string{"max-age=-1"}, Directives{MaxAge: invalid}},
		{"a plus", []string{"max-age=+1"}, Directives{MaxAge: invalid}},
		{"two numbers", []string{"max-age=1 2"}, Directives{MaxAge: invalid}},
		{"a leading zero", []string{"max-age=001"}, Directives{MaxAge: number(s)}},
		{"a large number", []string{"max-age=99999999999999999999999999"}, Directives{MaxAge: number((math.MaxInt32 + 1) * s)}},
		{"max-stale without a number", []string{"max-stale"}, Directives{MaxStale: number((math.MaxInt32 + 1) * s)}},
		{"no-cache of some headers", []string{`no-cache="Set-Cookie"`}, Directives{NoCache: true}},
		{"private", []string{`private="X", private`}, Directives{}},
		{"for others", []string{"s-maxage=1, proxy-revalidate, no-transform, x, y=z"}, Directives{}},
		{"names that begin like others", []string{"no-store-x, xno-store, no_store, max-age-x=1"}, Directives{}},
		{"garbage", []string{"=, ==, =1, ;no-store, \"no-store\", \x00=\xff"}, Directives{}},
	} {
		t.Run(test.name, func(t *testing.T) {
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
