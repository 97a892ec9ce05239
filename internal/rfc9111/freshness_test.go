package rfc9111

import (
	"math"
	"net/http"
	"testing"
	"time"
)

// answered is when the responses of these tests come.
var answered = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func date(after time.Duration) string { return answered.Add(after).Format(http.TimeFormat) }

func TestInitialAge(t *testing.T) {
	const s = time.Second
	for _, test := range []struct {
		section, name string
		header        http.Header
		delay         time.Duration
		want          time.Duration
	}{
		{"9111, 4.2.3", "nothing", nil, 0, 0},
		{"9111, 4.2.3", "the delay of the answer", nil, 3 * s, 3 * s},
		{"9111, 4.2.3", "Age and delay", http.Header{"Age": {"10"}}, 3 * s, 13 * s},
		{"9111, 4.2.3", "Date", http.Header{"Date": {date(-10 * s)}}, 3 * s, 10 * s},
		{"9111, 4.2.3", "the greater of Date and Age", http.Header{"Age": {"10"}, "Date": {date(-11 * s)}}, 0, 11 * s},
		{"9111, 4.2.3", "and the other way round", http.Header{"Age": {"12"}, "Date": {date(-11 * s)}}, 0, 12 * s},
		{"9111, 4.2.3", "Date in the future", http.Header{"Date": {date(time.Hour)}}, 0, 0},
		{"9110, 6.6.1", "Date that is none", http.Header{"Date": {"now"}}, 0, 0},
		{"9111, 5.1", "the first of a list", http.Header{"Age": {"10, 20"}}, 0, 10 * s},
		{"9111, 5.1", "the first of lines", http.Header{"Age": {"10", "20"}}, 0, 10 * s},
		{"9111, 5.1", "Age that is negative", http.Header{"Age": {"-10"}}, 0, 0},
		{"9111, 5.1", "Age that is none", http.Header{"Age": {"ten"}}, 0, 0},
		{"9111, 5.1", "Age with a fraction", http.Header{"Age": {"10.0"}}, 0, 0},
		{"9111, 4.2.3", "a clock that goes backwards", nil, -3 * s, 0},
		{"9111, 1.2.2", "a large Age", http.Header{"Age": {"99999999999999999999"}}, 0, (math.MaxInt32 + 1) * s},
	} {
		if got := InitialAge(test.header, answered.Add(-test.delay), answered); got != test.want {
			t.Errorf("RFC %s: %s: %v, want %v", test.section, test.name, got, test.want)
		}
	}
}

func TestLifetime(t *testing.T) {
	for _, test := range []struct {
		section, name string
		header        http.Header
		want          time.Duration
		said          bool
	}{
		{"9111, 4.2.1", "nothing", nil, 0, false},
		{"9111, 5.2.2.1", "max-age", http.Header{"Cache-Control": {"max-age=60"}}, time.Minute, true},
		{"9111, 5.3", "max-age before Expires", http.Header{"Cache-Control": {"max-age=60"}, "Expires": {date(time.Hour)}}, time.Minute, true},
		{"9111, 5.3", "max-age=0 before Expires", http.Header{"Cache-Control": {"max-age=0"}, "Expires": {date(time.Hour)}}, 0, true},
		{"9111, 4.2.1", "max-age that is none before Expires", http.Header{"Cache-Control": {"max-age=x"}, "Expires": {date(time.Hour)}}, 0, true},
		{"9111, 5.2.2.10", "s-maxage is not ours", http.Header{"Cache-Control": {"s-maxage=60"}}, 0, false},
		{"9111, 4.2.1", "Expires", http.Header{"Expires": {date(time.Minute)}}, time.Minute, true},
		{"9111, 4.2.1", "Expires from Date", http.Header{"Expires": {date(time.Minute)}, "Date": {date(-time.Minute)}}, 2 * time.Minute, true},
		{"9110, 6.6.1", "Expires from a Date that is none", http.Header{"Expires": {date(time.Minute)}, "Date": {"x"}}, time.Minute, true},
		{"9111, 4.2.1", "Expires in the past", http.Header{"Expires": {date(-time.Minute)}}, 0, true},
		{"9111, 5.3", "Expires: 0", http.Header{"Expires": {"0"}}, 0, true},
		{"9111, 5.3", "empty Expires", http.Header{"Expires": {""}}, 0, true},
		{"9111, 4.2.1", "several Expires", http.Header{"Expires": {date(time.Minute), date(time.Minute)}}, 0, true},
	} {
		got, said := Lifetime(test.header, ParseDirectives(test.header), answered)
		if got != test.want || said != test.said {
			t.Errorf("RFC %s: %s: %v, %v, want %v, %v", test.section, test.name, got, said, test.want, test.said)
		}
	}
}

