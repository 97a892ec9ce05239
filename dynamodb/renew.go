package dynamodb

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/endpointcache/endpointcache/driver"
)

// renewing is a renewal, where its entry stands, and what the item there tells of the
// parts of its payload.
type renewing struct {
	number     int // of the renewal among those of the call
	renewal    *driver.Renewal
	place      place
	expiresAt  string
	generation string
	parts      int
}

// Renew reads what the items tell beside their payloads, 100 in a request, and updates
// those that are meant, 25 in a request. The parts of a payload that does not fit in its
// item have their own time to live, which is made longer before.
func (t *table) Renew(ctx context.Context, renewals []driver.Renewal) (renewed []bool, err error) {
	err = t.store.run(ctx, "renew in", t.spec.Name, func() error {
		all := make([]renewing, len(renewals))
		for i := range renewals {
			if n := len(renewals[i].Header); n > maxItem {
				return fmt.Errorf("%w: its headers have %d bytes, an item of DynamoDB has %d", driver.ErrTooLarge, n, maxItem)
			}
			all[i] = renewing{number: i, renewal: &renewals[i], place: t.place(renewals[i].Key)}
		}
		renewed = make([]bool, len(renewals))
		chunks := slices.Collect(slices.Chunk(all, maxBatchWrite))
		return t.store.each(len(chunks), func(i int) error { return t.renewChunk(ctx, chunks[i], renewed) })
	})
	if err != nil {
		return nil, err
	}
	return renewed, nil
}

// renewChunk begins again with those entries that have changed since they were read.
func (t *table) renewChunk(ctx context.Context, chunk []renewing, renewed []bool) error {
	for {
		meant, err := t.meant(ctx, chunk)
		if err != nil || len(meant) == 0 {
			return err
		}
		if err := t.keepParts(ctx, meant); err != nil {
			return err
		}
		requests := make([]types.BatchStatementRequest, len(meant))
		for i := range meant {
			requests[i] = t.renewal(&meant[i])
		}
		err = t.execute(ctx, requests, func(i int, _ item) error {
			renewed[meant[i].number] = true
			return nil
		})
		if err != nil {
			return err
		}
		chunk = slices.DeleteFunc(meant, func(r renewing) bool { return renewed[r.number] })
		if len(chunk) == 0 {
			return nil
		}
	}
}

// meant are those of the renewals whose entries were saved when they were seen.
func (t *table) meant(ctx context.Context, chunk []renewing) (meant []renewing, err error) {
	places := make([]place, len(chunk))
	byKey := make(map[string]renewing, len(chunk)) // sort keys
	for i, r := range chunk {
		places[i] = r.place
		byKey[r.place.key] = r
	}
	c := &t.store.codec
	wanted := newProjection(c.partition, c.sortKey, attrCachedAt, attrExpiresAt, attrGeneration, attrParts)
	err = t.getItems(ctx, t.keys(places), wanted, true, func(it item) error {
		r := byKey[stringOf(it[c.sortKey])]
		if r.renewal == nil || stringOf(it[attrCachedAt]) != timeText(r.renewal.Seen) {
			return nil
		}
		r.expiresAt, r.generation = stringOf(it[attrExpiresAt]), stringOf(it[attrGeneration])
		if r.generation != "" {
			var err error
			if r.parts, err = smallOf(it[attrParts], maxParts); err != nil || r.parts < 1 {
				r.generation, r.parts = "", 0 // the payload is lost
			}
		}
		meant = append(meant, r)
		return nil
	})
	return meant, err
}

// keepParts has the parts of payloads stay at least as long as their entries will.
func (t *table) keepParts(ctx context.Context, all []renewing) error {
	c := &t.store.codec
	var requests []types.BatchStatementRequest
	for _, r := range all {
		if !c.ttl || r.generation == "" || expiryText(r.renewal.ExpiresAt) <= r.expiresAt {
			continue
		}
		longer, change := c.ttlOf(r.renewal.ExpiresAt, partsOutlive), " REMOVE "+quote(attrTTL)
		if longer != nil {
			change = " SET " + quote(attrTTL) + "=?"
		}
		statement := "UPDATE " + quote(t.name) + change + " WHERE " + quote(c.partition) + "=? AND " + quote(c.sortKey) + "=?"
		for i := range r.parts {
			p := t.part(r.generation, i)
			parameters := []types.AttributeValue{&text{Value: p.partition}, &text{Value: p.key}}
			if longer == nil {
				requests = append(requests, types.BatchStatementRequest{Statement: &statement, Parameters: parameters})
				continue
			}
			parameters = append([]types.AttributeValue{longer}, append(parameters, longer)...)
			requests = append(requests, types.BatchStatementRequest{Statement: aws.String(statement + " AND " + quote(attrTTL) + "<?"), Parameters: parameters})
		}
	}
	for some := range slices.Chunk(requests, maxBatchWrite) {
		if err := t.execute(ctx, some, func(int, item) error { return nil }); err != nil {
			return err
		}
	}
	return nil
}

// renewal is the statement that renews an item, if it is as it was read.
func (t *table) renewal(r *renewing) types.BatchStatementRequest {
	c := &t.store.codec
	var request types.BatchStatementRequest
	var b strings.Builder
	b.WriteString("UPDATE " + quote(t.name))
	set := func(name string, value types.AttributeValue) {
		if value == nil {
			b.WriteString(" REMOVE " + quote(name))
			return
		}
		b.WriteString(" SET " + quote(name) + "=?")
		request.Parameters = append(request.Parameters, value)
	}
	var headers types.AttributeValue
	if r.renewal.Header != "" {
		headers = stringValue(r.renewal.Header)
	}
	set(attrCachedAt, &text{Value: timeText(r.renewal.CachedAt)})
	set(attrExpiresAt, &text{Value: expiryText(r.renewal.ExpiresAt)})
	set(attrHeaders, headers)
	set(attrTTL, c.ttlOf(r.renewal.ExpiresAt, 0))
	set(attrMetaSum, sumValue(r.renewal.MetaSum))
	set(attrUsedUS, nil)
	is := func(name, value string) {
		b.WriteString(" AND " + quote(name) + "=?")
		request.Parameters = append(request.Parameters, &text{Value: value})
	}
	b.WriteString(" WHERE " + quote(c.partition) + "=?")
	request.Parameters = append(request.Parameters, &text{Value: r.place.partition})
	is(c.sortKey, r.place.key)
	is(attrCachedAt, timeText(r.renewal.Seen))
	if r.generation != "" {
		is(attrGeneration, r.generation)
	} else {
		b.WriteString(" AND " + quote(attrGeneration) + " IS MISSING")
	}
	request.Statement = aws.String(b.String())
	return request
}
