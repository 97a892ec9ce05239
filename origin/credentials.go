package origin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/endpointcache/endpointcache/internal/credential"
	"github.com/endpointcache/endpointcache/internal/hostname"
)

// Credentials are sent with the requests to some hosts, in a copy of the request:
// the caller's is not changed, and the response's Request does not have them either.
//
// They are for one identity. If a program acts for several users, give each one a separate
// transport, and declare the repositories of what they get as settings.PerIdentity.
type Credentials struct {
	// Identity names whom the credentials are for, such as a user's ID. In repositories
	// that are settings.PerIdentity, it is whose responses are found and kept, unless the
	// call's context or the repository names another. Without a name, a digest of the token
	// stands for it, so a token that was replaced finds nothing. The default is none.
	Identity string

	// Hosts are the only ones that get the credentials, written as in [Options.Hosts], and
	// apart from the case of ASCII letters as in the requests.
	// Other hosts get none. Neither does a named host if a redirect from another host led
	// there, or a redirect from https to http.
	Hosts []string

	// Token returns the token to send. It is called before the first request, when the
	// token has expired, and when it was refused with 401: old is that token, or empty at
	// first. A function that has no other token returns the same one again, as [Static]
	// does.
	//
	// All waiting requests share one call. None of them owns it: ctx has none of their
	// values, and is done when nobody waits any more or the transport is closed. Requests
	// made with ctx may use the same transport, and are sent without credentials.
	//
	// If Token fails before a request is sent, the request fails with an error that wraps
	// Token's. After a 401, that response is returned, and OnRefresh tells why. If Token or
	// OnRefresh panics, all waiting requests fail with an error that has the panic's value,
	// in which the token is masked.
	//
	// If a request is also refused with the new token, something else is wrong: its 401 is
	// returned, and the token is not replaced again for 10 seconds. A request whose body
	// cannot be sent again (it has no GetBody) is not repeated; the next one has a new
	// token.
	Token func(ctx context.Context, old string) (Token, error)

	// Set puts a token into a copy of the request. The default sets the header
	// "Authorization: Bearer …", unless the request already has an Authorization header.
	// See also [InHeader].
	Set func(req *http.Request, token string)

	// Cleartext allows sending credentials over http. Without it, such a request is an
	// error, except to this machine itself.
	Cleartext bool

	// OnRefresh gets the outcome of each call of Token: nil, or its error. The default is
	// nil.
	OnRefresh func(err error)
}

// Token is what a request is sent with.
type Token struct {
	// Value is the token itself, and no more: "Bearer" is Set's.
	Value string

	// Expires is when it is replaced before the next request, best a little
	// before it becomes invalid. The zero time is not before it is refused.
	Expires time.Time
}

// Static returns a [Credentials.Token] for a token that does not change, such as an
// API key.
func Static(token string) func(context.Context, string) (Token, error) {
	return func(context.Context, string) (Token, error) { return Token{Value: token}, nil }
}

// InHeader returns a [Credentials.Set] for APIs that want the token in a header of
// their own, such as X-Api-Key.
func InHeader(name string) func(*http.Request, string) {
	return func(req *http.Request, token string) { req.Header.Set(name, token) }
}

func bearer(req *http.Request, token string) { req.Header.Set("Authorization", "Bearer "+token) }

func (c *Credentials) validate() error {
	switch {
	case c == nil:
		return nil
	case c.Token == nil:
		return errors.New("origin: options: credentials without Token")
	case len(c.Hosts) == 0:
		return errors.New("origin: options: credentials without Hosts that they are for")
	}
	for _, text := range c.Hosts {
		if _, err := parseHost(text); err != nil {
			return err
		}
	}
	return nil
}

// cover reports whether a request is to be sent with the credentials.
func (c *tokens) cover(req *http.Request) (bool, error) {
	switch {
	case c == nil, req.Context().Value(refreshing{}) == c:
		return false, nil
	case c.set == nil && req.Header.Get("Authorization") != "":
		return false, nil
	case !c.named(req):
		return false, nil
	case req.Response != nil && !c.trusted(req):
		return false, nil
	case c.secret(req):
		return true, nil
	case req.Response != nil:
		return false, nil
	}
	return false, Permanent(fmt.Errorf("origin: credentials for %s are not sent over http", hostName(req.URL)))
}

// named reports whether the host is one that the credentials are for: the one that is
// asked, and the one that is asked for.
func (c *tokens) named(req *http.Request) bool {
	if !c.hosts[hostName(req.URL)] {
		return false
	}
	if req.Host == "" || req.Host == req.URL.Host {
		return true
	}
	host := *req.URL
	host.Host = req.Host
	return c.hosts[hostName(&host)]
}

// secret reports whether nobody on the way can read the request.
func (c *tokens) secret(req *http.Request) bool {
	return req.URL.Scheme == "https" || c.cleartext || hostname.IsLoopback(req.URL.Hostname())
}

// trusted reports whether a request was not led here by another host: all hosts that
// have redirected it are named, too, and none over a safer way.
func (c *tokens) trusted(req *http.Request) bool {
	for r := req; r.Response != nil; {
		before := r.Response.Request
		if before == nil || before.URL == nil || !c.named(before) || !c.secret(before) {
			return false
		}
		if before.URL.Scheme == "https" && req.URL.Scheme != "https" && !hostname.IsLoopback(req.URL.Hostname()) {
			return false
		}
		r = before
	}
	return true
}

// sendWithToken sends a request that the credentials are for, and once more if they
// were refused and there are newer ones.
func (t *Transport) sendWithToken(req *http.Request) (*http.Response, error) {
	if err := t.tokens.ready(req.Context()); err != nil {
		closeBody(req)
		return nil, err
	}
	resp, used, err := t.sendSigned(req, req)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	again, err := repeated(req)
	if err != nil {
		t.tokens.doubt(used)
		return resp, nil //nolint:nilerr // it is an answer, though not the one that was hoped for
	}
	hold(resp)
	renewed, err := t.tokens.renew(req.Context(), used)
	if err != nil || !renewed {
		closeBody(again)
		var panicked *panicError
		if req.Context().Err() != nil || errors.As(err, &panicked) {
			resp.Body.Close()
			return nil, err
		}
		return resp, nil
	}
	resp.Body.Close()
	resp, used, err = t.sendSigned(req, again)
	if err == nil && resp.StatusCode == http.StatusUnauthorized {
		t.tokens.keep(used)
	}
	return resp, err
}

// sendSigned sends a copy of req with the body of from and the token that there is when
// its turn has come. It returns the number of that token.
func (t *Transport) sendSigned(req, from *http.Request) (resp *http.Response, used int, err error) {
	resp, err = t.send(from, func() (*http.Request, error) {
		signed := from.Clone(from.Context())
		if signed.Header == nil {
			signed.Header = make(http.Header)
		}
		used, err = t.tokens.sign(signed)
		return signed, err
	})
	if resp != nil {
		resp.Request = credential.AsSent(req, resp.Request)
	}
	return resp, used, err
}

// repeated returns a request with a body of its own, where there can be another.
func repeated(req *http.Request) (*http.Request, error) {
	again := *req
	if req.Body == nil || req.Body == http.NoBody {
		return &again, nil
	}
	if req.GetBody == nil {
		return nil, errors.New("origin: the body cannot be sent again")
	}
	body, err := req.GetBody()
	again.Body = body
	return &again, err
}
