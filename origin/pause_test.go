package origin_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/endpointcache/endpointcache/origin"
)

// refuse answers the first n requests with status and header, all others with 200.
func refuse(n int64, status int, header ...string) http.HandlerFunc {
	var count atomic.Int64
	return func(w http.ResponseWriter, _ *http.Request) {
		if count.Add(1) > n {
			io.WriteString(w, "fine")
			return
		}
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, "slow down")
	}
}

// within is d and its jitter.
func within(got, d time.Duration) bool {
	return got >= d && got <= d+min(d/10, time.Second)+time.Millisecond
}

func TestRetryAfterPauses(t *testing.T) {
	date := time.Date(2020, 3, 4, 5, 6, 7, 0, time.UTC) // of a clock that is years behind
	later := func(layout string) string { return date.Add(30 * time.Second).Format(layout) }
	for _, test := range []struct {
		name   string
		header []string
		want   time.Duration
	}{
		{"seconds", []string{"Retry-After", "30"}, 30 * time.Second},
		{"the date of RFC 9110", []string{"Retry-After", later(http.TimeFormat)}, 30 * time.Second},
		{"the date of RFC 850", []string{"Retry-After", later("Monday, 02-Jan-06 15:04:05 GMT")}, 30 * time.Second},
		{"the date of asctime", []string{"Retry-After", later(time.ANSIC)}, 30 * time.Second},
		{"a date that has passed", []string{"Retry-After", date.Add(-time.Hour).Format(http.TimeFormat)}, 0},
		{"at once", []string{"Retry-After", "0"}, 0},
		{"a year", []string{"Retry-After", "31536000"}, time.Minute},
		{"more than an int64", []string{"Retry-After", "99999999999999999999"}, time.Minute},
		{"a fraction", []string{"Retry-After", "30.5"}, 31 * time.Second},
		{"a negative number", []string{"Retry-After", "-5"}, time.Second},
		{"nonsense", []string{"Retry-After", "soon"}, time.Second},
		{"nothing", nil, time.Second},
	} {
		for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
			t.Run(fmt.Sprintf("%s/%d", test.name, status), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a := serve(t, refuse(1, status, append(test.header, "Date", date.Format(http.TimeFormat))...))
					var told []time.Duration
					rt := origin.New(a.base, &origin.Options{
						MaxPause: time.Minute,
						OnPause: func(host string, d time.Duration) {
							if host != "api.test" {
								t.Errorf("the host is %q", host)
							}
							told = append(told, d)
						},
					})
					if body := mustGet(t, rt, "http://api.test/", status); body != "slow down" {
						t.Errorf("the body is %q: it is the caller's, unchanged", body)
					}
					start := time.Now()
					mustGet(t, rt, "http://other.test/", http.StatusOK)
					if d := time.Since(start); d != 0 {
						t.Errorf("another host was asked after %v", d)
					}
					mustGet(t, rt, "http://api.test/", http.StatusOK)
					got := time.Since(start)
					if !within(got, test.want) {
						t.Errorf("paused for %v, want %v", got, test.want)
					}
					if test.want > 0 && (len(told) != 1 || told[0] != got) || test.want == 0 && told != nil {
						t.Errorf("OnPause was told %v", told)
					}
					wantIdle(t, rt)
				})
			})
		}
	}
}

func TestDateWithoutTheServersClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Date"] = nil
			w.Header().Set("Retry-After", time.Now().Add(10*time.Second).UTC().Format(http.TimeFormat))
			w.WriteHeader(http.StatusTooManyRequests)
		})
		rt := origin.New(a.base, nil)
		start := time.Now()
		mustGet(t, rt, "http://api.test/", http.StatusTooManyRequests)
		mustGet(t, rt, "http://api.test/", http.StatusTooManyRequests)
		if d := time.Since(start); !within(d, 10*time.Second) {
			t.Errorf("paused for %v, want 10s", d)
		}
	})
}

