package origin_test

import (
	"math"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/endpointcache/endpointcache/origin"
)

func TestRetryAfterInAllItsForms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const longest = math.MaxInt64 / time.Second * time.Second
		now := time.Now().UTC()
		date := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
		for text, want := range map[string]time.Duration{
			"30":                            30 * time.Second,
			" 30 ":                          30 * time.Second,
			"030":                           30 * time.Second,
			"0":                             0,
			"30.5":                          31 * time.Second,
			"30.0":                          30 * time.Second,
			"30.":                           30 * time.Second,
			"30.0000000000000000001":        31 * time.Second,
			"0.001":                         time.Second,
			"9223372036":                    9223372036 * time.Second,
			"9223372037":                    longest, // does not fit
			"9223372036854775807.5":         longest,
			"99999999999999999999":          longest,
			"99999999999999999999.9":        longest,
			date(90 * time.Second):          90 * time.Second,
			date(-time.Hour):                0,
			"Fri, 31 Dec 9999 23:59:59 GMT": math.MaxInt64,
		} {
			d, ok := origin.RetryAfter(&http.Response{Header: http.Header{"Retry-After": {text}}})
			if !ok || d != want {
				t.Errorf("%q is %v, %t; want %v", text, d, ok, want)
			}
		}
		for _, text := range []string{
			"", " ", ".", ".5", "-5", "+5", "-0", "30s", "3e1", "0x1e", "30,5", "30, 60", "30 60", "30.5.5", "30.-5", "1_000",
			"NaN", "Inf", "soon", "٣٠", "2026-01-02T03:04:05Z", "Fri, 31 Dec 9999",
		} {
			if d, ok := origin.RetryAfter(&http.Response{Header: http.Header{"Retry-After": {text}}}); ok || d != 0 {
				t.Errorf("%q is %v, though it says nothing", text, d)
			}
		}
	})
}

func TestRetryAfterIsOfTheServersClock(t *testing.T) {
	clock := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	header := http.Header{
		"Date":        {clock.Format(http.TimeFormat)},
		"Retry-After": {clock.Add(7 * time.Second).Format(http.TimeFormat)},
	}
	if d, ok := origin.RetryAfter(&http.Response{Header: header}); !ok || d != 7*time.Second {
		t.Errorf("%v, %t; want 7s", d, ok)
	}
	header["Retry-After"] = []string{"soon", "3", header.Get("Retry-After"), "5"}
	if d, ok := origin.RetryAfter(&http.Response{Header: header}); !ok || d != 7*time.Second {
		t.Errorf("of several headers %v, %t; want the longest, 7s", d, ok)
	}
	if _, ok := origin.RetryAfter(&http.Response{}); ok {
		t.Error("a response without headers says something")
	}
	if _, ok := origin.RetryAfter(nil); ok {
		t.Error("no response says something")
	}
}

// The host of a 403 pauses where that is a limit, and not where it is a matter of rights.
func TestForbiddenPausesWithRetryAfterOnly(t *testing.T) {
	for name, test := range map[string]struct {
		header []string
		want   time.Duration
	}{
		"with seconds":  {[]string{"Retry-After", "30"}, 30 * time.Second},
		"with nonsense": {[]string{"Retry-After", "soon"}, time.Second},
		"without":       {nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := serve(t, refuse(1, http.StatusForbidden, test.header...))
				rt := origin.New(a.base, nil)
				mustGet(t, rt, "http://api.test/", http.StatusForbidden)
				start := time.Now()
				mustGet(t, rt, "http://api.test/", http.StatusOK)
				if d := time.Since(start); !within(d, test.want) {
					t.Errorf("paused for %v, want %v", d, test.want)
				}
				wantIdle(t, rt)
			})
		})
	}
}

// The longest pause there can be has no room for a jitter.
func TestPauseWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := serve(t, refuse(1, http.StatusTooManyRequests, "Retry-After", "99999999999999999999"))
		var told time.Duration
		rt := origin.New(a.base, &origin.Options{
			MaxPause: math.MaxInt64,
			OnPause:  func(_ string, d time.Duration) { told = d },
		})
		mustGet(t, rt, "http://api.test/", http.StatusTooManyRequests)
		if told < 200*365*24*time.Hour {
			t.Errorf("the pause is %v", told)
		}
	})
}
