package inspector_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/identity"
	"github.com/endpointcache/endpointcache/inspector"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/transport"
)

// answering is an origin that answers in one way.
type answering func(*http.Request) (*http.Response, error)

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

func TestDiff(t *testing.T) {
	var asked []string
	var fails error
	body := `{"title":"New","n":1}`
	p := newPages(t, inspector.Options{Origin: answering(func(r *http.Request) (*http.Response, error) {
		asked = append(asked, r.Method+" "+r.URL.String())
		if fails != nil {
			return nil, fails
		}
		return &http.Response{StatusCode: 200, Header: jsonType, Body: io.NopCloser(strings.NewReader(body))}, nil
	})})
	p.save("a", 200, jsonType, `{"title":"Old","n":1}`, time.Hour)
	has(t, p.get(200, "/entry?"+address("a")), "Compare with the origin")
	page := p.post(200, "/diff?"+address("a"))
	has(t, page, "body /title", "<del><bdi>&#34;Old&#34;</bdi></del>", "<ins><bdi>&#34;New&#34;</bdi></ins>", "1 part differs")
	body = `{"n":1,"title":"Old"}`
	has(t, p.post(200, "/diff?"+address("a")), "Nothing differs")
	if len(asked) != 2 || asked[0] != "GET https://api.test/tracks/a?market=DE" {
		t.Errorf("the origin was asked %q", asked)
	}
	fails = errors.New("no route")
	has(t, p.post(http.StatusBadGateway, "/diff?"+address("a")), "no route")
	p.get(http.StatusMethodNotAllowed, "/diff?"+address("a")) // what a link leads to asks nobody
	without := newPages(t, inspector.Options{})
	without.save("a", 200, nil, "", time.Hour)
	without.post(http.StatusForbidden, "/diff?"+address("a"))
}

// A transport that is not as it should be is told, and ends nothing.
func TestTransportsThatAnswerOddly(t *testing.T) {
	var resp *http.Response
	p := newPages(t, inspector.Options{Origin: answering(func(*http.Request) (*http.Response, error) { return resp, nil })})
	p.save("a", 200, nil, "x", time.Hour)
	has(t, p.post(http.StatusBadGateway, "/diff?"+address("a")), "neither a response nor an error")
	resp = &http.Response{StatusCode: 204}
	has(t, p.post(http.StatusOK, "/diff?"+address("a")), "204")
}

// The origin is asked also by a transport that has the cache, and by one comparison at a time: those that wait give up
// with their requests.
func TestDiffAsksNoCache(t *testing.T) {
	begun, proceed := make(chan struct{}), make(chan struct{})
	p := newPages(t, inspector.Options{})
	cached := transport.New(p.cache, &transport.Options{Base: answering(func(*http.Request) (*http.Response, error) {
		begun <- struct{}{}
		<-proceed
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("new"))}, nil
	})})
	pages, err := inspector.Handler(p.cache, &inspector.Options{Origin: cached})
	check(t, err)
	defer pages.Close()
	p.Inspector = pages
	p.save("a", 200, nil, "old", time.Hour)
	compared := make(chan string)
	go func() {
		body, err := io.ReadAll(p.serve(request(http.MethodPost, "/diff?"+address("a"))).Body)
		compared <- fmt.Sprint(string(body), err)
	}()
	waitfor.Receive(t, "the request to the origin", begun)
	impatient, giveUp := context.WithTimeout(t.Context(), time.Millisecond)
	defer giveUp()
	p.body(http.StatusGatewayTimeout, p.serve(request(http.MethodPost, "/diff?"+address("a")).WithContext(impatient)))
	close(proceed)
	page := waitfor.Receive(t, "the comparison", compared)
	has(t, page, "<del><bdi>old</bdi></del>", "<ins><bdi>new</bdi></ins>")
	hasNot(t, page, "Cache-Status")
}

