package archive

import (
	"context"
	"net/http"
	"reflect"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/internal/credential"
	"github.com/endpointcache/endpointcache/internal/endpoint"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/keytype"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

// places tell where the responses to requests are kept.
type places struct {
	known *exchange.Transfer

	// The catch-all for other requests; nil for none.
	any  request.Endpoint[request.AnyKey]
	name string
	keys *keytype.Type
}

// place makes the places of a target ready.
func (h *harReader) place(ctx context.Context, to *cache.Contents) (err error) {
	p := &h.places
	if p.known, err = exchange.TransferOf(ctx, to, true); err != nil || h.target.Repository == "" {
		return err
	}
	rest := settings.CatchAll(h.target.Repository, h.target.Any)
	if err := rest.Endpoint.Validate(); err != nil {
		return err
	}
	p.any, p.name = rest.Endpoint, rest.Name
	if endpoint.WantsDigestKey(p.any) {
		key, err := p.known.DigestKey(ctx)
		if err != nil {
			return err
		}
		p.any = endpoint.WithDigestKey(p.any, key).(request.Endpoint[request.AnyKey])
	}
	if p.keys, err = keytype.Of[request.AnyKey](); err != nil {
		return err
	}
	d := rest.Declaration()
	h.tables = append(h.tables, cache.Table{Name: rest.Name, Repository: rest.Name, Key: d.Key, Declaration: &d})
	return nil
}

// of is where the response to a request is kept, if it is to be: all of a stored response but that.
func (p *places) of(ctx context.Context, req *http.Request) (e cache.Stored, ok bool, err error) {
	found, matched, placed, err := p.known.Place(ctx, req)
	switch {
	case err != nil || matched && !placed:
		return e, false, err
	case matched:
		e.Repository, e.Origin = found.Repository, found.Origin
		for i, column := range found.Columns {
			e.Key = append(e.Key, cache.KeyColumn{Name: column.Name, Value: found.Key[i]})
		}
		return e, true, nil
	case p.any == nil:
		return e, false, nil
	}
	key, ok, err := p.any.Key(req)
	if !ok || err != nil {
		return e, false, nil //nolint:nilerr // such as a URL that is none
	}
	if _, crosses := credential.Carried(req, func(c credential.Credential) bool {
		return !endpoint.Separates(p.any, c.Place, c.Name)
	}); crosses {
		return e, false, nil // nobody knows whose it is
	}
	values, err := p.keys.AppendValues(nil, reflect.ValueOf(key))
	if err != nil {
		return e, false, err
	}
	e.Table, e.Repository = p.name, p.name
	for i, column := range p.keys.Columns() {
		e.Key = append(e.Key, cache.KeyColumn{Name: column.Name, Value: values[i]})
	}
	return e, true, nil
}
