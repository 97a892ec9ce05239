// Package credential finds the credentials that a request carries: what tells an origin who
// is asking.
package credential

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/internal/secret"
)

// Place is where in a request a credential is.
type Place uint8

// The places of a credential.
const (
	Header Place = iota + 1
	Query
	UserInfo // of the URL, of which net/http makes an Authorization header
)

// Credential is one of a request's credentials.
type Credential struct {
	Place Place
	Name  string // of the header, in canonical form, or of the parameter
	Value string
}

// String tells which credential it is, and not its value.
func (c Credential) String() string {
	switch c.Place {
	case Header:
		return "the header " + c.Name
	case Query:
		return "the parameter " + c.Name
	default:
		return "the user information of the URL"
	}
}

// Carried reports whether a request carries a credential that counts, and returns the first
// one that is found.
func Carried(req *http.Request, counts func(Credential) bool) (found Credential, ok bool) {
	visit(req, func(c Credential) bool {
		if ok = counts(c); ok {
			found = c
		}
		return !ok
	})
	return found, ok
}

// Has reports whether a request carries a credential.
func Has(req *http.Request, c Credential) bool {
	_, ok := Carried(req, func(own Credential) bool { return own == c })
	if !ok && c.Place == Header && c.Name == "Authorization" && req.URL != nil && req.URL.User != nil {
		return c.Value == "Basic "+basic(req.URL.User) // which net/http makes of it
	}
	return ok
}

func basic(user *url.Userinfo) string {
	password, _ := user.Password()
	return base64.StdEncoding.EncodeToString([]byte(user.Username() + ":" + password))
}

// Text is a text of all credentials that a request carries: requests with the same
// credentials have the same one, and others do not. It is empty where there are none.
func Text(req *http.Request) []byte {
	var all []string
	visit(req, func(c Credential) bool {
		all = append(all, string('0'+rune(c.Place))+url.QueryEscape(c.Name)+"="+url.QueryEscape(c.Value))
		return true
	})
	slices.Sort(all)
	return []byte(strings.Join(all, "&"))
}

// visit calls yield for each credential until it returns false.
func visit(req *http.Request, yield func(Credential) bool) {
	for name, values := range req.Header {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		if len(values) == 0 || !secret.Header(canonical) {
			continue
		}
		for _, value := range values {
			if value != "" && !yield(Credential{Header, canonical, value}) {
				return
			}
		}
	}
	if req.URL == nil {
		return
	}
	if user := req.URL.User; user != nil && user.String() != "" && !yield(Credential{Place: UserInfo, Value: user.String()}) {
		return
	}
	for query := req.URL.RawQuery; query != ""; {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, value, _ := strings.Cut(pair, "=")
		if value == "" {
			continue
		}
		if unescaped, err := url.QueryUnescape(name); err == nil {
			name = unescaped
		}
		if secret.Param(name) && !yield(Credential{Query, name, value}) {
			return
		}
	}
}

// Signer adds credentials to requests below the cache, where the cache does not see them.
type Signer interface {
	// Covers reports whether a request will get credentials.
	Covers(req *http.Request) bool

	// Identity tells whose these are, for a request that gets some: by a name, or else by a
	// text that may be waited for.
	Identity(req *http.Request) (name string, text []byte, err error)
}

// SignerOf returns what adds credentials to the requests that are sent with base, as far as
// that is known; nil for nothing. Package origin sets it, for its own transports.
var SignerOf = CertificateOf

// AsSent is a request as the response to it is to have it, which a transport below has
// answered as the one to sent: credentials that were added there can still be seen.
func AsSent(req, sent *http.Request) *http.Request { return AsSentOf(req, req, sent) }

// AsSentOf is [AsSent] where the credentials of known are no secret to whoever is above.
func AsSentOf(req, known, sent *http.Request) *http.Request {
	for ; sent != nil && sent != known; sent = Sent(sent.Context()) {
		if _, added := Carried(sent, func(c Credential) bool { return !Has(known, c) }); added {
			return req.WithContext(WithSent(req.Context(), sent))
		}
	}
	return req
}

// OnBehalf is a request as the response to it is to have it, where that is one identity's
// own by what only a cache below knows.
func OnBehalf(req *http.Request) *http.Request {
	sent := &http.Request{Header: http.Header{"Authorization": {"of the identity"}}}
	return req.WithContext(WithSent(req.Context(), sent))
}

type signerKey struct{}

// WithSigner returns a context of requests whose sender has taken into account what the
// signer adds to them, so that the signer need not tell of it.
func WithSigner(ctx context.Context, s Signer) context.Context {
	return context.WithValue(ctx, signerKey{}, s)
}

// TakenIntoAccount reports whether ctx is of requests whose sender knows of the signer.
func TakenIntoAccount(ctx context.Context, s Signer) bool {
	known, ok := ctx.Value(signerKey{}).(Signer)
	return ok && known == s
}

type sentKey struct{}

// WithSent returns a context of a request that was really sent as sent: with what was added
// to it where nobody else sees it.
func WithSent(ctx context.Context, sent *http.Request) context.Context {
	return context.WithValue(ctx, sentKey{}, sent)
}

// Sent is the request that was really sent, nil where nothing else is known of than the one
// that the context is of. Others of whose context has one, too.
func Sent(ctx context.Context) *http.Request {
	sent, _ := ctx.Value(sentKey{}).(*http.Request)
	return sent
}