// A response whose origin the store does not know is compared with that of BaseURL, and no request is sent that may
// change something.
func TestDiffAsksTheRightOriginByASafeMethod(t *testing.T) {
	var asked []string
	origin := answering(func(r *http.Request) (*http.Response, error) {
		asked = append(asked, r.Method+" "+r.URL.String())
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}, nil
	})
	p := newPages(t, inspector.Options{})
	for name, s := range map[string]string{"anywhere": "GET /items/{id}", "posted": "POST /items/{id}"} {
		repo, err := cache.CreateRepository(t.Context(), p.cache, settings.RepositorySettings[string, string]{
			Name: name, Pattern: s, Scope: settings.Shared, BaseURL: settings.AnyBaseURL,
		})
		check(t, err)
		check(t, repo.Save(t.Context(), "1", "x"))
	}
	without, err := inspector.Handler(p.cache, &inspector.Options{Origin: origin})
	check(t, err)
	defer without.Close()
	p.Inspector = without
	has(t, p.get(200, "/entry?table=anywhere&key=1"), "It cannot be compared with the origin")
	p.post(http.StatusConflict, "/diff?table=anywhere&key=1")
	with, err := inspector.Handler(p.cache, &inspector.Options{Origin: origin, BaseURL: "https://staging.test"})
	check(t, err)
	defer with.Close()
	p.Inspector = with
	has(t, p.get(200, "/entry?table=anywhere&key=1"), "Compare with the origin")
	p.post(http.StatusOK, "/diff?table=anywhere&key=1")
	has(t, p.get(200, "/entry?table=posted&key=1"), "a POST may change something at the origin")
	p.post(http.StatusConflict, "/diff?table=posted&key=1")
	if fmt.Sprint(asked) != "[GET https://staging.test/items/1]" {
		t.Errorf("%q", asked)
	}
}

func TestExpireAndDelete(t *testing.T) {
	p := newPages(t, inspector.Options{AllowChanges: true})
	p.save("a", 200, nil, "x", time.Hour)
	p.save("b", 200, nil, "x", time.Hour)
	has(t, p.get(200, "/entry?"+address("a")), `action="expire?key=a&amp;key=DE&amp;table=tracks" method="post"`, `action="delete?key=a&amp;key=DE&amp;table=tracks" method="post"`)

	resp := p.serve(request(http.MethodPost, "/expire?"+address("a")))
	to := resp.Header.Get("Location")
	if resp.StatusCode != http.StatusSeeOther || to != "entry?key=a&key=DE&table=tracks&notice=expired" {
		t.Fatalf("%d, %s", resp.StatusCode, to)
	}
	has(t, p.get(200, "/"+to), "has expired now", "fetched from the origin")
	if n, err := p.tracks.Count(t.Context(), repository.Expired); err != nil || n != 1 {
		t.Fatal(n, err)
	}

	resp = p.serve(request(http.MethodPost, "/delete?"+address("a")))
	to = resp.Header.Get("Location")
	if resp.StatusCode != http.StatusSeeOther || to != "list?notice=deleted&repository=tracks" {
		t.Fatalf("%d, %s", resp.StatusCode, to)
	}
	page := p.get(200, "/"+to)
	has(t, page, "The response was deleted.", "b / DE")
	hasNot(t, page, "a / DE")
	p.post(http.StatusNotFound, "/delete?"+address("a"))
}

func TestNothingIsChangedUnlessItIsAllowed(t *testing.T) {
	p := newPages(t, inspector.Options{})
	p.save("a", 200, nil, "x", time.Hour)
	has(t, p.post(http.StatusForbidden, "/expire?"+address("a")), "Options.AllowChanges", "--allow-changes")
	p.post(http.StatusForbidden, "/delete?"+address("a"))
	if n, err := p.tracks.Count(t.Context(), repository.Live); err != nil || n != 1 {
		t.Error(n, err)
	}
}

func TestOtherSitesChangeAndReadNothing(t *testing.T) {
	p := newPages(t, inspector.Options{AllowChanges: true, Hosts: []string{"cache.test"}})
	p.save("a", 200, nil, "x", time.Hour)
	for _, header := range []http.Header{
		{"Sec-Fetch-Site": {"cross-site"}},
		{"Sec-Fetch-Site": {"same-site"}},
		{"Origin": {"https://evil.test"}},
		{"Origin": {"null"}},
	} {
		r := request(http.MethodPost, "/delete?"+address("a"))
		r.Header = header
		p.body(http.StatusForbidden, p.serve(r))
	}
	// What another site embeds is not answered; a link on it is.
	r := request(http.MethodGet, "/list")
	r.Header = http.Header{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"no-cors"}}
	p.body(http.StatusForbidden, p.serve(r))
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	p.body(http.StatusOK, p.serve(r))
	for _, header := range []http.Header{{"Sec-Fetch-Site": {"same-origin"}}, {"Origin": {"http://localhost:8080"}}} {
		r := request(http.MethodPost, "/expire?"+address("a"))
		r.Header = header
		p.body(http.StatusSeeOther, p.serve(r))
	}
}

