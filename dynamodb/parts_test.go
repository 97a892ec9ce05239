package dynamodb_test

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/dynamodb"
)

// large is an entry whose payload has two parts.
func large(i int) driver.Entry {
	e := track(i)
	e.Payload = noise(dynamodb.PartSize + 30<<10)
	e.Payload[0] = byte(i)
	return e
}

// The most requests that a call has under way are those that the user allows, also
// where payloads are split. An iteration holds no more of these than it reads at once.
func TestSplitPayloadsTakeNoMoreRequestsAtOnce(t *testing.T) {
	const parallel = 2
	var running, most atomic.Int64
	var sent requests
	client := newClient(t, sent.count, around(func(input any, send func(any) (any, error)) (any, error) {
		now := running.Add(1)
		defer running.Add(-1)
		for {
			if before := most.Load(); now <= before || most.CompareAndSwap(before, now) {
				return send(input)
			}
		}
	}))
	table := openTable(t, with(t, client, &dynamodb.Options{Table: newName(t), Parallel: parallel}))
	var entries []driver.Entry
	var keys []driver.Key
	partitions := make(map[string]int)
	n := 120
	if testing.Short() {
		n = 60
	}
	for i := 0; len(keys) < n; i++ {
		e := large(i)
		if p, _ := dynamodb.Place(table, e.Key); p[len(p)-1] < '2' { // those of two partitions
			entries, keys = append(entries, e), append(keys, e.Key)
			partitions[p]++
		}
	}
	put(t, table, entries...)
	for i, e := range get(t, table, keys...) {
		if !bytes.Equal(e.Payload, entries[i].Payload) {
			t.Fatalf("entry %d has %d bytes", i, len(e.Payload))
		}
	}
	sent.take()
	yielded := 0
	for _, err := range table.Entries(t.Context(), everything) {
		if err != nil {
			t.Fatal(err)
		}
		if yielded++; yielded > 1 {
			continue
		}
		if n := sent.take()["BatchGetItem"]; n > parallel {
			t.Errorf("%d requests for parts before the first entry, want %d", n, parallel)
		}
	}
	if yielded != len(keys) {
		t.Errorf("%d entries, want %d", yielded, len(keys))
	}
	half := len(keys) / 2
	if n, err := table.Delete(t.Context(), keys[:half]); err != nil || n != half {
		t.Errorf("delete removed %d: %v", n, err)
	}
	if n, err := table.Clear(t.Context(), driver.Filter{}); err != nil || n != half {
		t.Errorf("clear removed %d: %v", n, err)
	}
	if n := most.Load(); n > parallel {
		t.Errorf("%d requests at once, want %d; the partitions have %v", n, parallel, partitions)
	}
}

// A pop that has taken an entry whose parts go, as somebody replaces it, takes the one
// that replaces it.
func TestPopTakesWhatReplacesATornEntry(t *testing.T) {
	name := newName(t)
	other := openTable(t, open(t, &dynamodb.Options{Table: name}))
	var once sync.Once
	table := openTable(t, with(t, newClient(t, around(func(input any, send func(any) (any, error)) (any, error) {
		out, err := send(input)
		if _, ok := input.(*awsdynamodb.DeleteItemInput); ok {
			once.Do(func() {
				removeParts(t, name)
				put(t, other, track(1))
			})
		}
		return out, err
	})), &dynamodb.Options{Table: name}))
	put(t, other, large(1))
	e, ok, err := table.Pop(t.Context(), track(1).Key, driver.Filter{State: driver.Live, Now: now})
	if err != nil || !ok || !bytes.Equal(e.Payload, track(1).Payload) {
		t.Errorf("pop = %d bytes, %t, %v", len(e.Payload), ok, err)
	}
	if n, err := other.Count(t.Context(), driver.Filter{}); n != 0 || err != nil {
		t.Errorf("%d entries are left: %v", n, err)
	}
}

// An eventual read may see an entry before its parts.
func TestPartsThatAnEventualReadDoesNotSee(t *testing.T) {
	eventual := 0
	client := newClient(t, around(func(input any, send func(any) (any, error)) (any, error) {
		out, err := send(input)
		if in, ok := input.(*awsdynamodb.BatchGetItemInput); ok && err == nil {
			for _, keys := range in.RequestItems {
				if !aws.ToBool(keys.ConsistentRead) {
					eventual++
					out.(*awsdynamodb.BatchGetItemOutput).Responses = nil
				}
			}
		}
		return out, err
	}))
	table := openTable(t, with(t, client, &dynamodb.Options{Table: newName(t), EventualReads: true}))
	e := large(1)
	put(t, table, e)
	if got := get(t, table, e.Key); !bytes.Equal(got[0].Payload, e.Payload) || eventual != 1 {
		t.Errorf("%d entries of %d bytes after %d eventual reads", len(got), len(got[0].Payload), eventual)
	}
}

