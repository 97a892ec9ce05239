package doors

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/transport"
)

// certified is a certificate that a client shows as its own.
func certified(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	check(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// A certificate of the client is a credential like any other.
func TestClientsWithCertificatesAreKeptApart(t *testing.T) {
	requests := 0
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		_ = json.NewEncoder(w).Encode(track{ID: r.TLS.PeerCertificates[0].Subject.CommonName})
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.StartTLS()
	defer server.Close()
	with := map[string]func() *http.Transport{}
	for _, name := range []string{"alice", "bob"} {
		own := certified(t, name)
		with[name] = func() *http.Transport {
			base := server.Client().Transport.(*http.Transport).Clone()
			base.TLSClientConfig.Certificates = []tls.Certificate{own}
			t.Cleanup(base.CloseIdleConnections)
			return base
		}
		with[name+", by a function"] = func() *http.Transport {
			base := server.Client().Transport.(*http.Transport).Clone()
			base.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil }
			t.Cleanup(base.CloseIdleConnections)
			return base
		}
	}
	c, err := cache.New(inMemory(t), nil)
	check(t, err)
	defer c.Close()
	for _, scope := range []settings.Scope{settings.Undeclared, settings.PerIdentity} {
		_, err = cache.CreateRepository(t.Context(), c, tracks{
			Name: scope.String(), Scope: scope, Pattern: "GET /" + string('a'+rune(scope)) + "/{id}",
		})
		check(t, err)
		for range 2 {
			for name, base := range with {
				client := &http.Client{Transport: transport.New(c, &transport.Options{Base: base()})}
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/"+string('a'+rune(scope))+"/me", nil)
				check(t, err)
				resp, err := client.Do(req)
				check(t, err)
				var got track
				check(t, json.NewDecoder(resp.Body).Decode(&got))
				check(t, resp.Body.Close())
				if got.ID != name[:len(got.ID)] {
					t.Errorf("%v: %s has the answer of %s", scope, name, got.ID)
				}
			}
		}
	}
	if want := 8 + 6; requests != want {
		t.Errorf("%d requests, want %d: those whose certificates are known have entries of their own where they may", requests, want)
	}
	client, err := fetch.NewClient(&fetch.Options{BaseURL: server.URL, Client: &http.Client{Transport: with["alice"]()}})
	check(t, err)
	defer client.Close()
	if _, err := fetch.Create(t.Context(), c, client, tracks{Name: "typed", Pattern: "GET /t/{id}"}, nil); !errors.Is(err, settings.ErrScope) {
		t.Errorf("a fetcher whose client shows a certificate: %v", err)
	}
}
