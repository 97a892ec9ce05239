package transport_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/settings"
)

// sources are all that can say when a response expires.
type sources struct {
	inner, outer       policy.Policy // of the call's context, and of that around it
	repository, common policy.Policy
	settings, cache    time.Duration
	header             http.Header
	now                time.Time
}

// expiryRow is a row of the table in docs/policy.md.
type expiryRow struct {
	name              string
	without, controls bool // whether it counts outside, and in Cache-Control mode
	set               func(s *sources, d time.Duration)
}

func expiryRows() []expiryRow {
	var rows []expiryRow
	layer := func(whose string, of func(*sources) *policy.Policy) {
		for _, field := range []struct {
			name string
			set  func(*policy.Policy, policy.Expiry)
		}{
			{"ExpireFunc", func(p *policy.Policy, e policy.Expiry) {
				p.ExpireFunc = func(*policy.Exchange) policy.Expiry { return e }
			}},
			{"ExpireStatus", func(p *policy.Policy, e policy.Expiry) {
				p.ExpireStatus = map[int]policy.Expiry{http.StatusOK: e}
			}},
			{"ExpireURLs", func(p *policy.Policy, e policy.Expiry) {
				p.ExpireURLs = []policy.URLExpiry{{URL: "*/a", Expire: e}}
			}},
			{"Expire", func(p *policy.Policy, e policy.Expiry) { p.Expire = e }},
		} {
			rows = append(rows, expiryRow{"`" + field.name + "` of " + whose, true, true, func(s *sources, d time.Duration) {
				field.set(of(s), policy.After(d))
			}})
		}
	}
	seconds := func(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
	layer("the call's policy", func(s *sources) *policy.Policy { return &s.inner })
	layer("a policy around it", func(s *sources) *policy.Policy { return &s.outer })
	rows = append(rows,
		expiryRow{"`max-age` of the response", false, true, func(s *sources, d time.Duration) {
			s.header.Set("Cache-Control", "max-age="+seconds(d))
		}},
		expiryRow{"`Expires` of the response", false, true, func(s *sources, d time.Duration) {
			s.header.Set("Expires", s.now.Add(d).Format(http.TimeFormat))
		}})
	layer("the repository's policy", func(s *sources) *policy.Policy { return &s.repository })
	layer("the cache's policy", func(s *sources) *policy.Policy { return &s.common })
	return append(rows,
		expiryRow{"`Expire` of `settings.RepositorySettings`", true, false, func(s *sources, d time.Duration) { s.settings = d }},
		expiryRow{"`Expire` of `cache.Options`", true, false, func(s *sources, d time.Duration) { s.cache = d }},
		expiryRow{"a tenth of the time since `Last-Modified`, a week at most", false, true, func(s *sources, d time.Duration) {
			s.header.Set("Last-Modified", s.now.Add(-10*d).Format(http.TimeFormat))
		}},
	)
}

// Each row is set together with all below it, and has to win.
func TestExpiryIsToldByTheFirstRowThatIsSet(t *testing.T) {
	rows := expiryRows()
	for i, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			for _, controls := range []bool{false, true} {
				if controls && !row.controls || !controls && !row.without {
					continue
				}
				now := time.Now().UTC().Truncate(time.Second)
				s := &sources{header: make(http.Header), now: now}
				for j := i; j < len(rows); j++ {
					rows[j].set(s, time.Duration(j+1)*time.Hour)
				}
				if got, want := s.expiry(t, controls).Sub(now), time.Duration(i+1)*time.Hour; got != want {
					t.Errorf("Cache-Control mode %v: it expires after %v, want %v", controls, got, want)
				}
			}
		})
	}
	t.Run("nothing is set", func(t *testing.T) {
		s := &sources{header: make(http.Header), now: time.Now().UTC().Truncate(time.Second)}
		if got := s.expiry(t, false).Sub(s.now); got != settings.DefaultExpire {
			t.Errorf("it expires after %v, want %v", got, settings.DefaultExpire)
		}
	})
}

// expiry fetches a response under the policies and returns when it expires.
func (s *sources) expiry(t *testing.T, controls bool) time.Time {
	t.Helper()
	if s.common.CacheControl = policy.Off; controls {
		s.common.CacheControl = policy.On
	}
	base := roundTrip(func(req *http.Request) (*http.Response, error) {
		resp := plainResponse(req, http.StatusOK, "body")
		for name, values := range s.header {
			resp.Header[name] = values
		}
		resp.Header.Set("Date", s.now.Format(http.TimeFormat))
		return resp, nil
	})
	c, err := cache.New(memoryStore(t), &cache.Options{Expire: s.cache, Policy: s.common, Now: func() time.Time { return s.now }})
	check(t, err)
	defer c.Close()
	all := settings.CatchAll("all", nil)
	all.Expire, all.Policy = s.settings, s.repository
	_, err = cache.CreateRepository(t.Context(), c, all)
	check(t, err)
	h := &harness{t: t, cache: c}
	h.transport = h.over(c, base)
	req := getOf(t, "http://api.example.com/a")
	ctx := policy.With(req.Context(), s.outer)
	req = req.WithContext(policy.With(ctx, s.inner))
	h.do(req)
	entry, ok := h.entry(req)
	if !ok {
		t.Fatal("nothing is stored")
	}
	return entry.ExpiresAt
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func plainResponse(req *http.Request, status int, body string) *http.Response {
	resp := &http.Response{
		Status: strconv.Itoa(status) + " " + http.StatusText(status), StatusCode: status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {"text/plain"}}, Body: http.NoBody, ContentLength: int64(len(body)),
	}
	if body != "" {
		resp.Body = io.NopCloser(strings.NewReader(body))
	}
	return resp
}