// Writers, pops, deletes and clears of one large entry at once: each sees it whole or
// not at all, and of all that was saved each is taken once at most.
func TestLargeEntriesComeAndGo(t *testing.T) {
	name := newName(t)
	table := openTable(t, open(t, &dynamodb.Options{Table: name}))
	const versions = 15
	var wait sync.WaitGroup
	var mu sync.Mutex
	popped := make(map[byte]int)
	done := make(chan struct{})
	check := func(e driver.Entry) {
		want := large(int(e.Payload[0]))
		if !bytes.Equal(e.Payload, want.Payload) {
			t.Errorf("a payload of %d bytes is torn", len(e.Payload))
		}
	}
	for _, op := range []func() error{
		func() error {
			e, ok, err := table.Pop(t.Context(), track(1).Key, driver.Filter{})
			if ok {
				check(e)
				mu.Lock()
				popped[e.Payload[0]]++
				mu.Unlock()
			}
			return err
		},
		func() error {
			return table.Get(t.Context(), []driver.Key{track(1).Key, track(2).Key}, everything, func(_ int, e driver.Entry) { check(e) })
		},
		func() error {
			_, err := table.Delete(t.Context(), []driver.Key{track(1).Key, track(2).Key})
			return err
		},
		func() error { _, err := table.Clear(t.Context(), driver.Filter{}); return err },
	} {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := op(); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	for v := range versions {
		e := large(v)
		e.Key = track(1).Key
		put(t, table, e)
	}
	close(done)
	wait.Wait()
	for v, n := range popped {
		if n > 1 {
			t.Errorf("version %d was popped %d times", v, n)
		}
	}
	if _, err := table.Clear(t.Context(), driver.Filter{}); err != nil {
		t.Error(err)
	}
	if n := parts(t, name); n != 0 {
		t.Errorf("%d parts are left", n)
	}
}

// removeParts removes the parts of all payloads of a table.
func removeParts(tb testing.TB, table string) {
	tb.Helper()
	client := newClient(tb)
	for _, it := range items(tb, table) {
		if !isPart(it) {
			continue
		}
		_, err := client.DeleteItem(tb.Context(), &awsdynamodb.DeleteItemInput{
			TableName: &table, Key: map[string]types.AttributeValue{"p": it["p"], "k": it["k"]},
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
}

// sizeOf is the size of an attribute as DynamoDB counts it.
func sizeOf(name string, value types.AttributeValue) int {
	n := len(name)
	switch v := value.(type) {
	case *types.AttributeValueMemberS:
		return n + len(v.Value)
	case *types.AttributeValueMemberB:
		return n + len(v.Value)
	case *types.AttributeValueMemberN:
		return n + (len(v.Value)+1)/2 + 2
	case *types.AttributeValueMemberM:
		for name, value := range v.Value {
			n += 1 + sizeOf(name, value)
		}
		return n + 3
	}
	return n + 1
}

// An item and what the index has of it are 400 KB together at most: DynamoDB refuses
// more, but DynamoDB Local does not count the index.
func TestItemsFitTogetherWithTheirIndex(t *testing.T) {
	long := func(c string) string { return c + fmt.Sprintf("%0254d", 0) }
	var columns []driver.Column
	var key driver.Key
	for i := range 20 {
		columns = append(columns, driver.Column{Name: long(string(rune('a' + i))), Kind: driver.Kind(1 + i%3)})
		key = append(key, []driver.Value{"é\x00|" + long("k"), int64(-1 << 63), false}[i%3])
	}
	for _, names := range [][3]string{{}, {long("p"), long("k"), long("v")}} {
		name := newName(t)
		s := open(t, &dynamodb.Options{Table: name, Namespace: long("n"), PartitionAttribute: names[0], KeyAttribute: names[1], ValueAttribute: names[2]})
		table, err := s.OpenTable(t.Context(), driver.TableSpec{Name: long("t"), Key: columns})
		if err != nil {
			t.Fatal(err)
		}
		e := track(1)
		e.Key = key
		whole := 0 // bytes of the largest item that is not split
		for n, step := 300<<10, 64<<10; step > 0; step /= 2 {
			e.Payload = noise(n + step)
			put(t, table, e)
			size, split := 0, false
			for _, it := range items(t, name) {
				if it["key_fields"] == nil {
					continue
				}
				split = it["generation"] != nil
				for attribute, value := range it {
					size += sizeOf(attribute, value)
					switch attribute {
					case names[0], names[1], "p", "k", "key_fields", "expires_at", "status":
						size += sizeOf(attribute, value)
					}
				}
			}
			if split {
				continue
			}
			n, whole = n+step, size
			if size > 400<<10 {
				t.Fatalf("an item and its part of the index have %d bytes", size)
			}
		}
		if whole < 396<<10 {
			t.Errorf("the largest item has %d bytes, want almost 400 KB", whole)
		}
	}
}
