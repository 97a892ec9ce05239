package exchange

import (
	"net/http"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/policy"
)

func TestExpiry(t *testing.T) {
	after := func(d time.Duration) policy.Policy { return policy.Policy{Expire: policy.After(d)} }
	no := policy.Policy{Expire: policy.DoNotCache()}
	status := func(code int, e policy.Expiry) policy.Policy {
		return policy.Policy{ExpireStatus: map[int]policy.Expiry{code: e}}
	}
	none := policy.Policy{}
	for _, test := range []struct {
		sentence    string
		call, table policy.Policy
		status      int
		header      []string
		lifetime    time.Duration // the table's
		want        time.Duration // from noon; -1: for ever
		kept        bool
	}{
		{"the table's lifetime holds where nobody says more", none, none, 200, nil, hour, hour, true},
		{"a negative one is for ever", none, none, 200, nil, -1, -1, true},
		{"the table's policy goes before it", none, after(minute), 200, nil, hour, minute, true},
		{"the call's policy goes before that", after(time.Second), after(minute), 200, nil, hour, time.Second, true},
		{"also where the table's forbids it", after(time.Second), no, 200, nil, hour, time.Second, true},
		{"the call's may forbid it", no, after(minute), 200, nil, hour, 0, false},
		{"the table's may, too", none, no, 200, nil, hour, 0, false},
		{"a status that is not cached is not", none, after(minute), 404, nil, hour, 0, false},
		{"unless it has an expiry of its own", none, status(404, policy.After(minute)), 404, nil, hour, minute, true},
		{"whatever is said of the others", none, policy.Policy{Expire: policy.After(hour), ExpireStatus: map[int]policy.Expiry{404: policy.After(minute)}}, 404, nil, hour, minute, true},
		{"one of the call, too", status(404, policy.Never()), none, 404, nil, hour, -1, true},
		{"a part is never kept", none, status(404, policy.Never()), 206, nil, hour, 0, false},
		{"a 304 is never kept", none, none, 304, nil, hour, 0, false},
		{"headers do not count outside Cache-Control mode", none, none, 200, []string{"Cache-Control", "no-store, max-age=60"}, hour, hour, true},
	} {
		testExpiry(t, test.sentence, false, test.call, test.table, test.status, test.header, test.lifetime, 0, test.want, test.kept)
	}
}

func TestExpiryInCacheControlMode(t *testing.T) {
	after := func(d time.Duration) policy.Policy { return policy.Policy{Expire: policy.After(d)} }
	no := policy.Policy{Expire: policy.DoNotCache()}
	none := policy.Policy{}
	old := noon.Add(-10 * hour).Format(http.TimeFormat)
	for _, test := range []struct {
		sentence    string
		call, table policy.Policy
		status      int
		header      []string
		age         time.Duration // that the response had when it came
		want        time.Duration
		kept        bool
	}{
		{"the response says it", none, none, 200, []string{"Cache-Control", "max-age=60"}, 0, minute, true},
		{"its age counts", none, none, 200, []string{"Cache-Control", "max-age=60"}, 20 * time.Second, 40 * time.Second, true},
		{"what came expired is of no use", none, none, 200, []string{"Cache-Control", "max-age=60"}, hour, 0, false},
		{"unless it can be revalidated", none, none, 200, []string{"Cache-Control", "max-age=60", "Etag", `"1"`}, hour, 0, true},
		{"or stand in", none, none, 200, []string{"Cache-Control", "max-age=60, stale-if-error=60"}, hour, 0, true},
		{"the response goes before the table's policy", none, after(hour), 200, []string{"Cache-Control", "max-age=60"}, 0, minute, true},
		{"but not before the call's", after(hour), none, 200, []string{"Cache-Control", "max-age=60"}, 0, hour, true},
		{"nor before DoNotCache", none, no, 200, []string{"Cache-Control", "max-age=60"}, 0, 0, false},
		{"the table's policy holds where the response says nothing", none, after(hour), 200, nil, 0, hour, true},
		{"a tenth of the time since Last-Modified otherwise", none, none, 200, []string{"Last-Modified", old}, 0, hour, true},
		{"nobody says it: of no use", none, none, 200, nil, 0, 0, false},
		{"unless it can be revalidated, again", none, none, 200, []string{"Etag", `"1"`}, 0, 0, true},
		{"no-store is final", after(hour), none, 200, []string{"Cache-Control", "no-store, max-age=60"}, 0, 0, false},
		{"no-cache is kept to be revalidated", none, none, 200, []string{"Cache-Control", "no-cache", "Etag", `"1"`}, 0, 0, true},
		{"no-cache without a validator is of no use", none, none, 200, []string{"Cache-Control", "no-cache"}, 0, 0, false},
		{"an error that mentions no freshness is not kept", none, none, 500, []string{"Etag", `"1"`}, 0, 0, false},
		{"one that does is", none, none, 500, []string{"Cache-Control", "max-age=60"}, 0, minute, true},
		{"statuses of the policy are a limit", none, policy.Policy{Statuses: []int{200}}, 404, []string{"Cache-Control", "max-age=60"}, 0, 0, false},
	} {
		testExpiry(t, test.sentence, true, test.call, test.table, test.status, test.header, -1, test.age, test.want, test.kept)
	}
}

