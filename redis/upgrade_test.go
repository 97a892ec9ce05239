package redis_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/redis"
)

// oldTable writes the first entries of tracks as the version before did, and returns what
// they are now. The second never expires.
func oldTable(t *testing.T, c rueidis.Client, prefix string) []driver.Entry {
	t.Helper()
	const layout = "2006-01-02T15:04:05.000000Z"
	do(t, c, "SET", prefix+":{tracks}",
		`{"layout":1,"buckets":1,"key":[{"name":"id","kind":"string"},{"name":"market","kind":"string"},{"name":"page","kind":"int"},{"name":"explicit","kind":"bool"}]}`)
	entries, _ := trackEntries(4)
	entries[1].ExpiresAt = time.Time{}
	entries[2].Name, entries[2].Header, entries[2].Payload, entries[2].Status = "", "", []byte{}, 0
	entries[3].Name, entries[3].Payload, entries[3].Status = "a 1-\n\x00", []byte("\n\x00- 2-"), -1234
	for i := range entries {
		e := &entries[i]
		text := fmt.Sprintf("id-%06d:DE:%d:%v", i, i, i%2 == 0)
		expires, score, kept := e.ExpiresAt.Format(layout), fmt.Sprint(e.ExpiresAt.UnixMicro()), []string{"PX", "7200000"}
		if e.ExpiresAt.IsZero() {
			expires, score, kept = fmt.Sprintf("%-27s", "never"), "1e18", nil
		}
		head := fmt.Sprintf("%s %s %d %d %d\n%s\n%s\n", expires, e.CachedAt.Format(layout), e.Status, len(e.Name), len(e.Header), e.Name, e.Header)
		do(t, c, "SET", prefix+":{tracks:0}:"+text, append([]string{head + string(e.Payload)}, kept...)...)
		do(t, c, "ZADD", prefix+":{tracks:0}", score, text)
		e.UsedAt = e.CachedAt
	}
	return entries
}

// wantEntries fails the test unless the table has just these entries, by a get, an iteration
// of heads and an iteration of all.
func wantEntries(t *testing.T, table driver.Table, want []driver.Entry) {
	t.Helper()
	check := func(op string, parts driver.Parts, i int, got driver.Entry) {
		t.Helper()
		w := want[i]
		if got.Size < int64(len(w.Payload)+len(w.Header)) {
			t.Errorf("%s: the size of %v is %d", op, w.Key, got.Size)
		}
		same := got.Status == w.Status && got.UsedAt.Equal(w.UsedAt)
		if parts&driver.Meta != 0 {
			same = same && got.Name == w.Name && got.Header == w.Header && got.MetaSum == w.MetaSum && got.CachedAt.Equal(w.CachedAt) && got.ExpiresAt.Equal(w.ExpiresAt)
		}
		if parts&driver.Payload != 0 {
			same = same && string(got.Payload) == string(w.Payload) && got.PayloadSum == w.PayloadSum && got.Encoding == w.Encoding
		}
		if !same {
			t.Errorf("%s: have %+v, want %+v", op, got, w)
		}
	}
	keys := make([]driver.Key, len(want))
	for i := range want {
		keys[i] = want[i].Key
	}
	for _, parts := range []driver.Parts{driver.Usage, driver.Meta | driver.Usage, driver.Payload | driver.Usage, driver.Payload | driver.Meta | driver.Usage} {
		visited := 0
		err := table.Get(t.Context(), keys, driver.Selection{Parts: parts}, func(i int, e driver.Entry) {
			visited++
			check("get", parts, i, e)
		})
		if err != nil || visited != len(want) {
			t.Errorf("get finds %d, %v, want %d", visited, err, len(want))
		}
		iterated := 0
		for e, err := range table.Entries(t.Context(), driver.Selection{Parts: parts}) {
			if err != nil {
				t.Fatal(err)
			}
			iterated++
			check("iterate", parts, slices.IndexFunc(keys, func(k driver.Key) bool { return slices.Equal(k, e.Key) }), e)
		}
		if iterated != len(want) {
			t.Errorf("an iteration yields %d entries, want %d", iterated, len(want))
		}
	}
}

