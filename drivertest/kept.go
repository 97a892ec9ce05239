package drivertest

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
)

// testPutIfKept holds stores that can keep payloads to what PutIf has to do.
func testPutIfKept(t *testing.T, h Harness) {
	if _, keeps := h.ids(t).Table.(driver.KeepingTable); !keeps {
		return
	}
	open := h.Open
	h.Open = func(tb testing.TB) driver.Store { return keepingStore{open(tb)} }
	testPutIf(t, h)
}

// keepingStore gives payloads away where the suite puts entries on a condition.
type keepingStore struct{ driver.Store }

func (s keepingStore) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	table, err := s.Store.OpenTable(ctx, spec)
	if err != nil {
		return nil, err
	}
	return keepingTable{table.(driver.KeepingTable)}, nil
}

type keepingTable struct{ driver.KeepingTable }

// PutIf gives copies away: the suite changes what it has put.
func (t keepingTable) PutIf(ctx context.Context, entries []driver.Entry, c driver.Condition) ([]bool, error) {
	given := slices.Clone(entries)
	for i := range given {
		given[i].Payload = bytes.Clone(given[i].Payload)
	}
	return t.PutIfKept(ctx, given, c)
}
