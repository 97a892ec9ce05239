package mongodb_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/mongodb"
)

// commands notes the names of commands.
type commands struct {
	mu    sync.Mutex
	names []string
}

// monitor notes those that are sent.
func (c *commands) monitor(o *options.ClientOptions) {
	o.SetMonitor(&event.CommandMonitor{Started: func(_ context.Context, e *event.CommandStartedEvent) { c.add(e.CommandName) }})
}

func (c *commands) add(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.names = append(c.names, name)
}

func (c *commands) take() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := strings.Join(c.names, " ")
	c.names = nil
	return names
}

// times are n commands of a name.
func times(n int, name string) string { return strings.TrimSuffix(strings.Repeat(name+" ", n), " ") }

func TestBulkTakesFewCommands(t *testing.T) {
	var sent commands
	s, err := mongodb.New(t.Context(), newClient(t, serverURL(t), sent.monitor).Database(newDatabase(t)), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	table := openTracks(t, s)
	const n = 2_000
	entries, keys := trackEntries(n)
	sel := driver.Selection{Parts: driver.Payload | driver.Meta}
	get := func(n int) func() error {
		return func() error { return table.Get(t.Context(), keys[:n], sel, func(int, driver.Entry) {}) }
	}
	put := func(n int) func() error { return func() error { return table.Put(t.Context(), entries[:n]) } }
	remove := func(n int) func() error {
		return func() error {
			_, err := table.Delete(t.Context(), keys[:n])
			return err
		}
	}
	// MongoDB's answers have up to 16 MB, and its commands any number of documents.
	// FerretDB is asked for 30, and then for 1,000; its commands have 50.
	putIf := func(n int) func() error {
		return func() error {
			_, err := table.PutIf(t.Context(), entries[:n], driver.Condition{If: driver.IfNewer})
			return err
		}
	}
	putIfUnchanged := func(n int) func() error {
		return func() error {
			_, err := table.PutIf(t.Context(), entries[:n], driver.Condition{If: driver.IfUnchanged})
			return err
		}
	}
	renew := func(n int) func() error {
		return func() error {
			renewals := make([]driver.Renewal, n)
			for i, e := range entries[:n] {
				renewals[i] = driver.Renewal{Key: e.Key, Seen: e.CachedAt, Header: e.Header, CachedAt: e.CachedAt, ExpiresAt: e.ExpiresAt}
			}
			_, err := table.Renew(t.Context(), renewals)
			return err
		}
	}
	more, perSave, rest, look := func(int) string { return "" }, 1_000, " find find", func(int) string { return "" }
	perUse, sum, page := 1_000, "", " killCursors"
	if isFerretDB(t) {
		perUse, sum, page = 50, " aggregate", " getMore killCursors"
		more, perSave = func(n int) string { return " " + times((n-30+999)/1_000, "getMore") }, 50
		look = func(n int) string { return strings.TrimSpace("find"+more(n)) + " " }
		rest = " find" + more(n-1_100)
	}
	for _, op := range []struct {
		name string
		want string
		do   func() error
	}{
		{"put 1", "update", put(1)},
		{"put 1000", times(1_000/perSave, "update"), put(1_000)},
		{"put 2000", times(n/perSave, "update"), put(n)},
		{"put 1 if newer", look(1) + "update", putIf(1)},
		{"put 1000 if newer", look(1_000) + times(1_000/perSave, "update"), putIf(1_000)},
		{"put 1 if unchanged", look(1) + "update", putIfUnchanged(1)},
		{"put 1000 if unchanged", look(1_000) + times(1_000/perSave, "update"), putIfUnchanged(1_000)},
		{"renew 1", look(1) + "update", renew(1)},
		{"renew 1000", look(1_000) + times(1_000/perSave, "update"), renew(1_000)},
		{"get 1", "find", get(1)},
		{"get 1000", "find" + more(1_000), get(1_000)},
		{"get 2000", "find" + more(n), get(n)},
		{"count", "aggregate", func() error {
			_, err := table.Count(t.Context(), driver.Filter{})
			return err
		}},
		{"use 1", "update", func() error { return table.Use(t.Context(), keys[:1], now.Add(time.Minute)) }},
		{"use 1000", times(1_000/perUse, "update"), func() error { return table.Use(t.Context(), keys[:1_000], now.Add(time.Minute)) }},
		{"size", "createIndexes find aggregate" + sum, func() error {
			_, err := table.Size(t.Context())
			return err
		}},
		{"list", "createIndexes find" + page + " find", func() error {
			_, err := table.List(t.Context(), driver.Listing{Selection: sel, Order: driver.ByName, Limit: 100})
			return err
		}},
		{"iterate", times(1, "find") + more(100) + " find find" + more(1_000) + rest, func() error {
			for _, err := range table.Entries(t.Context(), sel) {
				if err != nil {
					return err
				}
			}
			return nil
		}},
		{"pop", "findAndModify", func() error {
			_, _, err := table.Pop(t.Context(), keys[n-1], driver.Filter{State: driver.Live, Now: now})
			return err
		}},
		{"delete 1", "delete", remove(1)},
		{"delete 1000", "delete", remove(1_000)},
		{"clear", "find" + more(n-1_001) + " delete", func() error {
			_, err := table.Clear(t.Context(), driver.Filter{State: driver.Expired, Now: now.Add(2 * time.Hour)})
			return err
		}},
		{"clear of nothing", "find", func() error {
			_, err := table.Clear(t.Context(), driver.Filter{})
			return err
		}},
	} {
		sent.take()
		if err := op.do(); err != nil {
			t.Fatalf("%s: %v", op.name, err)
		}
		if got := sent.take(); got != op.want {
			t.Errorf("%s sends %s, want %s", op.name, got, op.want)
		}
	}
}

// A command has so many keys at most, and they are asked for in several.
func TestMoreKeysThanACommandTakes(t *testing.T) {
	table := openTracks(t, open(t, serverURL(t), &mongodb.Options{Database: newDatabase(t)}))
	entries, keys := trackEntries(2*mongodb.MaxKeys + 1)
	there := []driver.Entry{entries[0], entries[mongodb.MaxKeys-1], entries[mongodb.MaxKeys], entries[2*mongodb.MaxKeys]}
	if err := table.Put(t.Context(), there); err != nil {
		t.Fatal(err)
	}
	var found atomic.Int64
	if err := table.Get(t.Context(), keys, driver.Selection{}, func(int, driver.Entry) { found.Add(1) }); err != nil || found.Load() != 4 {
		t.Errorf("a get finds %d entries, want 4, %v", found.Load(), err)
	}
	if n, err := table.Delete(t.Context(), keys); err != nil || n != 4 {
		t.Errorf("delete removed %d entries, want 4, %v", n, err)
	}
}

// A message has 48 MB at most, and so has an answer.
func TestLargeEntriesAreSentInSeveralMessages(t *testing.T) {
	s := open(t, serverURL(t), &mongodb.Options{Database: newDatabase(t)})
	table := openTracks(t, s)
	const n, size = 20, 1 << 20
	entries, keys := trackEntries(n)
	for i := range entries {
		entries[i].Payload = bytes.Repeat([]byte{'a'}, size)
		entries[i].Payload[i] = 'b'
	}
	if err := table.Put(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	found := 0
	err := table.Get(t.Context(), keys, driver.Selection{Parts: driver.Payload}, func(i int, e driver.Entry) {
		if len(e.Payload) != size || e.Payload[i] != 'b' {
			t.Errorf("entry %d has %d bytes", i, len(e.Payload))
		}
		found++
	})
	if err != nil || found != n {
		t.Errorf("%d entries were found, %v", found, err)
	}
	yielded := 0
	for e, err := range table.Entries(t.Context(), driver.Selection{Parts: driver.Payload}) {
		if err != nil || len(e.Payload) != size {
			t.Fatalf("%d bytes, %v", len(e.Payload), err)
		}
		yielded++
	}
	if yielded != n {
		t.Errorf("%d entries were yielded", yielded)
	}
}

// What the driver and the server have to say beside the document fits too.
func TestADocumentMayBeAsLongAsTheServerAllows(t *testing.T) {
	const limit = 16 << 20
	database := newDatabase(t)
	table := openTracks(t, open(t, serverURL(t), &mongodb.Options{Database: database}))
	e := track(1)
	e.Key[0] = strings.Repeat("k", 900) // the command has the _id once more
	if err := table.Put(t.Context(), []driver.Entry{e}); err != nil {
		t.Fatal(err)
	}
	doc, err := newClient(t, serverURL(t)).Database(database).Collection("tracks").FindOne(t.Context(), bson.D{}).Raw()
	if err != nil {
		t.Fatal(err)
	}
	e.Payload = bytes.Repeat([]byte("p"), limit-len(doc)+len(e.Payload))
	if err := table.Put(t.Context(), []driver.Entry{e}); err != nil {
		t.Fatalf("a document of 16 MiB: %v", err)
	}
	err = table.Get(t.Context(), []driver.Key{e.Key}, driver.Selection{Parts: driver.Payload}, func(_ int, got driver.Entry) {
		if !bytes.Equal(got.Payload, e.Payload) {
			t.Errorf("%d bytes came back of %d", len(got.Payload), len(e.Payload))
		}
	})
	if err != nil {
		t.Error(err)
	}
	e.Payload = append(e.Payload, 'p')
	if err := table.Put(t.Context(), []driver.Entry{track(2), e}); !errors.Is(err, driver.ErrTooLarge) {
		t.Errorf("one byte more: %v", err)
	}
	if n, err := table.Count(t.Context(), driver.Filter{}); err != nil || n != 1 {
		t.Errorf("%d entries, want 1, %v", n, err)
	}
}

// A server would keep the cursor of a read that was cancelled for minutes.
func TestACancelledReadLeavesNoCursor(t *testing.T) {
	var done commands
	client := newClient(t, serverURL(t), func(o *options.ClientOptions) {
		o.SetMonitor(&event.CommandMonitor{Succeeded: func(_ context.Context, e *event.CommandSucceededEvent) { done.add(e.CommandName) }})
	})
	s, err := mongodb.New(t.Context(), client.Database(newDatabase(t)), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	table := openTracks(t, s)
	entries, keys := trackEntries(40) // more than an answer has
	for i := range entries {
		entries[i].Payload = bytes.Repeat([]byte{'a'}, 1<<19)
	}
	if err := table.Put(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	done.take()
	ctx, cancel := context.WithCancel(t.Context())
	err = table.Get(ctx, keys, driver.Selection{Parts: driver.Payload}, func(int, driver.Entry) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the read ended with %v", err)
	}
	if got := done.take(); got != "find killCursors" {
		t.Errorf("the server has done %s", got)
	}
}
