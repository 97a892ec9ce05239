package dynamodb_test

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/dynamodb"
)

// renewals give entries their own times again, and this header.
func renewals(entries []driver.Entry, header string) []driver.Renewal {
	all := make([]driver.Renewal, len(entries))
	for i, e := range entries {
		all[i] = driver.Renewal{Key: e.Key, Seen: e.CachedAt, Header: header, CachedAt: e.CachedAt, ExpiresAt: e.ExpiresAt}
	}
	return all
}

// What no time can be where entries have one is as good as gone, also where a text of it is greater than all times.
func TestTimesThatAreNoneAreReplaced(t *testing.T) {
	name, client := newName(t), newClient(t)
	table := openTable(t, open(t, &dynamodb.Options{Table: name}))
	e, large := track(1), track(2)
	large.Payload = bytes.Repeat([]byte("0123456789abcdef"), 50_000)
	for _, text := range []string{"text", "2026-1x-21T17:45:26.123456Z", "never"} {
		for condition, attribute := range map[driver.Precondition]string{driver.IfNotLive: "expires_at", driver.IfNewer: "cached_at"} {
			if attribute == "expires_at" && text == "never" {
				continue // it is live
			}
			put(t, table, e, large)
			for _, it := range items(t, name) {
				if it[attribute] == nil {
					continue // a part
				}
				it[attribute] = &types.AttributeValueMemberS{Value: text}
				if _, err := client.PutItem(t.Context(), &awsdynamodb.PutItemInput{TableName: &name, Item: it}); err != nil {
					t.Fatal(err)
				}
			}
			stored, err := table.PutIf(t.Context(), []driver.Entry{e, large}, driver.Condition{If: condition, Now: e.CachedAt})
			if err != nil || !stored[0] || !stored[1] {
				t.Errorf("%s is %q: %v, %v", attribute, text, stored, err)
			}
			n := 0
			for got, err := range table.Entries(t.Context(), driver.Selection{Parts: driver.Payload | driver.Meta}) {
				if err != nil || !got.CachedAt.Equal(e.CachedAt) || got.MetaSum == driver.WrongSum {
					t.Errorf("it is %v of %v, %v", got.Key, got.CachedAt, err)
				}
				n++
			}
			if n != 2 {
				t.Errorf("there are %d", n)
			}
		}
	}
}

func TestConditionalPutsAndRenewalsAreDoneInTheEnd(t *testing.T) {
	table := openTable(t, with(t, newClient(t, overloaded()), &dynamodb.Options{Table: newName(t)}))
	entries, _ := trackEntries(200)
	put(t, table, entries[:50]...)
	stored, err := table.PutIf(t.Context(), entries, driver.Condition{If: driver.IfAbsent})
	for i, ok := range stored {
		if ok != (i >= 50) {
			t.Errorf("entry %d is reported as stored: %v", i, ok)
		}
	}
	if err != nil || len(stored) != len(entries) {
		t.Errorf("put reports %d outcomes, %v", len(stored), err)
	}
	renewed, err := table.Renew(t.Context(), renewals(entries, `{"A":["1"]}`))
	if err != nil || len(renewed) != len(entries) || slices.Contains(renewed, false) {
		t.Errorf("renew reports %v, %v", renewed, err)
	}
}

