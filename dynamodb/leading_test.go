package dynamodb_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/dynamodb"
)

// The server looks at no entries whose keys begin otherwise, except at those whose keys are
// too long for it, and tells nothing of these.
func TestLeadingValuesAreSearchedFor(t *testing.T) {
	var looked, told atomic.Int64
	counting := around(func(input any, send func(any) (any, error)) (any, error) {
		output, err := send(input)
		if out, ok := output.(*awsdynamodb.QueryOutput); ok {
			looked.Add(int64(out.ScannedCount))
			told.Add(int64(len(out.Items)))
		}
		return output, err
	})
	table := openTable(t, with(t, newClient(t, smallPages(), counting), &dynamodb.Options{Table: newName(t)}))
	const n, others, long = 100, 200, 10
	var entries []driver.Entry
	owned := func(owner string, n int, more string) {
		for i := range n {
			e := track(i)
			e.Key[0], e.Key[2] = owner, int64(i)
			e.Key[1] = e.Key[1].(string) + more
			if i%2 == 0 {
				e.ExpiresAt = now.Add(time.Minute)
			}
			entries = append(entries, e)
		}
	}
	owned("a", n, "")
	owned("ab", others, "")
	owned("a", long, strings.Repeat("x", 2_000))
	owned("b", long, strings.Repeat("x", 2_000))
	put(t, table, entries...)
	then := now.Add(2 * time.Minute)
	for state, want := range map[driver.State]int{driver.All: n + long, driver.Live: (n + long) / 2, driver.Expired: (n + long) / 2} {
		filter := driver.Filter{State: state, Now: then, Leading: driver.Key{"a"}}
		for name, use := range map[string]func() (int, error){
			"count": func() (int, error) { return table.Count(t.Context(), filter) },
			"iterate": func() (yielded int, err error) {
				for _, err = range table.Entries(t.Context(), driver.Selection{Filter: filter, Parts: driver.Payload}) {
					yielded++
				}
				return yielded, err
			},
		} {
			looked.Store(0)
			told.Store(0)
			if got, err := use(); err != nil || got != want {
				t.Errorf("%s: %d, want %d: %v", name, got, want, err)
			}
			if got := looked.Load(); got != n+2*long {
				t.Errorf("%s looks at %d entries, want %d", name, got, n+2*long)
			}
			if got := told.Load(); got > int64(want) {
				t.Errorf("%s is told of %d entries, want %d", name, got, want)
			}
		}
	}
	if got, err := table.Clear(t.Context(), driver.Filter{Leading: driver.Key{"a"}}); err != nil || got != n+long {
		t.Errorf("clear removed %d, want %d: %v", got, n+long, err)
	}
	if got, err := table.Count(t.Context(), driver.Filter{}); err != nil || got != others+long {
		t.Errorf("%d entries are left, want %d: %v", got, others+long, err)
	}
}
