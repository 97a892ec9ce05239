package origin_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/origin"
)

// world is servers of the hosts api.example.com, cdn.example.com and evil.example.com
// over https, and of all over http. The path tells where they redirect to:
// "/to/https/evil.example.com/to/…".
type world struct {
	client *http.Client

	mu  sync.Mutex
	got []string // scheme, host and token of each request
}

func newWorld(t *testing.T, c origin.Credentials) *world {
	w := &world{}
	secure := httptest.NewTLSServer(w)
	t.Cleanup(secure.Close)
	plain := httptest.NewServer(w)
	t.Cleanup(plain.Close)
	base := secure.Client().Transport.(*http.Transport).Clone()
	base.TLSClientConfig.ServerName = "example.com" // which the certificate has
	base.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		server := secure
		if strings.HasSuffix(address, ":80") {
			server = plain
		}
		return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
	}
	t.Cleanup(base.CloseIdleConnections)
	c.Token = origin.Static("secret")
	rt := origin.New(base, &origin.Options{Credentials: &c})
	t.Cleanup(func() { rt.Close() })
	w.client = &http.Client{Transport: rt}
	return w
}

func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	w.got = append(w.got, strings.TrimSpace(scheme+" "+strings.TrimSuffix(r.Host, ".example.com")+" "+strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")))
	if next, ok := strings.CutPrefix(r.URL.Path, "/to/"); ok {
		scheme, next, _ = strings.Cut(next, "/")
		host, path, _ := strings.Cut(next, "/")
		http.Redirect(rw, r, scheme+"://"+host+"/"+path, http.StatusFound)
	}
}

func TestCredentialsGoToTheirHostsAlone(t *testing.T) {
	named := []string{"API.example.com:443", "cdn.example.com", "git.example.com", "straße.example.com", "bücher.example.com", "[2001:DB8::1]", "10.0.0.1:8443"}
	for _, test := range []struct {
		name      string
		cleartext bool
		url       string
		want      string
	}{
		{"named", false, "https://api.example.com/", "https api secret"},
		{"in capitals, with the port", false, "https://Api.Example.COM:443/", "https Api.Example.COM:443 secret"},
		{"not named", false, "https://evil.example.com/", "https evil"},
		{"another port", false, "https://api.example.com:8443/", "https api.example.com:8443"},
		{"a host that begins alike", false, "https://api.example.com.evil.example.com/", "https api.example.com.evil"},
		{"a host below", false, "https://www.api.example.com/", "https www.api"},
		{"a user that looks like a host", false, "https://api.example.com@evil.example.com/", "https evil Basic YXBpLmV4YW1wbGUuY29tOg=="},
		{"in full, with a dot", false, "https://api.example.com./", "https api.example.com."},
		{"another host in Unicode's small letters", false, "https://gİt.example.com/", "https xn--gt-epa"},
		{"another host in Unicode's other case", false, "https://straẞe.example.com/", "https xn--strae-301b"},
		{"in Unicode", false, "https://bücher.example.com/", "https xn--bcher-kva secret"},
		{"an address", false, "https://[2001:db8::1]/", "https [2001:db8::1] secret"},
		{"an address, with the port", false, "https://[2001:db8::1]:443/", "https [2001:db8::1]:443 secret"},
		{"another address", false, "https://[2001:db8::2]/", "https [2001:db8::2]"},
		{"an address with another port", false, "https://[2001:db8::1]:8443/", "https [2001:db8::1]:8443"},
		{"a named port", false, "https://10.0.0.1:8443/", "https 10.0.0.1:8443 secret"},
		{"without the named port", false, "https://10.0.0.1/", "https 10.0.0.1"},
		{"redirected to a named one and back", false, "https://api.example.com/to/https/cdn.example.com/to/https/api.example.com/",
			"https api secret, https cdn secret, https api secret"},
		{"redirected to another port", false, "https://api.example.com/to/https/api.example.com:8443/", "https api secret, https api.example.com:8443"},
		{"redirected to a named one", false, "https://api.example.com/to/https/cdn.example.com/", "https api secret, https cdn secret"},
		{"redirected away", false, "https://api.example.com/to/https/evil.example.com/", "https api secret, https evil"},
		{"redirected away and back", false, "https://api.example.com/to/https/evil.example.com/to/https/api.example.com/",
			"https api secret, https evil, https api"},
		{"redirected by another", false, "https://evil.example.com/to/https/api.example.com/", "https evil, https api"},
		{"redirected by another, twice", false, "https://evil.example.com/to/https/api.example.com/to/https/cdn.example.com/",
			"https evil, https api, https cdn"},
		{"redirected to http", false, "https://api.example.com/to/http/api.example.com/", "https api secret, http api"},
		{"redirected to http and back", false, "https://api.example.com/to/http/api.example.com/to/https/api.example.com/",
			"https api secret, http api, https api"},
		{"cleartext", true, "http://api.example.com/", "http api secret"},
		{"cleartext after https", true, "https://api.example.com/to/http/api.example.com/", "https api secret, http api"},
		{"cleartext to https", true, "http://api.example.com/to/https/api.example.com/", "http api secret, https api secret"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, origin.Credentials{Hosts: named, Cleartext: test.cleartext})
			resp, err := w.client.Get(test.url)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if got := strings.Join(w.got, ", "); got != test.want {
				t.Errorf("the servers got %q, want %q", got, test.want)
			}
		})
	}
}

