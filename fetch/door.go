package fetch

import (
	"context"
	"net/http"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/rfc9111"
	"github.com/endpointcache/endpointcache/policy"
)

// door asks the origin for a key on behalf of the exchange.
type door[K comparable, V any] struct {
	f       *Fetcher[K, V]
	key     K
	batches *batcher[K, V] // of the fill that asks; nil: it is none
}

// Begin implements [exchange.Door]. The flight counts among what the client does.
func (d *door[K, V]) Begin(fl *exchange.Flight) (exchange.Send, *http.Request) {
	d.f.client.closing.begin(fl)
	return d.send, nil
}

// Landed implements [exchange.Door].
func (d *door[K, V]) Landed(fl *exchange.Flight) { d.f.client.closing.landed(fl) }

// send asks for the key alone.
func (d *door[K, V]) send(ctx context.Context, stored http.Header) (resp *http.Response, body []byte, whole bool, err error) {
	a := d.f.source.askOne(ctx, d.key, conditionsOf(stored))
	resp, err = a.response()
	return resp, a.body, true, err
}

// conditionsOf are the headers of a request that asks whether a stored response still
// holds, nil for one that does not.
func conditionsOf(stored http.Header) http.Header {
	if stored == nil {
		return nil
	}
	conditions := make(http.Header, 2)
	rfc9111.SetValidators(conditions, stored)
	return conditions
}

// Build implements [exchange.Door].
func (d *door[K, V]) Build() *http.Request {
	req, err := d.f.source.request(context.Background(), d.f.client.base, d.key)
	if err != nil {
		return nil
	}
	return req
}

// Launch implements [exchange.Door]. Flights of other fetchers and fills are theirs.
func (d *door[K, V]) Launch(flights ...*exchange.Flight) {
	var now, others []*exchange.Flight
	for _, fl := range flights {
		switch other := fl.Ask().Door.(*door[K, V]); {
		case other.f != d.f || other.batches != d.batches:
			others = append(others, fl)
		case fl.Renews() && d.f.renewals != nil:
			d.f.renewals.add(fl)
		case !fl.Renews() && d.batches != nil:
			d.batches.add(fl)
		case d.f.shared != nil:
			d.f.shared.add(fl)
		default:
			now = append(now, fl)
		}
	}
	if d.batches != nil { // none of these waits for more than those that have come with it
		d.batches.flush()
	}
	if len(now) > 0 {
		newBatcher(d.f, 0).flushed(now...)
	}
	if len(others) > 0 {
		others[0].Ask().Door.Launch(others...)
	}
}

// ask is the memory of one Fetch, in one allocation.
type ask[K comparable, V any] struct {
	exchange.Ask
	door   door[K, V]
	values [9]driver.Value
}

// set makes a an ask for key.
func (c *caller[K, V]) set(ctx context.Context, a *exchange.Ask, d *door[K, V], rules *exchange.Rules, values driver.Key, key K) (err error) {
	f := c.f
	d.f, d.key = f, key
	a.Table, a.Rules, a.Door = c.table, rules, d
	a.Values, a.Repeatable = true, true
	a.Gathers = f.renewals != nil
	a.Cancel = f.client.closing.ctx.Done()
	a.Key, err = c.driverKey(ctx, values, &d.key)
	return err
}

// batched reports whether the key's flights are sent with others.
func (f *Fetcher[K, V]) batched(key K) bool {
	_, ok := f.source.Group(key)
	return ok
}

// Option changes one call of a fetcher's methods.
type Option func(*policy.Policy)

// Refresh asks the origin though there may be a live entry: whether it still holds, where
// it can be asked that, or for the response, which then replaces it. What the origin has
// no more is removed. The call does not share a request that was sent before.
func Refresh() Option { return func(p *policy.Policy) { p.Use = policy.Revalidate } }

// With sets a policy for the call, before that of its context; see package policy. Of
// several options the fields that a later one sets hold.
func With(own policy.Policy) Option {
	return func(p *policy.Policy) {
		use := p.Use
		if *p = own; p.Use == 0 {
			p.Use = use
		}
	}
}

// rules are those of a call.
func (f *Fetcher[K, V]) rules(ctx context.Context, opts []Option) (*exchange.Rules, error) {
	if len(opts) == 0 {
		return f.table.Rules(ctx)
	}
	var own policy.Policy
	for _, opt := range opts {
		if opt != nil {
			opt(&own)
		}
	}
	return f.table.Rules(ctx, own)
}
