package policy_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/policy"
)

func TestInstants(t *testing.T) {
	now := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name    string
		expire  policy.Expiry
		expires time.Time
		keep    bool
		zero    bool
	}{
		{"nothing said", policy.Expiry{}, time.Time{}, false, true},
		{"a duration", policy.After(time.Minute), now.Add(time.Minute), true, false},
		{"no duration: at once", policy.After(0), now, true, false},
		{"a negative duration: at once", policy.After(-time.Hour), now, true, false},
		{"an instant", policy.At(now.Add(time.Hour)), now.Add(time.Hour), true, false},
		{"an instant in the past", policy.At(now.Add(-time.Hour)), now.Add(-time.Hour), true, false},
		{"an instant that nobody has set: at once, not never", policy.At(time.Time{}), now, true, false},
		{"never", policy.Never(), time.Time{}, true, false},
		{"do not cache", policy.DoNotCache(), time.Time{}, false, false},
	} {
		expires, keep := test.expire.Instant(now)
		if !expires.Equal(test.expires) || keep != test.keep {
			t.Errorf("%s: %v, keep %v, want %v, %v", test.name, expires, keep, test.expires, test.keep)
		}
		if got := test.expire.IsZero(); got != test.zero {
			t.Errorf("%s: IsZero is %v", test.name, got)
		}
	}
}

func urls(patterns ...string) policy.Policy {
	var p policy.Policy
	for _, pattern := range patterns {
		p.ExpireURLs = append(p.ExpireURLs, policy.URLExpiry{URL: pattern, Expire: policy.Never()})
	}
	return p
}

func TestPoliciesThatCannotBe(t *testing.T) {
	for name, p := range map[string]policy.Policy{
		"a use":                      {Use: policy.Disabled + 1},
		"a switch":                   {CacheControl: policy.Off + 1},
		"a switch for cookies":       {Cookies: policy.Off + 1},
		"an empty URL":               urls(""),
		"a URL after others":         urls("a.com", "b.com/*", "ftp://example.com"),
		"a query":                    urls("example.com/a?b=c"),
		"a star in a label":          urls("api*.example.com"),
		"two stars":                  urls("example.com/**"),
		"a status of a part":         {Statuses: []int{200, 206}},
		"one of a condition":         {Statuses: []int{200, 412}},
		"one of a range":             {ExpireStatus: map[int]policy.Expiry{416: policy.Never()}},
		"a status without content":   {Statuses: []int{304}},
		"an interim status":          {Statuses: []int{100}},
		"a status that is none":      {Statuses: []int{1000}},
		"an expiry for a part":       {ExpireStatus: map[int]policy.Expiry{206: policy.Never()}},
		"an expiry for a 304":        {ExpireStatus: map[int]policy.Expiry{304: policy.Never()}},
		"an expiry that is not set":  {ExpireStatus: map[int]policy.Expiry{404: {}}},
		"stale for a success":        {StaleStatuses: []int{500, 200}},
		"stale for a redirect":       {StaleStatuses: []int{399}},
		"stale for an unknown class": {StaleStatuses: []int{600}},
		"stale for no status":        {StaleStatuses: []int{0}},
		"all of the life":            {RefreshAhead: 1},
		"a lease that is too short":  {Lease: time.Millisecond},
		"more than the life":         {RefreshAhead: 20},
		"a share that is no number":  {RefreshAhead: math.NaN()},
		"a beta that is no number":   {RefreshBeta: math.NaN()},
		"an infinite beta":           {RefreshBeta: math.Inf(1)},
	} {
		if err := p.Validate(); err == nil || !strings.HasPrefix(err.Error(), "policy: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPoliciesThatCanBe(t *testing.T) {
	for name, p := range map[string]policy.Policy{
		"the zero value":       {},
		"every URL":            urls("*"),
		"stars in URLs":        urls("*/v1/charts", "*.example.com", "example.com/img*", "https://example.com:8443/*.json"),
		"statuses":             {Statuses: []int{200, 204, 299, 404, 999}},
		"no status":            {Statuses: []int{}},
		"an expiry per status": {ExpireStatus: map[int]policy.Expiry{404: policy.After(time.Minute), 500: policy.DoNotCache()}},
		"stale statuses":       {StaleStatuses: []int{400, 429, 500, 599}},
		"no stale status":      {StaleStatuses: []int{}},
		"limits":               {StaleIfError: time.Hour, StaleWhileRevalidate: time.Hour, SoftTimeout: time.Second, HardTimeout: time.Minute},
		"no limits":            {StaleIfError: -1, StaleWhileRevalidate: -1, SoftTimeout: -1, HardTimeout: -1},
		"renewal":              {RefreshAhead: 0.1, RefreshBeta: 1},
		"a lease":              {Lease: time.Second},
		"no lease":             {Lease: -1},
		"almost all its life":  {RefreshAhead: 0.999, RefreshBeta: 20},
		"no renewal":           {RefreshAhead: -1, RefreshBeta: -1},
	} {
		if err := p.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
