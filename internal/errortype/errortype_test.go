package errortype_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/errortype"
	"github.com/endpointcache/endpointcache/policy"
)

func TestErrorsAreToldByTheirKinds(t *testing.T) {
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	_, untrusted := http.Get(secure.URL)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	_, refused := http.Get(gone.URL)
	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	req, err := http.NewRequestWithContext(late, http.MethodGet, gone.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, slow := http.DefaultClient.Do(req)
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{context.Canceled, "cancelled"},
		{slow, "timeout"},
		{policy.ErrTimeout, "timeout"},
		{&net.DNSError{Err: "no such host"}, "dns"},
		{untrusted, "tls"},
		{x509.UnknownAuthorityError{}, "tls"},
		{refused, "connection"},
		{io.ErrUnexpectedEOF, "connection"},
		{&driver.OpError{Store: "sqlite", Op: "get", Err: driver.ErrClosed}, "closed"},
		{driver.ErrTooLarge, "too_large"},
		{&driver.SchemaError{}, "schema"},
		{errors.New("a secret"), "other"},
	} {
		if got := errortype.Of(c.err); got != c.want {
			t.Errorf("%v is %q, want %q", c.err, got, c.want)
		}
		if got := errortype.Of(fmt.Errorf("wrapped: %w", c.err)); c.err != nil && got != c.want {
			t.Errorf("%v, wrapped, is %q, want %q", c.err, got, c.want)
		}
	}
}
