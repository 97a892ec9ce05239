package redis

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/redis/rueidis"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/readonly"
)

// layout is the number of the layout that the package's documentation describes. Strings
// of the one before are read as they are.
const (
	layout    = 2
	oldLayout = 1
)

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
	if s.opts.ReadOnly {
		return readonly.Table(kind, spec.Name, t), nil
	}
	return t, nil
}

// describe reads the description of the table, and writes it where there is none. It
// returns the number of buckets.
func (t *table) describe(ctx context.Context) (int, error) {
	client, key := t.store.client, tableName(t.store.opts.Prefix, t.spec.Name)+"}"
	text, err := client.Do(ctx, resendable(client.B().Get().Key(key).Build())).ToString()
	if rueidis.IsRedisNil(err) && t.store.opts.ReadOnly {
		return 0, readonly.ErrNoTable
	}
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
	if isAnother(err) {
		return 0, t.schemaError(anotherType(key))
	}
	if err != nil {
		return 0, err
	}
	have, err := t.compare(text, key)
	if err == nil && have.Layout == oldLayout && !t.store.opts.ReadOnly {
		err = t.upgrade(ctx, have, key)
	}
	return have.Buckets, err
}

// upgrade tells programs that know the old layout alone not to open the table. A replica,
// which takes no entries either, leaves that to others.
func (t *table) upgrade(ctx context.Context, d description, key string) error {
	d.Layout = layout
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	client := t.store.client
	err = client.Do(ctx, resendable(client.B().Set().Key(key).Value(string(text)).Xx().Build().ToRetryable())).Error()
	if answer, ok := rueidis.IsRedisErr(err); rueidis.IsRedisNil(err) || ok && beginsWith(answer, "READONLY") {
		return nil
	}
	return err
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

// parseDescription returns what a table's description tells. ok is false if it is none.
func parseDescription(text string) (d description, ok bool) {
	err := json.Unmarshal([]byte(text), &d)
	return d, err == nil && d.Layout != 0 && d.Buckets >= 1 && d.Buckets <= maxBuckets && len(d.Key) > 0
}

// known reports whether this version knows the layout.
func (d description) known() bool { return d.Layout == layout || d.Layout == oldLayout }

func (d description) otherVersion() string {
	return fmt.Sprintf("a table in layout %d, of another version of this library", d.Layout)
}

// compare holds the description that is there to the one that is wanted.
func (t *table) compare(text, key string) (have description, err error) {
	have, ok := parseDescription(text)
	switch {
	case !ok:
		return have, t.schemaError(noTable(key))
	case !have.known():
		return have, t.schemaError(have.otherVersion())
	case !slices.Equal(have.Key, t.newDescription().Key):
		words := ""
		for i, c := range have.Key {
			if i > 0 {
				words += ", "
			}
			words += c.Name + " " + c.Kind
		}
		return have, t.schemaError("key (" + words + ")")
	}
	return have, nil
}

// isAnother reports whether err is because a key holds something else than a string.
func isAnother(err error) bool {
	answer, ok := rueidis.IsRedisErr(err)
	return ok && beginsWith(answer, "WRONGTYPE")
}

func anotherType(key string) string { return fmt.Sprintf("another type of value under %q", key) }
func noTable(key string) string     { return fmt.Sprintf("what is no table of the cache under %q", key) }

func (t *table) schemaError(have string) error {
	return &driver.SchemaError{Table: t.spec.Name, Want: "key (" + t.spec.KeyString() + ")", Have: have}
}
