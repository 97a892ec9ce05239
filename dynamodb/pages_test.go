package dynamodb_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/dynamodb"
)

// smallPages lets the server end each answer after a few items, as it does after a MiB.
func smallPages() func(*awsdynamodb.Options) {
	return around(func(input any, send func(any) (any, error)) (any, error) {
		if in, ok := input.(*awsdynamodb.QueryInput); ok {
			paged := *in
			paged.Limit = aws.Int32(3)
			input = &paged
		}
		return send(input)
	})
}

func TestPartitionsAreReadToTheirEnds(t *testing.T) {
	table := openTable(t, with(t, newClient(t, smallPages()), &dynamodb.Options{Table: newName(t)}))
	const n = 300 // some 19 in a partition
	entries, _ := trackEntries(n)
	for i := range entries[:n/3] {
		entries[i].ExpiresAt = now.Add(time.Minute)
	}
	put(t, table, entries...)
	then := now.Add(2 * time.Minute)
	for state, want := range map[driver.State]int{driver.All: n, driver.Live: n - n/3, driver.Expired: n / 3} {
		filter := driver.Filter{State: state, Now: then}
		if got, err := table.Count(t.Context(), filter); err != nil || got != want {
			t.Errorf("count is %d, want %d: %v", got, want, err)
		}
		for _, parts := range []driver.Parts{0, driver.Meta, driver.Payload | driver.Meta} {
			seen := make(map[string]bool)
			for e, err := range table.Entries(t.Context(), driver.Selection{Filter: filter, Parts: parts}) {
				id, _ := e.Key[0].(string)
				if err != nil || seen[id] {
					t.Fatalf("%q is yielded again, or fails: %v", id, err)
				}
				seen[id] = true
			}
			if len(seen) != want {
				t.Errorf("%d entries with the parts %d, want %d", len(seen), parts, want)
			}
		}
	}
	// A loop that saves what it is given, later in the index each time, ends.
	yielded := 0
	for e, err := range table.Entries(t.Context(), driver.Selection{}) {
		if yielded++; err != nil || yielded > n {
			t.Fatalf("%d entries are yielded of %d: %v", yielded, n, err)
		}
		e.ExpiresAt = then.Add(time.Duration(yielded) * time.Second)
		put(t, table, e)
	}
	if got, err := table.Clear(t.Context(), driver.Filter{State: driver.Live, Now: then}); err != nil || got != n {
		t.Errorf("clear removed %d, want %d: %v", got, n, err)
	}
}
