package dynamodb

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/endpointcache/endpointcache/driver"
)

const (
	maxItem = 400<<10 - 1<<10 // bytes of an item with its part of the index, less what is not counted below
	maxPut  = 4 << 20         // bytes of payload that are saved at a time
)

// row is an entry and where it stands.
type row struct {
	place  place
	number int // of the entry among those of the call
	entry  *driver.Entry
	size   int // of the item without the payload, about
}

func (t *table) Put(ctx context.Context, entries []driver.Entry) error {
	return t.store.run(ctx, "save to", t.spec.Name, func() error {
		rows, err := t.rows(entries)
		if err != nil {
			return err
		}
		chunks := chunkRows(rows)
		return t.store.each(len(chunks), func(i int) error { return t.putChunk(ctx, chunks[i]) })
	})
}

// rows are the entries, of those with one key the last.
func (t *table) rows(entries []driver.Entry) ([]row, error) {
	rows := make([]row, 0, len(entries))
	index := make(map[string]int, len(entries)) // by sort keys
	for i := range entries {
		r := row{place: t.place(entries[i].Key), number: i, entry: &entries[i]}
		r.size = t.size(r)
		switch payload := len(r.entry.Payload); {
		case r.size > maxItem:
			return nil, fmt.Errorf("%w: its key, name and headers have %d bytes, an item of DynamoDB has %d", driver.ErrTooLarge, r.size, maxItem)
		case payload > MaxPayload:
			return nil, fmt.Errorf("%w: its payload has %d bytes, the most is %d", driver.ErrTooLarge, payload, MaxPayload)
		}
		if at, ok := index[r.place.key]; ok {
			rows[at] = r
			continue
		}
		index[r.place.key] = len(rows)
		rows = append(rows, r)
	}
	return rows, nil
}

// size is what DynamoDB counts of an item without its payload, and of what the index
// has of it, about.
func (t *table) size(r row) int {
	key := len(r.place.partition) + len(r.place.key) + t.columnNames
	for _, v := range r.entry.Key {
		key += 24
		if s, ok := v.(string); ok {
			key += len(s)
		}
	}
	return 2*key + len(r.entry.Name) + len(r.entry.Header) + len(r.entry.Encoding) + 512
}

// stored is about how many bytes an entry takes, before its payload is compressed.
func (r row) stored() int64 { return int64(r.size + len(r.entry.Payload)) }

// chunkRows divides rows into chunks of which each fits in a request, and whose
// payloads are no more than maxPut, or one.
func chunkRows(rows []row) (chunks [][]row) {
	first, size := 0, 0
	for i, r := range rows {
		n := r.size + len(r.entry.Payload)
		if i > first && (i-first == maxBatchWrite || size+n > maxPut) {
			chunks = append(chunks, rows[first:i])
			first, size = i, 0
		}
		size += n
	}
	if first < len(rows) {
		chunks = append(chunks, rows[first:])
	}
	return chunks
}

// putChunk saves rows: first the parts of the payloads that do not fit, then the
// entries' items. At last it removes the parts of what it has replaced.
func (t *table) putChunk(ctx context.Context, rows []row) error {
	start := time.Now()
	items := make([]types.WriteRequest, len(rows))
	var parts []types.WriteRequest
	var split []place
	for i, r := range rows {
		it, more, err := t.fit(r, start)
		if err != nil {
			return err
		}
		items[i] = types.WriteRequest{PutRequest: &types.PutRequest{Item: it}}
		if more != nil {
			parts, split = append(parts, more...), append(split, r.place)
		}
	}
	if len(items) == 1 && len(split) == 0 {
		_, err := t.store.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &t.name, Item: items[0].PutRequest.Item})
		return err
	}
	replaced, err := t.splitItems(ctx, split)
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(parts, partsPerWrite) {
		if err := t.write(ctx, chunk); err != nil {
			return err
		}
	}
	if len(parts) > 0 && time.Since(start) > maxSave {
		return errSlowSave
	}
	if err := t.write(ctx, items); err != nil {
		return err
	}
	return t.removeParts(ctx, replaced)
}

// fit makes a row's item, and those of the parts of its payload if that does not fit.
func (t *table) fit(r row, now time.Time) (it item, parts []types.WriteRequest, err error) {
	it = t.item(r)
	payload, encoding := r.entry.Payload, ""
	limit := t.store.opts.CompressFrom
	if fits := r.size+len(payload) <= maxItem; !fits || limit > 0 && len(payload) >= limit {
		if payload, encoding, err = compress(payload); err != nil {
			return nil, nil, err
		}
	}
	if encoding != "" {
		it[attrEncoding] = &text{Value: encoding}
	}
	switch {
	case r.size+len(payload) > maxItem:
		generation := newGeneration(now)
		parts = t.split(r.entry, generation, payload)
		it[attrGeneration] = &text{Value: generation}
		it[attrParts] = &number{Value: strconv.Itoa(len(parts))}
	case len(payload) > 0:
		it[t.store.codec.value] = &binary{Value: payload}
	}
	return it, parts, nil
}

// splitItems returns what tells of the parts of the entries at these places.
func (t *table) splitItems(ctx context.Context, places []place) (items []item, err error) {
	for chunk := range slices.Chunk(places, maxBatchGet) {
		err := t.getItems(ctx, t.keys(chunk), newProjection(attrGeneration, attrParts), true, func(it item) error {
			items = append(items, it)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return items, nil
}