// A pause holds for every request that was not sent, also where the rate would let it go.
func TestPauseHoldsForThoseWhoWaitForTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := serve(t, refuse(1, http.StatusTooManyRequests, "Retry-After", "20"))
		rt := origin.New(a.base, &origin.Options{Limits: origin.Limits{Rate: 1}})
		all(t, 6, rt, "http://api.test/")
		sent := a.sent()
		for i, at := range sent[1:] {
			if want := 20*time.Second + time.Duration(i)*time.Second; at < want || at > want+3*time.Second {
				t.Errorf("request %d was sent after %v, want %v", i+1, at, want)
			}
			if i > 0 && at-sent[i] < 999*time.Millisecond {
				t.Errorf("requests %d and %d were sent within %v: the rate still holds", i, i+1, at-sent[i])
			}
		}
	})
}

func TestLongerPauseExtends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if after := r.URL.Query().Get("after"); after != "" {
				delay, _ := time.ParseDuration(r.URL.Query().Get("delay"))
				time.Sleep(delay)
				w.Header().Set("Retry-After", after)
				w.WriteHeader(http.StatusTooManyRequests)
			}
		})
		rt := origin.New(a.base, nil)
		var wg sync.WaitGroup
		for _, query := range []string{"after=10&delay=100ms", "after=60&delay=5s", "after=1&delay=6s"} {
			wg.Go(func() { mustGet(t, rt, "http://api.test/?"+query, http.StatusTooManyRequests) })
		}
		time.Sleep(time.Second) // they are under way, and the first was refused
		start := time.Now()
		mustGet(t, rt, "http://api.test/", http.StatusOK)
		if d := time.Since(start); !within(d, 64*time.Second) {
			t.Errorf("paused for %v, want 64s more", d)
		}
		wg.Wait()
		if n := rt.Stats().Pauses; n != 2 {
			t.Errorf("%d pauses, want 2: the third was shorter", n)
		}
	})
}

func TestPausesGrowUntilASuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := false
		a := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if !good {
				w.WriteHeader(http.StatusTooManyRequests)
			}
		})
		rt := origin.New(a.base, &origin.Options{Pause: time.Second, MaxPause: 5 * time.Second})
		pause := func(want time.Duration) {
			t.Helper()
			mustGet(t, rt, "http://api.test/", http.StatusTooManyRequests)
			good = true
			start := time.Now()
			mustGet(t, rt, "http://api.test/", http.StatusOK)
			good = false
			if d := time.Since(start); !within(d, want) {
				t.Errorf("paused for %v, want %v", d, want)
			}
		}
		pause(time.Second)
		pause(time.Second) // after a success
		for range 2 {
			mustGet(t, rt, "http://api.test/", http.StatusTooManyRequests)
		}
		pause(4 * time.Second)
		for range 9 {
			mustGet(t, rt, "http://api.test/", http.StatusTooManyRequests)
		}
		pause(5 * time.Second) // MaxPause
	})
}

// Many that are refused at once are one refusal.
func TestRefusedAtOncePausesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := refuse(20, http.StatusTooManyRequests)
		a := serve(t, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second) // until all were sent
			refused(w, r)
		})
		rt := origin.New(a.base, nil)
		if got := all(t, 20, rt, "http://api.test/"); got[http.StatusTooManyRequests] != 20 {
			t.Fatalf("statuses %v", got)
		}
		start := time.Now()
		mustGet(t, rt, "http://api.test/", http.StatusOK)
		if d := time.Since(start) - time.Second; !within(d, time.Second) {
			t.Errorf("paused for %v, want 1s", d)
		}
		if n := rt.Stats().Pauses; n != 1 {
			t.Errorf("%d pauses, want 1", n)
		}
	})
}