func TestCleartextIsAnError(t *testing.T) {
	w := newWorld(t, origin.Credentials{Hosts: []string{"api.example.com", "localhost"}})
	_, err := w.client.Get("http://api.example.com/")
	if err == nil || !strings.Contains(err.Error(), "http") || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
	if w.got != nil {
		t.Errorf("the server got %v", w.got)
	}
	resp, err := w.client.Get("http://localhost/")
	if err != nil {
		t.Fatalf("this machine itself: %v", err)
	}
	resp.Body.Close()
}

// A Host header asks another host than the one of the URL.
func TestCredentialsForTheHostHeader(t *testing.T) {
	w := newWorld(t, origin.Credentials{Hosts: []string{"api.example.com"}})
	for host, want := range map[string]string{"evil.example.com": "https evil", "API.example.com": "https API secret"} {
		w.got = nil
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.example.com/", nil)
		req.Host = host
		resp, err := w.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if got := strings.Join(w.got, ", "); got != want {
			t.Errorf("the server got %q, want %q", got, want)
		}
	}
}

// However often a request is sent, a host that is not named is sent no credentials: after
// a refusal that would have others refreshed, and after a failure.
func TestCredentialsStayAwayFromOtherHostsHoweverOften(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusServiceUnavailable} {
		var mu sync.Mutex
		sent := map[string]int{}
		base := answers(func(req *http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			resp := &http.Response{StatusCode: status, Header: make(http.Header), Body: http.NoBody, Request: req}
			if req.URL.Host == "api.example.com" && req.Response == nil {
				resp.StatusCode = http.StatusFound
				resp.Header.Set("Location", "https://evil.example.com/")
			}
			sent[req.URL.Host+" "+req.Header.Get("Authorization")]++
			return resp, nil
		})
		rt := origin.New(base, &origin.Options{Pause: time.Microsecond, Credentials: &origin.Credentials{
			Hosts: []string{"api.example.com"}, Token: origin.Static("secret"),
		}})
		retrier, err := origin.NewRetrier(rt, &origin.RetryOptions{Wait: time.Microsecond})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Client{Transport: retrier}).Get("https://api.example.com/")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		attempts := 1
		if status == http.StatusServiceUnavailable {
			attempts = 4
		}
		if sent["api.example.com Bearer secret"] != 1 || sent["evil.example.com "] != attempts || len(sent) != 2 {
			t.Errorf("%d: %v were sent", status, sent)
		}
		if n := rt.Stats().Refreshes; n != 1 {
			t.Errorf("%d: the token was asked for %d times", status, n)
		}
		rt.Close()
	}
}

// answers is a server as a function.
type answers func(*http.Request) (*http.Response, error)

func (f answers) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
