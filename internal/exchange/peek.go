package exchange

import (
	"context"
	"net/http"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/credential"
	"github.com/endpointcache/endpointcache/internal/rfc9111"
	"github.com/endpointcache/endpointcache/internal/ruined"
	"github.com/endpointcache/endpointcache/internal/whose"
	"github.com/endpointcache/endpointcache/settings"
)

// Peek returns the entry of a key as a read would find it, without its payload, and what is wrong
// with it, nil for nothing. It changes nothing, not even what it finds damaged.
func (t *Table) Peek(ctx context.Context, key driver.Key) (e driver.Entry, found bool, fault, err error) {
	var read once
	sel := driver.Selection{Filter: driver.Filter{Now: instant(t.x.Now())}, Parts: driver.Payload | driver.Meta | driver.Usage}
	if err := t.base.Get(ctx, []driver.Key{key}, sel, read.visit); err != nil || !read.ok {
		return e, false, nil, err
	}
	e = read.entry
	e.Key = key
	if ruined.Is(&e) {
		return driver.Entry{}, false, nil, nil
	}
	if fault, err = t.examine(ctx, &e); err != nil {
		return e, false, nil, err
	}
	e.Payload = nil
	if t.marked != nil && fault == nil {
		err = t.marked.judgeAll(ctx, []driver.Key{key}, []hit{{0, e}}, sel, func(_ int, judged driver.Entry) { e = judged })
	}
	return e, err == nil, fault, err
}

// Seat tells the key that a request has in the table, whose endpoint has told its own: with the
// identity, if keys have one. Bypass is why it has none, as a sentence, empty if it has one. It
// neither counts nor makes anything.
func (t *Table) Seat(ctx context.Context, req *http.Request, own driver.Key) (key driver.Key, bypass string, err error) {
	switch t.Scope {
	case settings.Undeclared:
		if c, ok := t.undeclaredCredential(req); ok {
			return nil, "The request carries " + c.String() + ", and the repository's scope is not declared: it bypasses the cache.", nil
		}
	case settings.PerIdentity:
		if whose.Of(ctx) == "" && !t.AsksIdentity() && len(credential.Text(req)) > 0 {
			has, err := t.x.HasDigestKey(ctx)
			if err != nil {
				return nil, "", err
			}
			if !has {
				return nil, "The responses of each identity are kept apart, and the store has none of an identity that credentials stand for.", nil
			}
		}
		value, ok, err := t.RequestIdentity(ctx, req, nil)
		if err != nil {
			return nil, "", err
		}
		if !ok {
			return nil, "The responses of each identity are kept apart, and nothing tells whose request this is: it bypasses the cache.", nil
		}
		return append(driver.Key{value}, own...), "", nil
	default:
	}
	return own, "", nil
}

// IdentityInWords tells whose an entry with the key is, empty where keys have no identity.
func (t *Table) IdentityInWords(key driver.Key) string {
	if !t.Scoped() || len(key) == 0 {
		return ""
	}
	value, _ := key[0].(string)
	if name, named := whose.Name(value); named {
		return "the identity " + quoted(name)
	}
	return "the identity that a digest of its credentials stands for"
}

// asExactly is what a request finds of use of a stored response, as [Exchange.stored] finds it, nil
// for nothing. It makes no table.
func (x *Exchange) asExactly(ctx context.Context, a *Ask, s *Stored) (*Stored, error) {
	if a.Rules.Controls() && rfc9111.Varies(s.Head.Header) && !a.matches(s) {
		there, err := x.vary.isThere(ctx)
		if err != nil || !there {
			return a.unfit(isOtherVariant), err
		}
	}
	return x.stored(ctx, a, s.Entry)
}

// Have calls add for those of the keys that have entries. It reads no more than the keys.
func (t *Table) Have(ctx context.Context, keys []driver.Key, add func(driver.Key)) error {
	if len(keys) == 0 {
		return nil
	}
	found := make([]bool, len(keys))
	if err := t.base.Get(ctx, keys, driver.Selection{}, func(i int, _ driver.Entry) { found[i] = true }); err != nil {
		return err
	}
	for i, key := range keys {
		if found[i] {
			add(key)
		}
	}
	return nil
}

// Around calls add for keys with the same first values as another one, so many on each side of it,
// in the order of keys. It reads no more than these.
func (t *Table) Around(ctx context.Context, key driver.Key, leading, most int, add func(driver.Key)) error {
	for _, descending := range []bool{false, true} {
		entries, err := t.base.List(ctx, driver.Listing{
			Selection: driver.Selection{Filter: driver.Filter{Leading: key[:leading:leading]}},
			Order:     driver.ByKey, Descending: descending, After: &driver.Entry{Key: key}, Limit: most,
		})
		if err != nil {
			return err
		}
		for _, e := range entries {
			add(e.Key)
		}
	}
	return nil
}
