package postgres_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/postgres"
)

// The server keeps a large payload apart from its row, and a renewal writes none of it.
func TestARenewalWritesNoPayload(t *testing.T) {
	schema := newSchema(t)
	table := openTable(t, open(t, serverURL(t), &postgres.Options{Schema: schema}))
	c := connect(t)
	size := func() (bytes int64) {
		t.Helper()
		err := c.QueryRow(t.Context(), "SELECT pg_relation_size(reltoastrelid) FROM pg_class WHERE oid = $1::text::regclass", schema+".tracks").Scan(&bytes)
		if err != nil {
			t.Fatal(err)
		}
		return bytes
	}
	e := track(1)
	e.Payload = make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(e.Payload) // it does not compress
	if err := table.Put(t.Context(), []driver.Entry{e}); err != nil {
		t.Fatal(err)
	}
	before := size()
	for range 5 {
		r := driver.Renewal{Key: e.Key, Seen: e.CachedAt, Header: e.Header, CachedAt: e.CachedAt.Add(time.Second), ExpiresAt: e.ExpiresAt}
		renewed, err := table.Renew(t.Context(), []driver.Renewal{r})
		if err != nil || !renewed[0] {
			t.Fatalf("renew reports %v, %v", renewed, err)
		}
		e.CachedAt = r.CachedAt
	}
	if after := size(); before < 1<<20 || after != before {
		t.Errorf("payloads take %d bytes, and %d after renewals", before, after)
	}
}