func TestHeuristic(t *testing.T) {
	ago := func(d time.Duration) http.Header { return http.Header{"Last-Modified": {date(-d)}} }
	for _, test := range []struct {
		section, name string
		status        int
		header        http.Header
		want          time.Duration
	}{
		{"9111, 4.2.2", "a tenth", 200, ago(10 * time.Hour), time.Hour},
		{"9111, 4.2.2", "of the time until Date", 200, http.Header{"Last-Modified": {date(-10 * time.Hour)}, "Date": {date(-5 * time.Hour)}}, time.Hour / 2},
		{"9111, 4.2.2", "a week at most", 200, ago(365 * 24 * time.Hour), 7 * 24 * time.Hour},
		{"9111, 4.2.2", "not without Last-Modified", 200, nil, 0},
		{"9110, 8.8.2", "not of one that is none", 200, http.Header{"Last-Modified": {"x"}}, 0},
		{"9110, 8.8.2.1", "not of one in the future", 200, ago(-time.Hour), 0},
		{"9110, 15.1", "of a 404", 404, ago(10 * time.Hour), time.Hour},
		{"9110, 15.1", "not of a 500", 500, ago(10 * time.Hour), 0},
		{"9110, 15.1", "not of a 302", 302, ago(10 * time.Hour), 0},
		{"9111, 4.2.2", "of a 302 that is public", 302, http.Header{"Last-Modified": {date(-10 * time.Hour)}, "Cache-Control": {"public"}}, time.Hour},
	} {
		if got := Heuristic(test.status, test.header, ParseDirectives(test.header), answered); got != test.want {
			t.Errorf("RFC %s: %s: %v, want %v", test.section, test.name, got, test.want)
		}
	}
}

func TestHeuristicStatuses(t *testing.T) {
	want := map[int]bool{200: true, 203: true, 204: true, 300: true, 301: true, 308: true, 404: true, 405: true, 410: true, 414: true, 501: true}
	for status := 100; status < 600; status++ {
		if got := HeuristicStatus(status); got != want[status] {
			t.Errorf("RFC 9110, 15.1: of a %d it is %v", status, got)
		}
	}
}

func TestMayStore(t *testing.T) {
	control := func(s string) http.Header { return http.Header{"Cache-Control": {s}} }
	for _, test := range []struct {
		section, name string
		asked         string
		status        int
		header        http.Header
		want          bool
	}{
		{"9111, 3", "a response", "", 200, nil, true},
		{"9111, 3", "an error", "", 500, nil, true},
		{"9111, 3", "a status that is not known", "", 299, nil, true},
		{"9111, 3", "an interim response", "", 103, nil, false},
		{"9111, 3.3", "a part", "", 206, nil, false},
		{"9111, 4.3.4", "a 304", "", 304, nil, false},
		{"9111, 5.2.2.5", "no-store", "", 200, control("no-store, max-age=60"), false},
		{"9111, 5.2.1.5", "no-store of the request", "no-store", 200, control("max-age=60"), false},
		{"9111, 5.2.2.7", "private", "", 200, control("private"), true},
		{"9111, 5.2.2.4", "no-cache", "", 200, control("no-cache"), true},
		{"9111, 5.2.2.3", "must-understand sets no-store aside", "", 200, control("must-understand, no-store"), true},
		{"9111, 5.2.2.3", "though not that of the request", "no-store", 200, control("must-understand, no-store"), false},
		{"9111, 5.2.2.3", "must-understand of a status that is not known", "", 299, control("must-understand"), false},
		{"9111, 4.1", "Vary", "", 200, http.Header{"Vary": {"Accept"}}, true},
		{"9111, 4.1", "Vary: *", "", 200, http.Header{"Vary": {"*"}}, false},
		{"9111, 4.1", "Vary with a star in a list", "", 200, http.Header{"Vary": {"Accept, *"}}, false},
		{"6585, 3", "428", "", 428, control("public, max-age=60"), false},
		{"6585, 4", "429", "", 429, control("public, max-age=60"), false},
		{"6585, 5", "431", "", 431, control("public, max-age=60"), false},
		{"6585, 6", "511", "", 511, control("public, max-age=60"), false},
		{"6585, 4", "429 with must-understand", "", 429, control("must-understand, max-age=60"), false},
	} {
		asked := ParseRequestDirectives(control(test.asked))
		if got := MayStore(asked, test.status, test.header, ParseDirectives(test.header)); got != test.want {
			t.Errorf("RFC %s: %s: %v, want %v", test.section, test.name, got, test.want)
		}
	}
}
