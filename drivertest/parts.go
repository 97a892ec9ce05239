package drivertest

import (
	"bytes"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

func testParts(t *testing.T, h Harness) {
	want := version(id(1), 1)
	for _, tt := range []struct {
		name  string
		parts driver.Parts
	}{
		{"a selection of the payload has the payload", driver.Payload},
		{"a selection of the meta data has all of it", driver.Meta},
		{"a selection of both parts has both", driver.Payload | driver.Meta},
		{"a selection of the usage has all of it", driver.Usage},
		{"a selection of all parts has all", driver.Payload | driver.Meta | driver.Usage},
		{"a selection of no parts still finds the entry", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table := h.ids(t)
			table.put(want, expiring(id(2), now.Add(3*time.Hour)))
			then := now.Add(2 * time.Hour)
			sel := at(then, driver.Expired) // the state is known whatever parts are wanted
			sel.Parts = tt.parts

			found := table.get(sel, id(2), id(1))
			if len(found) != 1 {
				t.Fatalf("get visits %d entries, want 1", len(found))
			}
			checkParts(t, "get", tt.parts, want, found[1])

			yielded := table.entries(sel)
			got, ok := yielded[encode(id(1))]
			if !ok || len(yielded) != 1 {
				t.Fatalf("an iteration yields %d entries, want only %s", len(yielded), describe(id(1)))
			}
			checkParts(t, "iterate", tt.parts, want, got)
		})
	}
}

// checkParts fails the test unless got has these parts of want.
func checkParts(t *testing.T, op string, parts driver.Parts, want, got driver.Entry) {
	t.Helper()
	if parts&driver.Payload != 0 {
		if !bytes.Equal(got.Payload, want.Payload) || got.Encoding != want.Encoding || got.PayloadSum != want.PayloadSum {
			t.Errorf("%s: payload is %q in %q with checksum %x, want %q in %q with %x",
				op, got.Payload, got.Encoding, got.PayloadSum, want.Payload, want.Encoding, want.PayloadSum)
		}
	}
	if parts&driver.Usage != 0 && (!got.UsedAt.Equal(want.CachedAt) || got.Size < int64(len(want.Payload))) {
		t.Errorf("%s: used at %v, want %v; the size is %d, want %d at least", op, got.UsedAt, want.CachedAt, got.Size, len(want.Payload))
	}
	if got.Status != want.Status {
		t.Errorf("%s: status is %d, want %d", op, got.Status, want.Status)
	}
	if parts&driver.Meta != 0 {
		got.Payload, got.Encoding, got.PayloadSum = want.Payload, want.Encoding, want.PayloadSum
		if d := diff(want, got); d != "" {
			t.Errorf("%s: %s", op, d)
		}
	}
}
