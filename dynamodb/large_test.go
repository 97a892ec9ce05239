package dynamodb_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/dynamodb"
)

// noise are n bytes that do not compress.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// items are all items of a table.
func items(tb testing.TB, table string) (all []map[string]types.AttributeValue) {
	tb.Helper()
	pages := awsdynamodb.NewScanPaginator(newClient(tb), &awsdynamodb.ScanInput{TableName: &table})
	for pages.HasMorePages() {
		page, err := pages.NextPage(context.Background())
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, page.Items...)
	}
	return all
}

// parts counts the items of a table that hold parts of payloads.
func parts(tb testing.TB, table string) (n int) {
	tb.Helper()
	for _, it := range items(tb, table) {
		if isPart(it) {
			n++
		}
	}
	return n
}

func isPart(it map[string]types.AttributeValue) bool {
	p, ok := it["p"].(*types.AttributeValueMemberS)
	return ok && strings.Contains(p.Value, "/part-")
}

func TestPayloadsOfAllSizes(t *testing.T) {
	name := newName(t)
	table := openTable(t, open(t, &dynamodb.Options{Table: name}))
	var entries []driver.Entry
	var keys []driver.Key
	for i, payload := range [][]byte{
		noise(390 << 10), noise(399 << 10), noise(400 << 10), noise(401 << 10), noise(dynamodb.PartSize), noise(dynamodb.PartSize + 1),
		noise(2 * dynamodb.PartSize), noise(5 << 20), bytes.Repeat([]byte("compresses "), 200_000), make([]byte, dynamodb.MaxPayload), {}, []byte("small"),
	} {
		e := track(i)
		e.Payload = payload
		entries, keys = append(entries, e), append(keys, e.Key)
	}
	put(t, table, entries...)
	check := func(i int, got driver.Entry) {
		t.Helper()
		if !bytes.Equal(got.Payload, entries[i].Payload) || got.Name != entries[i].Name {
			t.Errorf("entry %d has %d bytes, want %d", i, len(got.Payload), len(entries[i].Payload))
		}
	}
	found := get(t, table, append(keys, keys...)...)
	for i := range 2 * len(entries) {
		check(i%len(entries), found[i])
	}
	yielded := 0
	for e, err := range table.Entries(t.Context(), everything) {
		if err != nil {
			t.Fatal(err)
		}
		var i int
		if _, err := fmt.Sscanf(e.Key[0].(string), "id-%d", &i); err != nil {
			t.Fatal(err)
		}
		check(i, e)
		yielded++
	}
	if n, err := table.Count(t.Context(), driver.Filter{}); yielded != len(entries) || n != len(entries) || err != nil {
		t.Errorf("%d entries yielded, %d counted, want %d: %v", yielded, n, len(entries), err)
	}
	if n := parts(t, name); n == 0 {
		t.Error("no payload is split")
	}
	e, ok, err := table.Pop(t.Context(), keys[7], driver.Filter{State: driver.Live, Now: now})
	if err != nil || !ok {
		t.Fatalf("pop: %v, %v", ok, err)
	}
	check(7, e)
	if n, err := table.Delete(t.Context(), keys); err != nil || n != len(keys)-1 {
		t.Errorf("delete removed %d: %v", n, err)
	}
	if n := parts(t, name); n != 0 {
		t.Errorf("%d parts are left", n)
	}
}

func TestReplacedPartsAreRemoved(t *testing.T) {
	name := newName(t)
	table := openTable(t, open(t, &dynamodb.Options{Table: name}))
	e, other := track(1), track(2)
	e.Payload, other.Payload = noise(3*dynamodb.PartSize), noise(2*dynamodb.PartSize)
	for range 3 {
		put(t, table, e, other, track(3))
		if n := parts(t, name); n != 5 {
			t.Errorf("%d parts, want 5", n)
		}
	}
	if n, err := table.Clear(t.Context(), driver.Filter{State: driver.Expired, Now: e.ExpiresAt}); err != nil || n != 3 {
		t.Errorf("clear removed %d: %v", n, err)
	}
	if n := parts(t, name); n != 0 {
		t.Errorf("%d parts are left", n)
	}
}