func testExpiry(t *testing.T, sentence string, controls bool, call, table policy.Policy, status int, header []string, lifetime, age, want time.Duration, kept bool) {
	t.Helper()
	general := policy.Policy{}
	if controls {
		general.CacheControl = policy.On
	}
	rules := fixedRules(newLayer(table), newLayer(general)).over([]policy.Policy{call})
	if rules.err != nil {
		t.Fatal(sentence, rules.err)
	}
	h := make(http.Header)
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	h.Set("Date", noon.Format(http.TimeFormat))
	terms := &Terms{Rules: rules}
	expires, ok := terms.expiry(&policy.Exchange{Status: status, Header: h}, lifetime, age, noon)
	switch {
	case ok != kept:
		t.Errorf("%s: kept is %t, want %t", sentence, ok, kept)
	case ok && want < 0 != expires.IsZero():
		t.Errorf("%s: it expires at %v", sentence, expires)
	case ok && want >= 0 && expires.Sub(noon) != want:
		t.Errorf("%s: it expires after %v, want %v", sentence, expires.Sub(noon), want)
	}
}

func TestWithAbsences(t *testing.T) {
	own := policy.Policy{ExpireStatus: map[int]policy.Expiry{404: policy.After(hour), 500: policy.After(minute)}}
	for _, test := range []struct {
		sentence string
		policy   policy.Policy
		expire   time.Duration
		want     map[int]policy.Expiry
	}{
		{"none is nothing", policy.Policy{}, 0, nil},
		{"a duration is for 404 and 410", policy.Policy{}, minute, map[int]policy.Expiry{404: policy.After(minute), 410: policy.After(minute)}},
		{"a negative one is for ever", policy.Policy{}, -1, map[int]policy.Expiry{404: policy.Never(), 410: policy.Never()}},
		{"what the policy says of a status goes before", own, minute, map[int]policy.Expiry{404: policy.After(hour), 410: policy.After(minute), 500: policy.After(minute)}},
	} {
		got := withAbsences(test.policy, test.expire).ExpireStatus
		if len(got) != len(test.want) {
			t.Errorf("%s: %v", test.sentence, got)
		}
		for status, e := range test.want {
			if got[status] != e {
				t.Errorf("%s: of %d it is %v", test.sentence, status, got[status])
			}
		}
	}
	if len(own.ExpireStatus) != 2 {
		t.Error("the policy was changed")
	}
}

func TestMayShare(t *testing.T) {
	controls := policy.Policy{CacheControl: policy.On}
	for _, test := range []struct {
		sentence string
		policy   policy.Policy
		method   string
		status   int
		control  string
		want     bool
	}{
		{"a failure of a read", policy.Policy{}, "GET", 503, "", true},
		{"not an answer", policy.Policy{}, "GET", 200, "", false},
		{"not of what may change something", policy.Policy{}, "POST", 503, "", false},
		{"not one that is about the user", policy.Policy{}, "GET", 401, "", false},
		{"not what is not to be stored", controls, "GET", 503, "no-store", false},
		{"which is nothing outside Cache-Control mode", policy.Policy{}, "GET", 503, "no-store", true},
	} {
		h := http.Header{"Cache-Control": {test.control}}
		if got := termsOf(t, test.policy, "").mayShare(test.method, test.status, h); got != test.want {
			t.Errorf("%s: %t, want %t", test.sentence, got, test.want)
		}
	}
}
