package origin

import (
	"net/http"

	"github.com/endpointcache/endpointcache/internal/credential"
)

func init() {
	credential.SignerOf = func(base http.RoundTripper) credential.Signer {
		for {
			switch b := base.(type) {
			case *Retrier:
				base = b.base
			case *Transport:
				if b.tokens != nil {
					return signer{b.tokens}
				}
				base = b.base
			default:
				return credential.CertificateOf(base)
			}
		}
	}
}

// signer tells the cache above a transport what the transport adds to requests.
type signer struct{ tokens *tokens }

// Covers implements [credential.Signer]. A request that fails for want of a safe way is one
// that would have got credentials.
func (s signer) Covers(req *http.Request) bool {
	covered, err := s.tokens.cover(req)
	return covered || err != nil
}

// Identity implements [credential.Signer]. A token that is not there yet is asked for.
func (s signer) Identity(req *http.Request) (name string, token []byte, err error) {
	c := s.tokens
	if c.name != "" {
		return c.name, nil, nil
	}
	if err := c.ready(req.Context()); err != nil {
		return "", nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return "", []byte(c.token.Value), nil
}
