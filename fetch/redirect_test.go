package fetch_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	polite "github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
)

// hosts are api.example.com, which redirects all requests to target, and all others, which
// answer.
type hosts struct {
	target string
	status int                                // of the redirect; 0: 302
	answer func(*http.Request) *http.Response // of the others; nil: a track, or many

	mu  sync.Mutex
	got []string // what the others were sent that may be secret, after method, scheme and host
}

func (h *hosts) RoundTrip(req *http.Request) (*http.Response, error) {
	resp := &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: http.NoBody, ContentLength: -1, Request: req,
	}
	if req.URL.Host == "api.example.com" && req.URL.Scheme == "https" {
		resp.StatusCode = http.StatusFound
		if h.status != 0 {
			resp.StatusCode = h.status
		}
		resp.Header.Set("Location", h.target+req.URL.RequestURI())
		return resp, nil
	}
	sent := req.Method + " " + req.URL.Scheme + " " + req.URL.Host
	for _, name := range []string{"Authorization", "Cookie", "X-Api-Key", "X-Session-Token", "X-Market", "Referer"} {
		if req.Header.Get(name) != "" {
			sent += " " + name
		}
	}
	h.mu.Lock()
	h.got = append(h.got, sent)
	h.mu.Unlock()
	if h.answer != nil {
		if answer := h.answer(req); answer != nil {
			answer.Request = req
			return answer, nil
		}
	}
	body := trackBody(path.Base(req.URL.Path))
	if ids, many := idsOf(req); many {
		body = tracksBody(ids...)
	}
	resp.Body = io.NopCloser(strings.NewReader(body))
	return resp, nil
}

// shared is a store that several caches have, and that none closes.
type shared struct{ driver.Store }

func (shared) Close() error { return nil }

// marketKey is one whose header goes along with its requests.
type marketKey struct {
	ID     string `path:"id"`
	Market string `header:"X-Market"`
}

func TestNoSecretFollowsARedirectToAnotherHost(t *testing.T) {
	byMarket := request.Pattern[marketKey]("/tracks/{id}")
	withKey := request.Func(byMarket.Key, func(ctx context.Context, base *url.URL, key marketKey) (*http.Request, error) {
		req, err := byMarket.Request(ctx, base, key)
		if err == nil {
			req.Header.Set("X-Api-Key", "secret")
			req.Header.Set("X-Session-Token", "secret")
			req.Header.Set("Cookie", "session=secret")
			req.Header.Set("Authorization", "Bearer secret")
		}
		return req, err
	})
	credentials := &polite.Options{Credentials: &polite.Credentials{
		Hosts: []string{"api.example.com"}, Token: polite.Static("secret"), Set: polite.InHeader("X-Session-Token"),
	}}
	for name, options := range map[string]func(h *hosts) fetch.Options{
		"the client of fetch": func(h *hosts) fetch.Options { return fetch.Options{Transport: h} },
		"with credentials":    func(h *hosts) fetch.Options { return fetch.Options{Transport: h, Origin: credentials} },
		"the caller's client": func(h *hosts) fetch.Options { return fetch.Options{Client: &http.Client{Transport: h}} },
		"a check of redirects": func(h *hosts) fetch.Options {
			return fetch.Options{Client: &http.Client{Transport: h, CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}}
		},
	} {
		for target, want := range map[string]string{
			"https://evil.example.com":        "GET https evil.example.com",
			"https://api.example.com.":        "GET https api.example.com.",
			"http://api.example.com":          "GET http api.example.com",
			"https://sub.api.example.com":     "GET https sub.api.example.com",
			"https://api.example.com:8443":    "GET https api.example.com:8443",
			"https://me:pw@other.example.com": "GET https other.example.com",
		} {
			t.Run(name+" to "+target, func(t *testing.T) {
				h := &hosts{target: target}
				opts := options(h)
				opts.BaseURL, opts.Retry = "https://api.example.com", retries(polite.NoRetries)
				client, err := fetch.NewClient(&opts)
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				a := answers(t, sourceOf(t, client, plain(withKey)), marketKey{"a", "de"})[0]
				if a.Err != nil {
					t.Error(a.Err)
				}
				if !slices.Equal(h.got, []string{want}) {
					t.Errorf("it was sent %q, want %q", h.got, want)
				}
			})
		}
	}
}

func TestABodyIsNotSentOnToAnotherHost(t *testing.T) {
	type search struct {
		ID string `body:"id"`
	}
	s := plain(request.Pattern[search]("POST /tracks/search"))
	for _, test := range []struct {
		named []string
		sent  bool
	}{{nil, false}, {[]string{"cdn.example.com"}, true}} {
		h := &hosts{target: "https://cdn.example.com", status: http.StatusTemporaryRedirect}
		client := clientOf(t, fetch.Options{BaseURL: "https://api.example.com", Client: &http.Client{Transport: h}})
		s.RedirectHosts = test.named
		a := answers(t, sourceOf(t, client, s), search{"a"})[0]
		var status *fetch.StatusError
		if refused := errors.As(a.Err, &status) && status.Code == http.StatusTemporaryRedirect; refused == test.sent || (len(h.got) == 1) != test.sent {
			t.Errorf("RedirectHosts %q: %v, and the other host was sent %q", test.named, a.Err, h.got)
		}
	}
}