// What the version before has written is read, used, renewed, filtered and cleared like what
// this one writes.
func TestATableOfTheLayoutBefore(t *testing.T) {
	prefix := newPrefix(t, serverURL(t))
	c := newClient(t, serverURL(t))
	want := oldTable(t, c, prefix)
	s := open(t, serverURL(t), &redis.Options{Prefix: prefix, Buckets: 5})
	if specs, err := s.Tables(t.Context()); err != nil || len(specs) != 1 || !slices.Equal(specs[0].Key, tracks.Key) {
		t.Errorf("the tables are %v, %v", specs, err)
	}
	var wg sync.WaitGroup
	tables := make([]driver.Table, 4)
	for i := range tables {
		wg.Go(func() {
			table, err := s.OpenTable(t.Context(), tracks)
			if err != nil {
				t.Error(err)
			}
			tables[i] = table
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	table := tables[0]
	if text, err := do(t, c, "GET", prefix+":{tracks}").ToString(); err != nil || !strings.HasPrefix(text, `{"layout":2,"buckets":1,`) {
		t.Errorf("the description is %s, %v", text, err)
	}
	wantEntries(t, table, want)

	for name, f := range map[string]driver.Where{
		"used": {UsedBefore: want[0].CachedAt}, "cached": {CachedFrom: now.Add(time.Hour)}, "name": {Name: "a 1-"}, "status": {MaxStatus: -2000},
	} {
		if n, err := table.Clear(t.Context(), driver.Filter{Where: f}); err != nil || n != 0 {
			t.Errorf("clear by %s removed %d, %v", name, n, err)
		}
	}

	at := now.Add(time.Minute)
	kept := func(i int) int64 {
		ms, err := do(t, c, "PTTL", fmt.Sprintf("%s:{tracks:0}:id-%06d:DE:%d:%v", prefix, i, i, i%2 == 0)).AsInt64()
		if err != nil {
			t.Fatal(err)
		}
		return ms
	}
	for range 2 { // which bring it to the new layout, and change it in place
		keys := make([]driver.Key, len(want))
		for i := range want {
			keys[i], want[i].UsedAt = want[i].Key, at
		}
		if err := table.Use(t.Context(), keys, at); err != nil {
			t.Fatal(err)
		}
		wantEntries(t, table, want)
		if ms := kept(0); ms < 3_600_000 || ms > 7_200_000 {
			t.Errorf("what is used is kept for %d ms", ms)
		}
		if ms := kept(1); ms != -1 {
			t.Errorf("what is used and never expires is kept for %d ms", ms)
		}
		at = at.Add(time.Minute)
	}
	if n, err := table.Clear(t.Context(), driver.Filter{Where: driver.Where{NamePrefix: "a 1-\n\x00", MinStatus: -1234, MaxStatus: -1}}); err != nil || n != 1 {
		t.Errorf("clear by name removed %d, %v, want 1", n, err)
	}
	if err := s.DropTable(t.Context(), tracks.Name); err != nil {
		t.Fatal(err)
	}
	if left := keysOf(t, c, prefix+":*"); len(left) > 0 {
		t.Errorf("a dropped table has left %q", left)
	}
}

// A renewal brings an entry to the new layout, whether its headers change their length or not.
func TestARenewalOfTheLayoutBefore(t *testing.T) {
	for _, header := range []string{"same", "longer"} {
		prefix := newPrefix(t, serverURL(t))
		c := newClient(t, serverURL(t))
		want := oldTable(t, c, prefix)
		table := openTable(t, open(t, serverURL(t), &redis.Options{Prefix: prefix}))
		rs := make([]driver.Renewal, len(want))
		for i := range want {
			e := &want[i]
			rs[i] = driver.Renewal{Key: e.Key, Seen: e.CachedAt, Header: e.Header, CachedAt: e.CachedAt.Add(time.Second), ExpiresAt: now.Add(2 * time.Hour), MetaSum: 0xfedcba98}
			if header == "longer" {
				rs[i].Header = `{"Longer":["than it was"]}`
			}
			e.Header, e.CachedAt, e.UsedAt, e.ExpiresAt, e.MetaSum = rs[i].Header, rs[i].CachedAt, rs[i].CachedAt, rs[i].ExpiresAt, rs[i].MetaSum
		}
		if renewed, err := table.Renew(t.Context(), rs); err != nil || slices.Contains(renewed, false) {
			t.Fatalf("renew reports %v, %v", renewed, err)
		}
		wantEntries(t, table, want)
	}
}

// The server keeps what is used for the time that it had, and no payload is sent or copied.
func TestAUseKeepsTheTimeAndMovesNoPayload(t *testing.T) {
	prefix := newPrefix(t, serverURL(t))
	table, counter := counted(t, &redis.Options{Prefix: prefix, KeepExpired: time.Hour})
	c := newClient(t, serverURL(t))
	entries, keys := trackEntries(20)
	for i := range entries {
		entries[i].Payload = make([]byte, 1<<20)
		entries[i].ExpiresAt = now.Add(time.Hour)
	}
	entries[3].ExpiresAt = time.Time{}
	put(t, table, entries...)
	counter.received.Store(0)
	counter.most.Store(0)
	if err := table.Use(t.Context(), keys, now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if sent, got := counter.most.Load(), counter.received.Load(); sent > 1<<16 || got > 1<<16 {
		t.Errorf("uses have sent %d bytes and received %d", sent, got)
	}
	for i := range entries {
		ms, err := do(t, c, "PTTL", fmt.Sprintf("%s:{tracks:0}:id-%06d:DE:%d:%v", prefix, i, i%7, i%2 == 0)).AsInt64()
		if err != nil || (i == 3) != (ms == -1) || ms > 7_200_000 || i != 3 && ms < 3_600_000 {
			t.Errorf("%d is kept for %d ms, %v", i, ms, err)
		}
	}
	counter.received.Store(0)
	size, err := table.Size(t.Context())
	if err != nil || size.Entries != 20 || size.Bytes < 20<<20 || size.Bytes > 21<<20 {
		t.Errorf("the size is %+v, %v", size, err)
	}
	if got := counter.received.Load(); got > 1<<16 {
		t.Errorf("the size was told in %d bytes", got)
	}
}

// An encoding that would not fit the first line of a string is refused.
func TestEncodings(t *testing.T) {
	table := openTable(t, open(t, serverURL(t), &redis.Options{Prefix: newPrefix(t, serverURL(t))}))
	for encoding, ok := range map[string]bool{"zstd": true, strings.Repeat("z", 32): true, strings.Repeat("z", 33): false, "a b": false, "a\n": false} {
		e := track(1)
		e.Encoding = encoding
		if err := table.Put(t.Context(), []driver.Entry{e}); (err == nil) != ok {
			t.Errorf("%q: %v", encoding, err)
		}
	}
}
