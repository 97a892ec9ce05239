package credential

import (
	"crypto/tls"
	"net/http"
	"strings"
)

// CertificateOf returns the certificate that a base transport of net/http shows to servers,
// as what adds credentials; nil for none. The transport is one that is about to be used: what
// is changed of it afterwards may have no effect.
func CertificateOf(base http.RoundTripper) Signer {
	t, ok := base.(*http.Transport)
	if !ok {
		return nil
	}
	c := t.Clone().TLSClientConfig // the transport's own is set up by its first request
	if c == nil || len(c.Certificates) == 0 && c.GetClientCertificate == nil {
		return nil
	}
	return certificate{c}
}

// certificate is the signer of a client's certificates.
type certificate struct{ config *tls.Config }

// Covers implements [Signer].
func (c certificate) Covers(req *http.Request) bool {
	return strings.EqualFold(req.URL.Scheme, "https")
}

// Identity implements [Signer]. It has no text for a certificate that a function chooses.
func (c certificate) Identity(*http.Request) (name string, text []byte, err error) {
	if c.config.GetClientCertificate != nil {
		return "", nil, nil
	}
	for _, shown := range c.config.Certificates {
		for _, der := range shown.Certificate {
			text = append(text, der...)
		}
	}
	return "", text, nil
}