func TestHosts(t *testing.T) {
	for _, test := range []struct {
		hosts        []string
		host, remote string
		header       string
		want         bool
	}{
		{nil, "localhost:80", "127.0.0.1:1", "", true},
		{nil, "LOCALHOST", "127.0.0.1:1", "", true},
		{nil, "cache.localhost:80", "[::1]:1", "", true},
		{nil, "127.0.0.1:80", "127.9.9.9:1", "", true},
		{nil, "[::1]:80", "[::1]:1", "", true},
		{nil, "[::ffff:127.0.0.1]", "[::ffff:127.0.0.1]:1", "", true},
		{nil, "localhost", "@", "", true}, // a Unix socket
		{nil, "evil.test:80", "127.0.0.1:1", "", false},
		{nil, "localhost.evil.test", "127.0.0.1:1", "", false},
		{nil, "", "127.0.0.1:1", "", false},
		{nil, "localhost:80", "192.0.2.1:1", "", false},
		{nil, "localhost:80", "127.0.0.1:1", "X-Forwarded-For", false},
		{nil, "localhost:80", "127.0.0.1:1", "Forwarded", false},
		{[]string{"cache.test"}, "cache.test:8080", "192.0.2.1:1", "X-Forwarded-For", true},
		{[]string{"cache.test"}, "Cache.Test.", "192.0.2.1:1", "", true},
		{[]string{"cache.test"}, "other.test", "127.0.0.1:1", "", false},
		{[]string{"cache.test"}, "localhost", "127.0.0.1:1", "", true},
		{[]string{"cache.test"}, "localhost", "192.0.2.1:1", "", false},
		{[]string{"192.0.2.7", "2001:db8::1"}, "192.0.2.7:80", "192.0.2.1:1", "", true},
		{[]string{"192.0.2.7", "2001:db8::1"}, "[2001:db8::1]:80", "192.0.2.1:1", "", true},
		{[]string{"0.0.0.0"}, "192.0.2.7:80", "192.0.2.1:1", "", true},
		{[]string{"::"}, "[2001:db8::1]:80", "192.0.2.1:1", "", true},
		{[]string{"0.0.0.0"}, "anything.test", "192.0.2.1:1", "", false},
		{[]string{"*"}, "anything.test", "192.0.2.1:1", "", true},
	} {
		p := newPages(t, inspector.Options{Hosts: test.hosts})
		for _, target := range []string{"/", "/style.css", "/none"} {
			r := request(http.MethodGet, target)
			r.Host, r.RemoteAddr = test.host, test.remote
			if test.header != "" {
				r.Header.Set(test.header, "for=192.0.2.1")
			}
			if got := p.serve(r).StatusCode != http.StatusForbidden; got != test.want {
				t.Errorf("%+v: %s is answered: %v", test, target, got)
			}
		}
	}
}

// Who is refused is told what would let the pages answer.
func TestRefusalsTellTheWayIn(t *testing.T) {
	p := newPages(t, inspector.Options{})
	r := request(http.MethodGet, "/")
	r.Header.Set("X-Forwarded-For", "192.0.2.1")
	has(t, p.body(http.StatusForbidden, p.serve(r)), `As "localhost:8080"`, "through a proxy", "Options.Hosts", "--host")
	r = request(http.MethodGet, "/")
	r.Host = "cache.test\u202e"
	has(t, p.body(http.StatusForbidden, p.serve(r)), `not for the host "cache.test\\u202e"`, "Options.Hosts")
}

func TestAuthorize(t *testing.T) {
	p := newPages(t, inspector.Options{AllowChanges: true, Authorize: func(r *http.Request) error {
		if r.Header.Get("Authorization") != "yes" {
			return errors.New("a secret reason")
		}
		return nil
	}})
	p.save("a", 200, nil, "x", time.Hour)
	for _, target := range []string{"/", "/list", "/entry?" + address("a"), "/body?" + address("a"), "/live", "/script.js"} {
		hasNot(t, p.get(http.StatusForbidden, target), "secret")
		r := request(http.MethodGet, target)
		r.Header.Set("Authorization", "yes")
		p.body(http.StatusOK, p.serve(r))
	}
	p.post(http.StatusForbidden, "/delete?"+address("a"))
}

func TestAllAnswersAreProtected(t *testing.T) {
	p := newPages(t, inspector.Options{})
	p.save("a", 200, nil, "x", time.Hour)
	for _, target := range []string{"/", "/list", "/entry?" + address("a"), "/lookup", "/live", "/none", "/style.css", "/script.js", "/icon.svg", "/list?status=x"} {
		h := p.serve(request(http.MethodGet, target)).Header
		policy := h.Get("Content-Security-Policy")
		has(t, policy, "default-src 'none'", "script-src 'self'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'")
		hasNot(t, policy, "unsafe", "*", "data:", "http")
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "same-origin" || h.Get("Content-Type") == "" {
			t.Errorf("%s: %v", target, h)
		}
		if cc := h.Get("Cache-Control"); cc != "no-store" && !strings.Contains(target, ".") {
			t.Errorf("%s: Cache-Control: %s", target, cc)
		}
		r := request(http.MethodGet, target)
		r.Host = "evil.test"
		if h := p.serve(r).Header; h.Get("Content-Security-Policy") != policy {
			t.Errorf("%s: a refusal is not protected: %v", target, h)
		}
	}
	for _, target := range []string{"/", "/list", "/entry?" + address("a"), "/live"} {
		hasNot(t, p.get(200, target), "<script>", " style=", " onclick=")
	}
}