func getOf(t testing.TB, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	check(t, err)
	return req
}

// The guide has the same rows in the same order.
func TestTheGuideHasTheTableOfPrecedence(t *testing.T) {
	guide, err := os.ReadFile("../docs/policy.md")
	check(t, err)
	_, table, ok := strings.Cut(string(guide), "| what says it |")
	if !ok {
		t.Fatal("the guide has no table of what says when a response expires")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	lines := strings.Split(table, "\n")[2:]
	rows := expiryRows()
	rows = append(rows, expiryRow{name: "none of these: a week", without: true})
	mark := map[bool]string{true: "yes", false: "—"}
	for i, row := range rows {
		want := "| " + row.name + " | " + mark[row.without] + " | " + mark[row.controls] + " |"
		if i >= len(lines) || lines[i] != want {
			t.Fatalf("row %d of the guide's table is not %s", i+1, want)
		}
	}
	if len(lines) != len(rows) {
		t.Errorf("the guide's table has %d rows, want %d", len(lines), len(rows))
	}
}

// A response that is not to be stored is not, whatever says when it would expire.
func TestDoNotCacheWinsOverLessSpecificExpiries(t *testing.T) {
	no, hour := policy.DoNotCache(), policy.After(time.Hour)
	for _, test := range []struct {
		name              string
		call, repo, whole policy.Policy
		without, controls bool // whether it is stored; the response has max-age
	}{
		{"nothing says so", policy.Policy{}, policy.Policy{}, policy.Policy{}, true, true},
		{"the call", policy.Policy{Expire: no}, policy.Policy{Expire: hour}, policy.Policy{Expire: hour}, false, false},
		{"the repository", policy.Policy{}, policy.Policy{Expire: no}, policy.Policy{Expire: hour}, false, false},
		{"the cache", policy.Policy{}, policy.Policy{}, policy.Policy{Expire: no}, false, false},
		{"the repository, but the call has an expiry", policy.Policy{Expire: hour}, policy.Policy{Expire: no}, policy.Policy{}, true, true},
		{"the cache, but the repository has an expiry", policy.Policy{}, policy.Policy{Expire: hour}, policy.Policy{Expire: no}, true, true},
		{"a status", policy.Policy{}, policy.Policy{}, policy.Policy{ExpireStatus: map[int]policy.Expiry{200: no}, Expire: hour}, false, false},
		{"a function", policy.Policy{}, policy.Policy{}, policy.Policy{ExpireFunc: func(*policy.Exchange) policy.Expiry { return no }, Expire: hour}, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, controls := range []bool{false, true} {
				whole, want := test.whole, test.without
				if whole.CacheControl = policy.Off; controls {
					whole.CacheControl, want = policy.On, test.controls
				}
				h, _ := startOrigin(t, &options{Policy: whole, Repositories: map[string]policy.Policy{"all": test.repo}}, "Cache-Control", "max-age=60")
				req := with(h.request(http.MethodGet, "/a", ""), test.call)
				h.do(req)
				if _, stored := h.entry(req); stored != want {
					t.Errorf("Cache-Control mode %v: stored is %v, want %v", controls, stored, want)
				}
			}
		})
	}
}

// Whatever a policy says of the expiry, these are never stored in Cache-Control
// mode.
func TestNoExpiryOverridesWhatForbidsToStore(t *testing.T) {
	for _, test := range []struct{ name, response, request string }{
		{"no-store of the response", "no-store", ""},
		{"no-store of the request", "max-age=60", "no-store"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, _ := startOrigin(t, &options{Policy: policy.Policy{CacheControl: policy.On}}, "Cache-Control", test.response)
			req := with(h.request(http.MethodGet, "/a", "", "Cache-Control", test.request), policy.Policy{Expire: policy.Never()})
			h.do(req)
			if _, stored := h.entry(req); stored {
				t.Error("it is stored")
			}
		})
	}
}