// What a writer leaves that has crashed before it came to the entry's item: clearing
// removes it, but not what somebody is writing.
func TestClearRemovesWhatCrashedWritersLeave(t *testing.T) {
	name := newName(t)
	table := openTable(t, open(t, &dynamodb.Options{Table: name}))
	e := track(1)
	e.Payload = noise(2 * dynamodb.PartSize)
	put(t, table, e)
	leave := func(age time.Duration) {
		t.Helper()
		p, k := dynamodb.Orphan(table, time.Now().Add(-age))
		_, err := newClient(t).PutItem(t.Context(), &awsdynamodb.PutItemInput{TableName: &name, Item: map[string]types.AttributeValue{
			"p": &types.AttributeValueMemberS{Value: p}, "k": &types.AttributeValueMemberS{Value: k},
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	leave(2 * time.Hour)
	leave(0)
	if n, err := table.Count(t.Context(), driver.Filter{}); err != nil || n != 1 {
		t.Errorf("count is %d: %v", n, err)
	}
	if n, err := table.Clear(t.Context(), driver.Filter{}); err != nil || n != 1 {
		t.Errorf("clear removed %d: %v", n, err)
	}
	if n := parts(t, name); n != 1 {
		t.Errorf("%d parts are left, want the new one", n)
	}
}

func TestNoReaderSeesHalfALargePayload(t *testing.T) {
	table := openTable(t, open(t, &dynamodb.Options{Table: newName(t)}))
	version := func(v int) driver.Entry {
		e := track(1)
		e.Status = v
		e.Payload = noise(1 << 20)
		for i := 0; i < len(e.Payload); i += 1024 {
			e.Payload[i] = byte(v)
		}
		return e
	}
	whole := func(e driver.Entry) error {
		for i := 0; i < len(e.Payload); i += 1024 {
			if e.Payload[i] != byte(e.Status) {
				return fmt.Errorf("version %d has a byte of %d", e.Status, e.Payload[i])
			}
		}
		if len(e.Payload) != 1<<20 {
			return fmt.Errorf("version %d has %d bytes", e.Status, len(e.Payload))
		}
		return nil
	}
	put(t, table, version(0))
	rounds := 12
	if testing.Short() {
		rounds = 4
	}
	done := make(chan struct{})
	var writers, readers sync.WaitGroup
	for w := range 2 {
		writers.Add(1)
		go func() {
			defer writers.Done()
			for v := range rounds {
				if err := table.Put(t.Context(), []driver.Entry{version(1 + w*100 + v)}); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	for r := range 2 {
		readers.Add(1)
		go func() {
			defer readers.Done()
			for {
				select {
				case <-done:
					return
				default:
				}
				seen := 0
				var err error
				if r == 0 {
					err = table.Get(t.Context(), []driver.Key{track(1).Key}, everything, func(_ int, e driver.Entry) {
						seen++
						if err := whole(e); err != nil {
							t.Error(err)
						}
					})
				} else {
					for e, iterErr := range table.Entries(t.Context(), everything) {
						seen++
						if err = errors.Join(err, iterErr); err == nil {
							err = whole(e)
						}
					}
				}
				if err != nil || seen != 1 {
					t.Errorf("%d entries: %v", seen, err)
					return
				}
			}
		}()
	}
	writers.Wait()
	close(done)
	readers.Wait()
}

// An entry whose parts are gone for good is a miss, and can be saved again.
func TestAnEntryThatHasLostItsPartsIsAMiss(t *testing.T) {
	name := newName(t)
	table := openTable(t, open(t, &dynamodb.Options{Table: name}))
	e := track(1)
	e.Payload = noise(2 * dynamodb.PartSize)
	put(t, table, e, track(2))
	removeParts(t, name)
	if found := get(t, table, e.Key, track(2).Key); len(found) != 1 || found[1].Name != "track 2" {
		t.Errorf("found %v", found)
	}
	put(t, table, e)
	if found := get(t, table, e.Key); !bytes.Equal(found[0].Payload, e.Payload) {
		t.Error("what was saved again is not there")
	}
}

func TestHeadersAndNamesBeyondAnItemAreTooLarge(t *testing.T) {
	table := openTable(t, open(t, &dynamodb.Options{Table: newName(t)}))
	for _, change := range []func(*driver.Entry){
		func(e *driver.Entry) { e.Name = strings.Repeat("n", 410<<10) },
		func(e *driver.Entry) { e.Header = `{"X":["` + strings.Repeat("h", 410<<10) + `"]}` },
		func(e *driver.Entry) { e.Key = driver.Key{strings.Repeat("k", 210<<10), "", int64(0), false} },
	} {
		e := track(1)
		change(&e)
		if err := table.Put(t.Context(), []driver.Entry{track(2), e}); !errors.Is(err, driver.ErrTooLarge) {
			t.Errorf("put: %v", err)
		}
	}
	if n, err := table.Count(t.Context(), driver.Filter{}); n != 0 || err != nil {
		t.Errorf("%d entries, %v: nothing was to be saved", n, err)
	}
	// What is just below fits, whatever the payload.
	e := track(1)
	e.Key = driver.Key{strings.Repeat("k", 190<<10), "", int64(0), false}
	e.Payload = noise(1 << 20)
	put(t, table, e)
	if got := get(t, table, e.Key)[0]; !bytes.Equal(got.Payload, e.Payload) {
		t.Error("the largest key's entry is not there")
	}
}