// A response of one identity is compared with the answer that this identity gets, or not at all.
func TestDiffAsksAsTheIdentity(t *testing.T) {
	p := newPages(t, inspector.Options{})
	mine, err := cache.CreateRepository(t.Context(), p.cache, settings.RepositorySettings[string, string]{
		Name: "mine", Pattern: "GET api.test/me/{id}", Payload: payload.String(), Scope: settings.PerIdentity,
	})
	check(t, err)
	for _, who := range []string{"alice", "~alice"} {
		check(t, mine.Save(identity.With(t.Context(), who), "1", who+"'s"))
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.test/me/1", http.NoBody)
	check(t, err)
	req.Header.Set("Authorization", "Bearer secret")
	resp, err := transport.New(p.cache, &transport.Options{Base: answering(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=60"}}, Body: io.NopCloser(strings.NewReader("of a digest"))}, nil
	})}).RoundTrip(req)
	check(t, err)
	has(t, p.body(200, resp), "of a digest")
	check(t, resp.Body.Close())
	digested := ""
	for e, err := range p.cache.Contents("mine").Entries(t.Context(), cache.Query{}) {
		check(t, err)
		if value := e.Key[0].Value.(string); !strings.HasSuffix(value, "alice") {
			digested = "table=mine&" + url.Values{"key": {value, "1"}}.Encode()
		}
	}
	if digested == "" {
		t.Fatal("nothing is stored of an identity for which a digest stands")
	}
	alices, others := "table=mine&key=alice&key=1", "table=mine&key=~~alice&key=1"
	origin := answering(func(r *http.Request) (*http.Response, error) {
		who, _ := identity.Of(r.Context())
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}}, Body: io.NopCloser(strings.NewReader(who + "'s"))}, nil
	})
	show := func(o inspector.Options) {
		t.Helper()
		pages, err := inspector.Handler(p.cache, &o)
		check(t, err)
		t.Cleanup(func() { check(t, pages.Close()) })
		p.Inspector = pages
	}

	show(inspector.Options{Origin: origin}) // whose credentials are nobody's, or somebody's
	for _, address := range []string{alices, others, digested} {
		page := p.get(200, "/entry?"+address)
		has(t, page, "It cannot be compared with the origin")
		if address != digested {
			has(t, page, "Options.OriginFor", "endpointcache diff")
		}
		hasNot(t, page, "Compare with the origin")
		p.post(http.StatusConflict, "/diff?"+address)
	}

	var asked []string
	var fails error
	show(inspector.Options{OriginFor: func(ctx context.Context, name string) (http.RoundTripper, error) {
		if of, _ := identity.Of(ctx); of != name {
			t.Errorf("the context of %q is on behalf of %q", name, of)
		}
		asked = append(asked, name)
		return origin, fails
	}})
	has(t, p.get(200, "/entry?"+alices), "Compare with the origin")
	has(t, p.post(200, "/diff?"+alices), "as <bdi>alice</bdi>", "Nothing differs")
	has(t, p.post(200, "/diff?"+others), "as <bdi>~alice</bdi>", "Nothing differs")
	has(t, p.get(200, "/entry?"+digested), "a digest stands for the identity")
	p.post(http.StatusConflict, "/diff?"+digested)
	p.save("a", 200, nil, "x", time.Hour)
	has(t, p.get(200, "/entry?"+address("a")), "the origin is asked for responses of one identity alone")
	p.post(http.StatusConflict, "/diff?"+address("a"))
	fails = errors.New("alice has logged out")
	has(t, p.post(http.StatusBadGateway, "/diff?"+alices), "The origin was not asked: alice has logged out")
	fails = nil
	show(inspector.Options{Timeout: 200 * time.Millisecond, OriginFor: func(context.Context, string) (http.RoundTripper, error) {
		return answering(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}), nil
	}})
	p.post(http.StatusGatewayTimeout, "/diff?"+alices)
	origin = nil
	show(inspector.Options{OriginFor: func(context.Context, string) (http.RoundTripper, error) { return nil, nil }})
	has(t, p.post(http.StatusBadGateway, "/diff?"+alices), "no transport for the identity")
	if fmt.Sprint(asked) != "[alice ~alice alice]" {
		t.Errorf("transports were asked for for %q", asked)
	}
}