// Of each other field, the most specific policy that sets it holds. Each source
// is tried with all that are less specific saying the contrary.
func TestOtherFieldsAreTakenFromTheMostSpecificPolicy(t *testing.T) {
	refuse := func(*policy.Exchange) bool { return false }
	permit := func(*policy.Exchange) bool { return true }
	for _, field := range []struct {
		name     string
		yes, no  policy.Policy
		observed func(*harness, *origin, context.Context) bool
	}{
		{"Use", policy.Policy{Use: policy.Reload}, policy.Policy{Use: policy.UseCache}, func(h *harness, _ *origin, ctx context.Context) bool {
			h.do(h.request(http.MethodGet, "/a", "").WithContext(ctx))
			h.do(h.request(http.MethodGet, "/a", "").WithContext(ctx))
			return h.requests.Load() == 2
		}},
		{"CacheControl", policy.Policy{CacheControl: policy.On}, policy.Policy{CacheControl: policy.Off}, func(h *harness, o *origin, ctx context.Context) bool {
			o.answer(http.StatusOK, "Cache-Control", "no-store")
			h.do(h.request(http.MethodGet, "/a", "").WithContext(ctx))
			_, stored := h.entry(h.request(http.MethodGet, "/a", ""))
			return !stored
		}},
		{"Statuses", policy.Policy{Statuses: []int{http.StatusNotFound}}, policy.Policy{Statuses: []int{http.StatusOK}}, func(h *harness, o *origin, ctx context.Context) bool {
			o.answer(http.StatusNotFound)
			h.do(h.request(http.MethodGet, "/a", "").WithContext(ctx))
			_, stored := h.entry(h.request(http.MethodGet, "/a", ""))
			return stored
		}},
		{"Keep", policy.Policy{Keep: refuse}, policy.Policy{Keep: permit}, func(h *harness, _ *origin, ctx context.Context) bool {
			h.do(h.request(http.MethodGet, "/a", "").WithContext(ctx))
			_, stored := h.entry(h.request(http.MethodGet, "/a", ""))
			return !stored
		}},
		{"Serve", policy.Policy{Serve: refuse}, policy.Policy{Serve: permit}, func(h *harness, _ *origin, ctx context.Context) bool {
			h.do(h.request(http.MethodGet, "/a", "").WithContext(ctx))
			resp, _ := h.do(h.request(http.MethodGet, "/a", "").WithContext(ctx))
			return !hit(resp)
		}},
		{"StaleIfError", policy.Policy{StaleIfError: time.Hour}, policy.Policy{StaleIfError: -1}, func(h *harness, o *origin, ctx context.Context) bool {
			h.do(h.request(http.MethodGet, "/a", "").WithContext(ctx))
			h.clock.Advance(settings.DefaultExpire)
			o.answer(http.StatusServiceUnavailable)
			resp, _ := h.do(h.request(http.MethodGet, "/a", "").WithContext(ctx))
			return resp.StatusCode == http.StatusOK
		}},
		{"StaleWhileRevalidate", policy.Policy{StaleWhileRevalidate: time.Hour}, policy.Policy{StaleWhileRevalidate: -1}, func(h *harness, _ *origin, ctx context.Context) bool {
			h.do(h.request(http.MethodGet, "/a", "").WithContext(ctx))
			h.clock.Advance(settings.DefaultExpire)
			resp, _ := h.do(h.request(http.MethodGet, "/a", "").WithContext(ctx))
			return hit(resp)
		}},
	} {
		t.Run(field.name, func(t *testing.T) {
			for _, want := range []bool{true, false} {
				value, contrary := field.yes, field.no
				if !want {
					value, contrary = field.no, field.yes
				}
				for level, name := range []string{"call", "around it", "repository", "cache"} {
					at := func(i int) policy.Policy {
						switch {
						case i < level:
							return policy.Policy{}
						case i == level:
							return value
						}
						return contrary
					}
					h, o := startOrigin(t, &options{Policy: at(3), Repositories: map[string]policy.Policy{"all": at(2)}})
					ctx := policy.With(policy.With(t.Context(), at(1)), at(0))
					if got := field.observed(h, o, ctx); got != want {
						t.Errorf("said by %s: it holds is %v, want %v", name, got, want)
					}
				}
			}
		})
	}
}

// Methods and ExpireStatus add up: a policy takes nothing from those around it.
func TestMethodsAndStatusesWithAnExpiryAddUp(t *testing.T) {
	h, o := startOrigin(t, &options{
		Policy:       policy.Policy{Methods: []string{"QUERY"}, ExpireStatus: map[int]policy.Expiry{404: policy.After(time.Minute)}},
		Repositories: map[string]policy.Policy{"all": {Methods: []string{"POST"}, ExpireStatus: map[int]policy.Expiry{410: policy.After(time.Hour)}}},
	})
	for _, test := range []struct {
		method string
		status int
		want   bool
	}{
		{"GET", 404, true}, {"GET", 410, true}, {"GET", 200, true}, {"GET", 500, false},
		{"QUERY", 200, true}, {"POST", 200, true}, {"POST", 404, true}, {"REPORT", 200, false},
	} {
		o.answer(test.status)
		req := h.request(test.method, "/"+test.method+strconv.Itoa(test.status), "")
		h.do(req)
		if _, stored := h.entry(req); stored != test.want {
			t.Errorf("%s %d: stored is %v, want %v", test.method, test.status, stored, test.want)
		}
	}
}
