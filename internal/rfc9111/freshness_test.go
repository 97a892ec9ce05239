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
		name   string
		header http.Header
		delay  time.Duration
		want   time.Duration
	}{
		{"nothing", nil, 0, 0},
		{"the delay of the answer", nil, 3 * s, 3 * s},
		{"Age and delay", http.Header{"Age": {"10"}}, 3 * s, 13 * s},
		{"Date", http.Header{"Date": {date(-10 * s)}}, 3 * s, 10 * s},
		{"the greater of Date and Age", http.Header{"Age": {"10"}, "Date": {date(-11 * s)}}, 0, 11 * s},
		{"and the other way round", http.Header{"Age": {"12"}, "Date": {date(-11 * s)}}, 0, 12 * s},
		{"Date in the future", http.Header{"Date": {date(time.Hour)}}, 0, 0},
		{"Date that is none", http.Header{"Date": {"now"}}, 0, 0},
		{"the first of a list", http.Header{"Age": {"10, 20"}}, 0, 10 * s},
		{"the first of lines", http.Header{"Age": {"10", "20"}}, 0, 10 * s},
		{"Age that is negative", http.Header{"Age": {"-10"}}, 0, 0},
		{"Age that is none", http.Header{"Age": {"ten"}}, 0, 0},
		{"Age with a fraction", http.Header{"Age": {"10.0"}}, 0, 0},
		{"a clock that goes backwards", nil, -3 * s, 0},
		{"a large Age", http.Header{"Age": {"99999999999999999999"}}, 0, (math.MaxInt32 + 1) * s},
	} {
		if got := InitialAge(test.header, answered.Add(-test.delay), answered); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestLifetime(t *testing.T) {
	for _, test := range []struct {
		name   string
		header http.Header
		want   time.Duration
		said   bool
	}{
		{"nothing", nil, 0, false},
		{"max-age", http.Header{"Cache-Control": {"max-age=60"}}, time.Minute, true},
		{"max-age before Expires", http.Header{"Cache-Control": {"max-age=60"}, "Expires": {date(time.Hour)}}, time.Minute, true},
		{"max-age=0 before Expires", http.Header{"Cache-Control": {"max-age=0"}, "Expires": {date(time.Hour)}}, 0, true},
		{"max-age that is none before Expires", http.Header{"Cache-Control": {"max-age=x"}, "Expires": {date(time.Hour)}}, 0, true},
		{"s-maxage is not ours", http.Header{"Cache-Control": {"s-maxage=60"}}, 0, false},
		{"Expires", http.Header{"Expires": {date(time.Minute)}}, time.Minute, true},
		{"Expires from Date", http.Header{"Expires": {date(time.Minute)}, "Date": {date(-time.Minute)}}, 2 * time.Minute, true},
		{"Expires from a Date that is none", http.Header{"Expires": {date(time.Minute)}, "Date": {"x"}}, time.Minute, true},
		{"Expires in the past", http.Header{"Expires": {date(-time.Minute)}}, 0, true},
		{"Expires: 0", http.Header{"Expires": {"0"}}, 0, true},
		{"empty Expires", http.Header{"Expires": {""}}, 0, true},
		{"several Expires", http.Header{"Expires": {date(time.Minute), date(time.Minute)}}, 0, true},
	} {
		got, said := Lifetime(test.header, ParseDirectives(test.header), answered)
		if got != test.want || said != test.said {
			t.Errorf("%s: %v, %v, want %v, %v", test.name, got, said, test.want, test.said)
		}
	}
}

func TestHeuristic(t *testing.T) {
	ago := func(d time.Duration) http.Header { return http.Header{"Last-Modified": {date(-d)}} }
	for _, test := range []struct {
		name   string
		status int
		header http.Header
		want   time.Duration
	}{
		{"a tenth", 200, ago(10 * time.Hour), time.Hour},
		{"of the time until Date", 200, http.Header{"Last-Modified": {date(-10 * time.Hour)}, "Date": {date(-5 * time.Hour)}}, time.Hour / 2},
		{"a week at most", 200, ago(365 * 24 * time.Hour), 7 * 24 * time.Hour},
		{"not without Last-Modified", 200, nil, 0},
		{"not of one that is none", 200, http.Header{"Last-Modified": {"x"}}, 0},
		{"not of one in the future", 200, ago(-time.Hour), 0},
		{"of a 404", 404, ago(10 * time.Hour), time.Hour},
		{"not of a 500", 500, ago(10 * time.Hour), 0},
		{"not of a 302", 302, ago(10 * time.Hour), 0},
		{"of a 302 that is public", 302, http.Header{"Last-Modified": {date(-10 * time.Hour)}, "Cache-Control": {"public"}}, time.Hour},
	} {
		if got := Heuristic(test.status, test.header, ParseDirectives(test.header), answered); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
