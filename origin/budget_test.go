package origin_test

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/transport"
)

func TestRequestsShareABudget(t *testing.T) {
	api := newServer(t, refuse(math.MaxInt64, http.StatusServiceUnavailable))
	b := base(t)
	rt := retrier(t, b, origin.RetryOptions{Retries: 2})
	for _, test := range []struct {
		budget    int
		want      int64 // attempts of 5 requests
		exhausted bool
	}{{0, 5, true}, {1, 6, true}, {4, 9, true}, {9, 14, true}, {10, 15, false}, {11, 15, false}, {-1, 5, true}, {math.MinInt, 5, true}} {
		before := b.n.Load()
		budget := origin.NewRetryBudget(test.budget)
		ctx := origin.WithRetryBudget(t.Context(), budget)
		if budget.Exhausted() {
			t.Errorf("budget %d: nobody has needed a retry yet", test.budget)
		}
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if status, body, err := get(ctx, rt, api); status != http.StatusServiceUnavailable || body != "slow down" || err != nil {
					t.Errorf("budget %d: %d %q, %v; want the refusal", test.budget, status, body, err)
				}
			})
		}
		wg.Wait()
		if n := b.n.Load() - before; n != test.want || budget.Exhausted() != test.exhausted {
			t.Errorf("budget %d: %d attempts, exhausted: %t; want %d, %t", test.budget, n, budget.Exhausted(), test.want, test.exhausted)
		}
	}
}

func TestErrorsTellThatTheBudgetIsUsedUp(t *testing.T) {
	b := &counted{RoundTripper: transport.Doer(broken{os.ErrDeadlineExceeded})}
	rt := retrier(t, b, origin.RetryOptions{Retries: 2})
	budget := origin.NewRetryBudget(3)
	ctx := origin.WithRetryBudget(t.Context(), budget)
	for i, want := range []struct {
		attempts  int64
		exhausted bool
	}{{3, false}, {2, true}, {1, true}} {
		_, _, err := get(ctx, rt, "http://api.test/")
		if n := b.n.Swap(0); n != want.attempts || !errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, origin.ErrRetryBudget) != want.exhausted {
			t.Errorf("request %d: %v after %d attempts; want %d, for the budget: %t", i, err, n, want.attempts, want.exhausted)
		}
	}
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://api.test/", nil)
	var failed *url.Error
	_, err := (&http.Client{Transport: rt}).Do(req)
	if !errors.As(err, &failed) || !failed.Timeout() || !strings.Contains(err.Error(), "i/o timeout: origin: the budget of retries is used up") {
		t.Errorf("error %v of a client, want one that is a timeout still, and both texts", err)
	}
}

// A budget is for retries that could have been made, and only for them.
func TestBudgetIsNotTouchedByWhatIsFinal(t *testing.T) {
	var asked atomic.Int64
	api := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Retry-After", r.URL.Query().Get("after"))
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	rt := retrier(t, base(t), origin.RetryOptions{})
	budget := origin.NewRetryBudget(1)
	ctx := origin.WithRetryBudget(t.Context(), budget)
	mustHave := func(method, url string, want int64) {
		t.Helper()
		before := asked.Load()
		req := httptest.NewRequest(method, url, nil).WithContext(ctx)
		resp, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if n := asked.Load() - before; n != want {
			t.Errorf("%s %s: %d attempts, want %d", method, url, n, want)
		}
	}
	mustHave(http.MethodPost, api, 1)
	mustHave(http.MethodGet, api+"?after=3600", 1)
	if budget.Exhausted() {
		t.Error("it was not for the budget that these were final")
	}
	mustHave(http.MethodGet, api, 2)
	if !budget.Exhausted() {
		t.Error("the second retry was not there")
	}
	ctx = origin.WithRetryBudget(ctx, nil)
	mustHave(http.MethodGet, api, 4)
	ctx = origin.WithRetryBudget(context.WithoutCancel(ctx), origin.NewRetryBudget(2))
	mustHave(http.MethodGet, api, 3)
}