func TestAnswersOfOtherHostsAreNotKept(t *testing.T) {
	for _, test := range []struct {
		target string
		named  []string
		kept   bool
	}{
		{"https://cdn.example.com", nil, false},
		{"https://cdn.example.com", []string{"cdn.example.com"}, true},
		{"https://cdn.example.com", []string{"*.example.com"}, true},
		{"https://evil.example", []string{"*.example.com"}, false},
		{"http://cdn.example.com", []string{"cdn.example.com"}, false},
		{"http://cdn.example.com", []string{"http://cdn.example.com"}, true},
		{"https://www.api.example.com", nil, false},
		{"https://api.example.com:8443", nil, false},
		{"http://api.example.com", nil, false},
	} {
		for _, batch := range []request.Batch[string]{nil, batchOf(10)} {
			h := &hosts{target: test.target}
			s := settingsOf(byID, batch)
			s.RedirectHosts = test.named
			log := &logged{}
			c := cacheOf(t, inMemory(t), cache.Options{Logger: log.logger()})
			f, err := fetch.Create(t.Context(), c, clientOf(t, fetch.Options{
				BaseURL: "https://api.example.com", Client: &http.Client{Transport: h},
			}), s, nil)
			if err != nil {
				t.Fatal(err)
			}
			keys := []string{"a", "b"}
			for range 2 {
				fetchMany(t, f, keys)
			}
			if v, err := f.Fetch(t.Context(), "c"); err != nil || v != titled("c") {
				t.Errorf("%s: %v, %v", test.target, v, err)
			}
			if r, err := prefetch.Run(t.Context(), f, slices.Values([]string{"d"}), nil); err != nil || r.Items[0].Status != fetch.Fetched {
				t.Errorf("%s: prefetch: %v", test.target, err)
			}
			n, err := f.Repository().Count(t.Context(), repository.All)
			if err != nil || (n == 4) != test.kept || (n == 0) == test.kept {
				t.Errorf("%s, with RedirectHosts %q: %d entries are kept, %v", test.target, test.named, n, err)
			}
			if stats := c.Stats(); (stats.Foreign == 0) != test.kept || !test.kept && stats.Foreign != 6 {
				t.Errorf("%s: %d answers are counted as foreign", test.target, stats.Foreign)
			}
			if lines := strings.Count(log.String(), "RedirectHosts"); (lines == 1) == test.kept || strings.Contains(log.String(), "example") {
				t.Errorf("%s: it logs\n%s", test.target, log)
			}
		}
	}
}

// What another host says of an entry changes nothing of it.
func TestOtherHostsChangeNothingThatIsStored(t *testing.T) {
	h := &hosts{target: "https://api.example.com:8443"}
	first := &http.Response{StatusCode: http.StatusOK}
	h.answer = func(*http.Request) *http.Response {
		resp := *first
		resp.Header = http.Header{"Etag": {`"1"`}, "Content-Type": {"application/json"}}
		resp.Body, resp.ContentLength = http.NoBody, -1
		if resp.StatusCode == http.StatusOK {
			resp.Body = io.NopCloser(strings.NewReader(trackBody("a")))
		}
		return &resp
	}
	s := settingsOf(byID, nil)
	s.ExpireAbsent = -1
	store := inMemory(t)
	open := func(hosts ...string) *fetcher {
		s.RedirectHosts = hosts
		f, err := fetch.Create(t.Context(), cacheOf(t, shared{store}, cache.Options{}), clientOf(t, fetch.Options{
			BaseURL: "https://api.example.com", Client: &http.Client{Transport: h}, Retry: retries(polite.NoRetries),
		}), s, nil)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	if _, err := open("api.example.com:8443").Fetch(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	f := open()
	before, _, err := f.Repository().GetEntry(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	for _, status := range []int{http.StatusNotModified, http.StatusNotFound, http.StatusGone, http.StatusOK} {
		first.StatusCode = status
		v, err := f.Fetch(t.Context(), "a", fetch.Refresh())
		if gone := status == http.StatusNotFound || status == http.StatusGone; gone && !errors.Is(err, fetch.ErrAbsent) || status == http.StatusOK && (err != nil || v != titled("a")) {
			t.Errorf("%d: %v, %v", status, v, err)
		}
		after, ok, err := f.Repository().GetEntry(t.Context(), "a")
		if err != nil || !ok || !after.CachedAt.Equal(before.CachedAt) || after.Status != http.StatusOK {
			t.Errorf("%d: the entry is %+v, %v, %v", status, after, ok, err)
		}
	}
	first.StatusCode = http.StatusNotFound
	if _, err := f.Fetch(t.Context(), "b"); !errors.Is(err, fetch.ErrAbsent) {
		t.Errorf("an absence: %v", err)
	}
	if n, err := f.Repository().Count(t.Context(), repository.All); err != nil || n != 1 {
		t.Errorf("%d entries, %v", n, err)
	}
}
