package redis

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/redis/rueidis"

	"github.com/endpointcache/endpointcache/driver"
)

// layout is the number of the layout that the package's documentation describes.
const layout = 1

// description is what is known of a table.
type description struct {
	Layout  int      `json:"layout"`
	Buckets int      `json:"buckets"`
	Key     []column `json:"key"`
}

type column struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
}

// OpenTable implements [driver.Store].
func (s *Store) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	spec.Key = slices.Clone(spec.Key)
	t := &table{store: s, spec: spec}
	err := s.run(ctx, "open table", spec.Name, func(ctx context.Context) error {
		buckets, err := t.describe(ctx)
		if err == nil {
			t.names = newNames(s.opts.Prefix, spec.Name, buckets)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// describe reads the description of the table, and writes it where there is none. It
// returns the number of buckets.
func (t *table) describe(ctx context.Context) (int, error) {
	client, key := t.store.client, tableName(t.store.opts.Prefix, t.spec.Name)+"}"
	text, err := client.Do(ctx, resendable(client.B().Get().Key(key).Build())).ToString()
	if rueidis.IsRedisNil(err) {
		mine, encodeErr := json.Marshal(t.newDescription())
		if encodeErr != nil {
			return 0, encodeErr
		}
		// Of several programs that write it at once, the first wins. A Get would be for the replica
		// that a client may read from, which need not have it yet.
		results := client.DoMulti(ctx,
			resendable(client.B().Set().Key(key).Value(string(mine)).Nx().Build().ToRetryable()),
			resendable(client.B().Arbitrary("GET").Keys(key).Build().ToRetryable()))
		if err := results[0].Error(); err != nil && !rueidis.IsRedisNil(err) {
			return 0, err
		}
		text, err = results[1].ToString()
	}
	if answer, ok := rueidis.IsRedisErr(err); ok && !answer.IsNil() && beginsWith(answer, "WRONGTYPE") {
		return 0, t.schemaError(fmt.Sprintf("another type of value under %q", key))
	}
	if err != nil {
		return 0, err
	}
	return t.compare(text, key)
}

func (t *table) newDescription() description {
	d := description{Layout: layout, Buckets: t.store.opts.Buckets}
	if d.Buckets == 0 {
		d.Buckets = 1
		if t.store.cluster {
			d.Buckets = clusterBuckets
		}
	}
	for _, c := range t.spec.Key {
		d.Key = append(d.Key, column{c.Name, c.Kind.String()})
	}
	return d
}

// compare holds the description that is there to the one that is wanted.
func (t *table) compare(text, key string) (buckets int, err error) {
	var have description
	switch err := json.Unmarshal([]byte(text), &have); {
	case err != nil || have.Layout == 0 || have.Buckets < 1 || have.Buckets > maxBuckets || len(have.Key) == 0:
		return 0, t.schemaError(fmt.Sprintf("what is no table of the cache under %q", key))
	case have.Layout != layout:
		return 0, t.schemaError(fmt.Sprintf("a table in layout %d, of another version of this library", have.Layout))
	case !slices.Equal(have.Key, t.newDescription().Key):
		words := ""
		for i, c := range have.Key {
			if i > 0 {
				words += ", "
			}
			words += c.Name + " " + c.Kind
		}
		return 0, t.schemaError("key (" + words + ")")
	}
	return have.Buckets, nil
}

func (t *table) schemaError(have string) error {
	return &driver.SchemaError{Table: t.spec.Name, Want: "key (" + t.spec.KeyString() + ")", Have: have}
}
