package fetch_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/endpointcache/endpointcache/fetch"
	polite "github.com/endpointcache/endpointcache/origin"
)

// closable is a transport that tells whether it was closed.
type closable struct {
	http.Transport
	closed bool
}

func (c *closable) Close() error {
	c.closed = true
	return nil
}

func (c *closable) CloseIdleConnections() {
	c.closed = true
	c.Transport.CloseIdleConnections()
}

// The limits hold above a transport of the caller's, which stays as it is.
func TestOriginAboveATransport(t *testing.T) {
	o := newOrigin(t, nil)
	base := &closable{}
	defer base.Transport.CloseIdleConnections()
	client, err := fetch.NewClient(&fetch.Options{
		BaseURL:   o.URL,
		Origin:    &polite.Options{Limits: polite.Limits{InFlight: 2}},
		Transport: base,
	})
	if err != nil {
		t.Fatal(err)
	}
	source := sourceOf(t, client, settingsOf(byID, nil))
	var callers sync.WaitGroup
	for range 20 {
		callers.Go(func() {
			source.Fetch(t.Context(), []string{"a"}, func(_ int, a fetch.Answer) {
				if a.Err != nil {
					t.Error(a.Err)
				}
			})
		})
	}
	callers.Wait()
	if err := client.Close(); err != nil || base.closed {
		t.Errorf("%v, the transport is closed: %t", err, base.closed)
	}
	if o.total() != 20 || o.most > 2 {
		t.Errorf("%d requests, %d of them at once", o.total(), o.most)
	}
}

// Credentials without hosts are for the host of the API, and for none that it redirects to.
func TestCredentialsAreForTheHostOfTheAPI(t *testing.T) {
	var got sync.Map // what each host was sent, by path
	note := func(host string, w http.ResponseWriter, r *http.Request) {
		got.Store(host+" "+path.Base(r.URL.Path), r.Header.Get("Authorization"))
		serve(w, r)
	}
	other := newOrigin(t, func(w http.ResponseWriter, r *http.Request) { note("other", w, r) })
	api := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		switch path.Base(r.URL.Path) {
		case "moved":
			http.Redirect(w, r, other.URL+"/tracks/elsewhere", http.StatusFound)
		default:
			note("api", w, r)
		}
	})
	credentials := &polite.Credentials{Token: polite.Static("secret")}
	for name, base := range map[string]http.RoundTripper{"default": nil, "of the caller": &http.Transport{DisableKeepAlives: true}} {
		t.Run(name, func(t *testing.T) {
			got.Clear()
			client, err := fetch.NewClient(&fetch.Options{
				BaseURL:   strings.Replace(api.URL, "http://", "HTTP://", 1) + "/v1/",
				Origin:    &polite.Options{Credentials: credentials},
				Transport: base,
			})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			for _, a := range answers(t, sourceOf(t, client, settingsOf(byID, nil)), "here", "moved") {
				if a.Err != nil {
					t.Error(a.Err)
				}
			}
			for where, want := range map[string]string{"api here": "Bearer secret", "other elsewhere": ""} {
				if sent, ok := got.Load(where); !ok || sent != want {
					t.Errorf("%s was sent %v, want %q", where, sent, want)
				}
			}
		})
	}
	if len(credentials.Hosts) != 0 {
		t.Errorf("the caller's own have the hosts %v", credentials.Hosts)
	}
}

// Hosts that are named are the only ones.
func TestCredentialsOfNamedHosts(t *testing.T) {
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Header.Get("Authorization")) })
	client, err := fetch.NewClient(&fetch.Options{
		BaseURL: o.URL,
		Origin:  &polite.Options{Credentials: &polite.Credentials{Hosts: []string{"api.example.com"}, Token: polite.Static("secret")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if a := answers(t, sourceOf(t, client, plain(byID)), "a")[0]; a.Err != nil || len(a.Entry.Payload) != 0 {
		t.Errorf("sent was %q, %v", a.Entry.Payload, a.Err)
	}
}

func TestOriginThatCannotBe(t *testing.T) {
	secret := polite.Static("secret")
	for name, opts := range map[string]fetch.Options{
		"with a client":                {Origin: &polite.Options{}, Client: http.DefaultClient},
		"a negative pause":             {Origin: &polite.Options{Pause: -1}},
		"a negative pause, Transport":  {Origin: &polite.Options{Pause: -1}, Transport: short{}},
		"credentials for no host":      {Origin: &polite.Options{Credentials: &polite.Credentials{Token: secret}}},
		"credentials without a token":  {Origin: &polite.Options{Credentials: &polite.Credentials{}}, BaseURL: "http://localhost"},
		"a host that cannot be parsed": {Origin: &polite.Options{Credentials: &polite.Credentials{Token: secret, Hosts: []string{"secret host"}}}},
	} {
		client, err := fetch.NewClient(&opts)
		if err == nil {
			t.Error(name, "is taken")
			client.Close()
		} else if text := err.Error(); !strings.HasPrefix(text, "fetch: ") || strings.Contains(text, "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A token that is asked for again and again, as it may come the next time.
func TestTokenThatFailsAtFirst(t *testing.T) {
	o := newOrigin(t, nil)
	asked := 0
	client, err := fetch.NewClient(&fetch.Options{
		BaseURL: o.URL,
		Origin: &polite.Options{Credentials: &polite.Credentials{Token: func(context.Context, string) (polite.Token, error) {
			if asked++; asked == 1 {
				return polite.Token{}, errors.New("the server of tokens is down")
			}
			return polite.Token{Value: "a token"}, nil
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if a := answers(t, sourceOf(t, client, settingsOf(byID, nil)), "a")[0]; a.Err != nil || asked != 2 {
		t.Errorf("after %d tokens: %v", asked, a.Err)
	}
}
