// Package errortype tells errors by their kinds, for those who may not see their texts: these may
// have keys, URLs and worse.
package errortype

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/policy"
)

// Of is the kind of an error, as package hooks lists them; empty for nil.
func Of(err error) string {
	if err == nil { // most do not fail, and are to allocate nothing
		return ""
	}
	return of(err)
}

func of(err error) string {
	var timeout interface{ Timeout() bool }
	var dns *net.DNSError
	var operation *net.OpError
	switch {
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, policy.ErrTimeout),
		errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.As(err, &dns):
		return "dns"
	case isTLS(err):
		return "tls"
	case errors.Is(err, driver.ErrClosed):
		return "closed"
	case errors.Is(err, driver.ErrTooLarge):
		return "too_large"
	case errors.Is(err, driver.ErrSchema):
		return "schema"
	case errors.As(err, &operation), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection"
	}
	return "other"
}

func isTLS(err error) bool {
	var certificate *tls.CertificateVerificationError
	var alert tls.AlertError
	var header tls.RecordHeaderError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	return errors.As(err, &certificate) || errors.As(err, &alert) || errors.As(err, &header) ||
		errors.As(err, &authority) || errors.As(err, &host)
}
