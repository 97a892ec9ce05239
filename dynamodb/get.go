package dynamodb

import (
	"context"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/endpointcache/endpointcache/driver"
)

func (t *table) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	return t.store.run(ctx, "get from", t.spec.Name, func() error {
		keys, visit := sel.Narrow(keys, visit)
		if len(keys) == 1 {
			return t.getOne(ctx, t.place(keys[0]), sel, func(e driver.Entry) { visit(0, e) })
		}
		return t.getMany(ctx, keys, sel, visit)
	})
}

func (t *table) getOne(ctx context.Context, p place, sel driver.Selection, visit func(driver.Entry)) error {
	wanted := t.projections[0][sel.Parts]
	out, err := t.store.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName:                &t.name,
		Key:                      t.store.codec.key(p),
		ConsistentRead:           aws.Bool(t.consistent()),
		ProjectionExpression:     aws.String(wanted.expression),
		ExpressionAttributeNames: wanted.names,
	})
	if err != nil || len(out.Item) == 0 {
		return err
	}
	r := t.reader(ctx, sel, wanted, func(r record) error { visit(r.entry); return nil })
	if err := r.read(out.Item); err != nil {
		return err
	}
	return r.finish()
}

// getMany asks for each key once, 100 in a request, several requests at once.
func (t *table) getMany(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	indices := make(map[string][]int, len(keys)) // by sort keys
	places := make([]place, 0, len(keys))
	for i, k := range keys {
		p := t.place(k)
		if indices[p.key] == nil {
			places = append(places, p)
		}
		indices[p.key] = append(indices[p.key], i)
	}
	wanted := t.projections[0][sel.Parts]
	r := t.reader(ctx, sel, wanted, func(r record) error {
		all := indices[r.place.key]
		for n, i := range all {
			e := r.entry
			if n < len(all)-1 {
				e.Payload = slices.Clone(e.Payload) // the receiver may change it at once
			}
			visit(i, e)
		}
		return nil
	})
	chunks := slices.Collect(slices.Chunk(places, maxBatchGet))
	err := t.store.each(len(chunks), func(i int) error {
		return t.getItems(ctx, t.keys(chunks[i]), wanted, t.consistent(), r.read)
	})
	if err != nil {
		return err
	}
	return r.finish()
}

func (t *table) keys(places []place) []item {
	keys := make([]item, len(places))
	for i, p := range places {
		keys[i] = t.store.codec.key(p)
	}
	return keys
}

// reader reads items, from several goroutines at once, and delivers those that are
// selected: the ones whose payload is split when it is asked to finish.
type reader struct {
	ctx        context.Context
	table      *table
	sel        driver.Selection
	projection projection
	keyed      bool // the keys are read from the items; what has none is left out
	deliver    func(record) error

	mu    sync.Mutex
	split []record
}

func (t *table) reader(ctx context.Context, sel driver.Selection, p projection, deliver func(record) error) *reader {
	return &reader{ctx: ctx, table: t, sel: sel, projection: p, deliver: deliver}
}

func (r *reader) read(it item) error {
	found := r.table.read(it, r.sel.Parts)
	if r.keyed {
		key, err := r.table.key(it)
		if err != nil {
			return nil //nolint:nilerr // it is the entry of no key
		}
		found.entry.Key = key
	}
	if !selects(r.sel.Filter, &found) {
		return nil
	}
	if found.generation != "" {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.split = append(r.split, found)
		return nil
	}
	found.entry = found.whole()
	return r.deliver(found)
}

// finish delivers the entries whose payloads are split. Where parts are missing, the
// entry has been replaced or removed meanwhile, or an eventual read came too early, and
// it is read once more. An entry whose parts stay away has lost them, and is a miss.
func (r *reader) finish() error {
	for consistent := r.table.consistent(); len(r.split) > 0; consistent = true {
		torn, err := r.table.readParts(r.ctx, r.split, consistent, r.deliver)
		if err != nil || len(torn) == 0 {
			return err
		}
		absent := make(map[string]bool, len(torn)) // generations
		places := make([]place, len(torn))
		for i, t := range torn {
			absent[t.generation] = consistent
			places[i] = t.place
		}
		r.split = nil
		for chunk := range slices.Chunk(places, maxBatchGet) {
			if err := r.table.getItems(r.ctx, r.table.keys(chunk), r.projection, true, r.read); err != nil {
				return err
			}
		}
		r.split = slices.DeleteFunc(r.split, func(again record) bool { return absent[again.generation] })
	}
	return nil
}