// A payload that is split is not sent where the condition does not hold, and what was
// sent is removed where it does not hold any more.
func TestARefusedPayloadLeavesNoParts(t *testing.T) {
	name := newName(t)
	var sent requests
	var table, other driver.Table
	interrupt := false
	client := newClient(t, sent.count, around(func(input any, send func(any) (any, error)) (any, error) {
		if _, ok := input.(*awsdynamodb.PutItemInput); ok && interrupt {
			interrupt = false
			put(t, other, large(1))
		}
		return send(input)
	}))
	other = openTable(t, open(t, &dynamodb.Options{Table: name}))
	table = openTable(t, with(t, client, &dynamodb.Options{Table: name}))
	partsLeft := func() (n int) {
		for _, it := range items(t, name) {
			if strings.Contains(it["p"].(*types.AttributeValueMemberS).Value, "/part-") {
				n++
			}
		}
		return n
	}
	interrupt = true
	if stored, err := table.PutIf(t.Context(), []driver.Entry{large(1)}, driver.Condition{If: driver.IfAbsent}); err != nil || stored[0] {
		t.Errorf("put reports %v, %v, where another was faster", stored, err)
	}
	if n := partsLeft(); n != 2 {
		t.Errorf("there are %d parts, want those of the other", n)
	}
	sent.take()
	if stored, err := table.PutIf(t.Context(), []driver.Entry{large(1), track(2)}, driver.Condition{If: driver.IfAbsent}); err != nil || stored[0] || !stored[1] {
		t.Errorf("put reports %v, %v, where there is one of two", stored, err)
	}
	if n := sent.take()["BatchWriteItem"]; n != 0 {
		t.Errorf("%d requests with parts were sent", n)
	}
	if stored, err := table.PutIf(t.Context(), []driver.Entry{large(1)}, driver.Condition{If: driver.IfNewer}); err != nil || !stored[0] {
		t.Errorf("put reports %v, %v, where there is an old one", stored, err)
	}
	if n := partsLeft(); n != 2 {
		t.Errorf("there are %d parts, want those of the new payload", n)
	}
	sent.take()
	if stored, err := table.PutIf(t.Context(), []driver.Entry{large(3)}, driver.Condition{If: driver.IfUnchanged}); err != nil || stored[0] {
		t.Errorf("put reports %v, %v, where there is none", stored, err)
	}
	if n := sent.take()["BatchWriteItem"]; n != 0 {
		t.Errorf("%d requests with parts were sent", n)
	}
	if stored, err := table.PutIf(t.Context(), []driver.Entry{large(1)}, driver.Condition{If: driver.IfUnchanged}); err != nil || !stored[0] {
		t.Errorf("put reports %v, %v, where there is one of the same time", stored, err)
	}
	if n := partsLeft(); n != 2 {
		t.Errorf("there are %d parts, want those of the last payload", n)
	}
}

// DynamoDB removes a renewed entry by its new expiry, and no part of its payload before.
func TestTheTimeToLiveFollowsARenewal(t *testing.T) {
	const forever = 1 << 60
	name := newName(t)
	table := openTable(t, open(t, &dynamodb.Options{Table: name, Grace: time.Hour}))
	entries := []driver.Entry{track(1), large(2)}
	put(t, table, entries...)
	for _, hours := range []time.Duration{5, 2, 0, 3} {
		all, want := renewals(entries, `{"A":["1"]}`), int64(forever)
		for i := range all {
			all[i].ExpiresAt = time.Time{}
			if hours > 0 {
				all[i].ExpiresAt = now.Add(hours * time.Hour)
				want = all[i].ExpiresAt.Add(time.Hour).Unix() + 1
			}
		}
		if renewed, err := table.Renew(t.Context(), all); err != nil || slices.Contains(renewed, false) {
			t.Fatalf("renew reports %v, %v", renewed, err)
		}
		for _, it := range items(t, name) {
			key := it["k"].(*types.AttributeValueMemberS).Value
			n := int64(forever)
			if ttl, ok := it["ttl"].(*types.AttributeValueMemberN); ok {
				var err error
				if n, err = strconv.ParseInt(ttl.Value, 10, 64); err != nil {
					t.Error(err)
				}
			}
			if isEntry := strings.HasPrefix(key, "|"); isEntry && n != want || !isEntry && n < want {
				t.Errorf("%d hours: the ttl of %s is %d, want %d", hours, key, n, want)
			}
		}
		for i, e := range get(t, table, entries[0].Key, entries[1].Key) {
			if !bytes.Equal(e.Payload, entries[i].Payload) {
				t.Errorf("payload %d has %d bytes", i, len(e.Payload))
			}
		}
	}
}
