package exchange

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/identity"
	"github.com/endpointcache/endpointcache/internal/credential"
	"github.com/endpointcache/endpointcache/internal/endpoint"
	"github.com/endpointcache/endpointcache/internal/whose"
	"github.com/endpointcache/endpointcache/settings"
)

// Scoped reports whether the table keeps the responses of each identity apart: the identity
// is the first value of its keys then.
func (t *Table) Scoped() bool { return t.Scope == settings.PerIdentity }

// OwnKey is a key of the table without the identity.
func (t *Table) OwnKey(key driver.Key) driver.Key {
	if t.Scoped() && len(key) > 0 {
		return key[1:]
	}
	return key
}

// CallIdentity is what the keys of a typed call begin with, where the table is scoped.
func (t *Table) CallIdentity(ctx context.Context) (string, error) {
	value := whose.Of(ctx)
	if value == "" {
		return "", fmt.Errorf("repository %q: %w", t.Name, identity.ErrMissing)
	}
	return value, nil
}

// AsksIdentity reports whether a function tells the identity of a request.
func (t *Table) AsksIdentity() bool { return t.Identity != nil || t.x.opts.Identity != nil }

// RequestIdentity is what the key of a request begins with, where the table is scoped; ok is
// false where nobody knows whose request it is. Signer, which may be nil, adds credentials
// to it later.
func (t *Table) RequestIdentity(ctx context.Context, req *http.Request, signer credential.Signer) (value string, ok bool, err error) {
	return t.x.requestIdentity(ctx, req, signer, t.Identity, t.x.opts.Identity)
}

// RequestIdentity is that of a request to any table.
func (x *Exchange) RequestIdentity(ctx context.Context, req *http.Request) (value string, ok bool, err error) {
	return x.requestIdentity(ctx, req, nil, x.opts.Identity)
}

func (x *Exchange) requestIdentity(ctx context.Context, req *http.Request, signer credential.Signer, functions ...func(*http.Request) string) (value string, ok bool, err error) {
	if value := whose.Of(ctx); value != "" {
		return value, true, nil
	}
	if req == nil {
		return "", false, nil
	}
	for _, function := range functions {
		if function == nil {
			continue
		}
		name := ""
		if !x.call(func() { name = function(req) }) {
			return "", false, nil
		}
		if name != "" {
			return whose.Named(name), true, nil
		}
	}
	text := credential.Text(req)
	if signer != nil && signer.Covers(req) {
		name, added, err := signer.Identity(req)
		switch {
		case err != nil:
			return "", false, err
		case name != "":
			return whose.Named(name), true, nil
		case len(added) == 0:
			return "", false, nil // nobody knows
		}
		text = append(append(text, "&+"...), added...)
	}
	if len(text) == 0 {
		return "", false, nil
	}
	key, err := x.DigestKey(ctx)
	if err != nil {
		return "", false, err
	}
	return whose.Digested(Digest(key, text)), true, nil
}

// undeclaredCredential is a credential of a request that neither the table's scope nor its
// key takes into account: nobody knows who may be given the response.
func (t *Table) undeclaredCredential(req *http.Request) (credential.Credential, bool) {
	if t.Scope != settings.Undeclared {
		return credential.Credential{}, false
	}
	return credential.Carried(req, func(c credential.Credential) bool {
		return !endpoint.Separates(t.Endpoint, c.Place, c.Name)
	})
}

// MayCross reports whether a response to a request, as it was asked for with that key, may be
// one user's own, though the key does not keep users apart: the client has added credentials
// on the way. Asked returns the request as it was asked for. It is nil for a typed call that
// reads the key back from what was sent.
func (t *Table) MayCross(resp *http.Response, key driver.Key, asked func() *http.Request) bool {
	c, crosses := t.crossing(resp, key, asked)
	if crosses {
		t.bypass(&t.home().unscoped, "the client adds credentials: see settings.Scope", c.String())
	}
	return crosses
}

// crossing is a credential for which a response may cross.
func (t *Table) crossing(resp *http.Response, key driver.Key, asked func() *http.Request) (none credential.Credential, crosses bool) {
	switch t.Scope {
	case settings.Shared:
		return none, false
	case settings.PerIdentity:
		if _, named := whose.Name(key[0].(string)); named {
			return none, false
		}
	default:
	}
	for req := resp.Request; req != nil; {
		for sent := req; sent != nil; sent = credential.Sent(sent.Context()) {
			if c, ok := t.added(sent, asked); ok {
				return c, true
			}
		}
		redirect := req.Response
		if redirect == nil {
			break
		}
		if own := asked(); own != nil && own.Response == redirect {
			break // it led the caller here, and not the client below
		}
		req = redirect.Request
	}
	return none, false
}

// added is a credential of a request as it was sent that makes no difference to the key it
// was asked for with.
func (t *Table) added(sent *http.Request, asked func() *http.Request) (credential.Credential, bool) {
	return credential.Carried(sent, func(c credential.Credential) bool {
		if t.Scope == settings.Undeclared && !endpoint.Separates(t.Endpoint, c.Place, c.Name) {
			return true
		}
		req := asked()
		return req != nil && !credential.Has(req, c)
	})
}

// bypass counts a request that cannot be cached as nobody knows whose it is, and logs the
// first one.
func (t *Table) bypass(first *atomic.Bool, reason, carries string) {
	t.x.counts.unscoped.Add(1)
	if !first.Swap(true) {
		t.x.log.Warn("endpointcache: requests bypass the cache", "repository", t.Name, "reason", reason, "request", carries)
	}
}

// Unplaced counts a request that is not cached, as nobody can tell where its response belongs,
// and logs the first one of a table.
func (x *Exchange) Unplaced(t *Table, err error) {
	x.counts.unkeyed.Add(1)
	if !t.home().unplaced.Swap(true) {
		x.log.Warn("endpointcache: requests bypass the cache", "repository", t.Name, "error", err)
	}
}

// Place returns where the response to a request is kept whose key the table's endpoint has
// told: the table of its origin, and the key with the identity. It is false for a request
// that is not to be cached. The error is that of a token, or the store's: where it is the
// table that cannot be told, there is one that keeps nothing.
func (t *Table) Place(ctx context.Context, req *http.Request, key driver.Key, signer credential.Signer) (*Table, driver.Key, bool, error) {
	switch t.Scope {
	case settings.Undeclared:
		if c, ok := t.undeclaredCredential(req); ok {
			t.bypass(&t.home().unscoped, "its scope is not declared: see settings.Scope", c.String())
			return nil, nil, false, nil
		}
		if signer != nil && signer.Covers(req) {
			t.bypass(&t.home().unscoped, "its scope is not declared: see settings.Scope", "the credentials of the base transport")
			return nil, nil, false, nil
		}
	case settings.PerIdentity:
		value, ok, err := t.RequestIdentity(ctx, req, signer)
		if err != nil {
			return nil, nil, false, err
		}
		if !ok {
			t.bypass(&t.home().anonymous, "it is per identity, and nothing tells whose request it is: see settings.PerIdentity", "no credentials")
			return nil, nil, false, nil
		}
		key = append(driver.Key{value}, key...)
	default:
	}
	placed, err := t.AtRequest(ctx, req)
	if err != nil {
		placed = t.Detached(req)
	}
	return placed, key, true, err
}