// After a pause the host is asked by one, and as it answers by more.
func TestNoStampedeAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := refuse(1, http.StatusTooManyRequests, "Retry-After", "10")
		a := serve(t, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(100 * time.Millisecond)
			first(w, r)
		})
		rt := origin.New(a.base, nil)
		mustGet(t, rt, "http://api.test/", http.StatusTooManyRequests)
		all(t, 31, rt, "http://api.test/")
		sent := a.sent()[1:]
		at, want := 0, 1
		for at < len(sent) { // 1, 2, 4, 8, 16
			for i := range want {
				if d := sent[at+i] - sent[at]; d > time.Millisecond {
					t.Errorf("request %d was sent %v after %d", at+i, d, at)
				}
			}
			if at > 0 && sent[at]-sent[at-1] < 99*time.Millisecond {
				t.Errorf("request %d did not wait for the answer of %d", at, at-1)
			}
			at, want = at+want, 2*want
		}
	})
}

// One that tries whether the host answers again, and is refused, makes all others wait
// again; one that fails or takes its time does not.
func TestTrialAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var count atomic.Int64
		a := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			switch count.Add(1) {
			case 1, 2:
				w.WriteHeader(http.StatusServiceUnavailable)
			case 3:
				panic(http.ErrAbortHandler)
			case 4:
				time.Sleep(time.Hour)
			}
		})
		rt := origin.New(a.base, nil)
		mustGet(t, rt, "http://api.test/", http.StatusServiceUnavailable)
		mustGet(t, rt, "http://api.test/", http.StatusServiceUnavailable)
		start := time.Now()
		var wg sync.WaitGroup
		var failed atomic.Int64
		for range 10 {
			wg.Go(func() {
				req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://api.test/", nil)
				resp, err := rt.RoundTrip(req) // a POST is not sent again by net/http
				if err != nil {
					failed.Add(1)
					return
				}
				resp.Body.Close()
			})
		}
		time.Sleep(10 * time.Second)
		if n := count.Load(); n != 12 {
			t.Errorf("%d requests were sent while one of them hangs, want 12", n)
		}
		if at := a.sent()[4]; !within(at, 4*time.Second) && at > 5*time.Second {
			t.Errorf("the request after the one that hangs was sent after %v", at)
		}
		wg.Wait()
		if d := time.Since(start); d < time.Hour || failed.Load() != 1 {
			t.Errorf("all were answered after %v, %d failed, want 1", d, failed.Load())
		}
		wantIdle(t, rt)
	})
}

func TestPauseAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reset := time.Now().Add(15 * time.Second)
		a := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if time.Now().Before(reset) {
				w.Header().Set("X-RateLimit-Remaining", "0")
				w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(reset.Unix(), 10))
			}
		})
		rt := origin.New(a.base, &origin.Options{PauseAfter: func(resp *http.Response) time.Duration {
			if resp.Header.Get("X-RateLimit-Remaining") != "0" {
				return 0
			}
			seconds, _ := strconv.ParseInt(resp.Header.Get("X-RateLimit-Reset"), 10, 64)
			return time.Until(time.Unix(seconds, 0))
		}})
		for range 3 {
			mustGet(t, rt, "http://api.test/", http.StatusOK)
		}
		if sent := a.sent(); sent[0] != 0 || !within(sent[1], 15*time.Second) || sent[2] != sent[1] {
			t.Errorf("sent after %v, want 0s, 15s, 15s", sent)
		}
	})
}

func TestPauseEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := serve(t, refuse(1, http.StatusTooManyRequests, "Retry-After", "60"))
		rt := origin.New(a.base, nil)
		mustGet(t, rt, "http://api.test/", http.StatusTooManyRequests)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, _, err := get(ctx, rt, "http://api.test/"); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("error %v after %v", err, time.Since(start))
		}
		wantIdle(t, rt)
	})
}

// The same over real connections, with nothing injected.
func TestPauseOfARealServer(t *testing.T) {
	var mu sync.Mutex
	var refused time.Time
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case refused.IsZero():
			refused = time.Now()
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		case time.Since(refused) < time.Second:
			t.Error("asked during the pause")
		}
	}))
	defer server.Close()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	rt := origin.New(base, &origin.Options{Limits: origin.Limits{InFlight: 4}})
	mustGet(t, rt, server.URL, http.StatusTooManyRequests)
	if got := all(t, 20, rt, server.URL); got[http.StatusOK] != 20 {
		t.Errorf("statuses %v", got)
	}
	wantIdle(t, rt)
}
