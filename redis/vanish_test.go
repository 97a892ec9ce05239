package redis_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/redis"
)

// expiring is the i-th track, which expires at an instant.
func expiring(i int, instant time.Time) driver.Entry {
	e := track(i)
	e.ExpiresAt = instant
	return e
}

func TestTheServerKeepsAnExpiredEntryForAWhile(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Microsecond) // the tests may have begun long ago
	prefix := newPrefix(t, serverURL(t))
	table := openTable(t, open(t, serverURL(t), &redis.Options{Prefix: prefix, KeepExpired: time.Hour}))
	put(t, table,
		expiring(0, now.Add(time.Hour)), expiring(1, now.Add(-10*time.Minute)), expiring(2, time.Time{}), expiring(3, time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)))
	c := newClient(t, serverURL(t))
	for name, want := range map[string]time.Duration{
		"id-000000:DE:0:true":  2 * time.Hour,
		"id-000001:DE:1:false": 50 * time.Minute,
		"id-000002:DE:2:true":  -time.Millisecond,
		"id-000003:DE:3:false": -time.Millisecond,
	} {
		ms, err := do(t, c, "PTTL", prefix+":{tracks:0}:"+name).AsInt64()
		if got := time.Duration(ms) * time.Millisecond; err != nil || got > want || got < want-10*time.Minute {
			t.Errorf("%s is kept for %v, %v, want %v", name, got, err, want)
		}
	}
	expired := driver.Filter{State: driver.Expired, Now: now}
	if n := count(t, table, expired); n != 1 {
		t.Errorf("%d expired entries, want 1", n)
	}
	stale := 0
	err := table.Get(t.Context(), []driver.Key{track(1).Key}, driver.Selection{Parts: driver.Payload}, func(int, driver.Entry) { stale++ })
	if err != nil || stale != 1 {
		t.Errorf("%d stale entries, %v", stale, err)
	}
}

// The time that the server keeps an entry for follows the entry's expiry.
func TestTheServerKeepsWhatIsRenewedForItsNewTime(t *testing.T) {
	prefix := newPrefix(t, serverURL(t))
	table := openTable(t, open(t, serverURL(t), &redis.Options{Prefix: prefix, KeepExpired: time.Hour}))
	c := newClient(t, serverURL(t))
	e, now := expiring(0, time.Time{}), time.Now().UTC().Truncate(time.Microsecond) // the tests may have begun long ago
	wantKept := func(want time.Duration) {
		t.Helper()
		ms, err := do(t, c, "PTTL", prefix+":{tracks:0}:id-000000:DE:0:true").AsInt64()
		if got := time.Duration(ms) * time.Millisecond; err != nil || got > want || got < want-10*time.Minute {
			t.Errorf("it is kept for %v, %v, want %v", got, err, want)
		}
	}
	put := func() {
		t.Helper()
		if stored, err := table.PutIf(t.Context(), []driver.Entry{e}, driver.Condition{If: driver.IfNewer}); err != nil || !stored[0] {
			t.Fatalf("put reports %v, %v", stored, err)
		}
	}
	renew := func(header string) {
		t.Helper()
		e.Header = header
		if renewed, err := table.Renew(t.Context(), renewals([]driver.Entry{e}, 0)); err != nil || !renewed[0] {
			t.Fatalf("renew reports %v, %v", renewed, err)
		}
	}
	put()
	wantKept(-time.Millisecond)
	for _, header := range []string{`{"A":["1"]}`, `{"A":["2"]}`, `{"Longer":["3"]}`, ""} {
		e.ExpiresAt = now.Add(2 * time.Hour)
		renew(header)
		wantKept(3 * time.Hour)
		e.ExpiresAt = time.Time{}
		renew(header)
		wantKept(-time.Millisecond)
		e.ExpiresAt = now.Add(-10 * time.Minute)
		renew(header)
		wantKept(50 * time.Minute)
		e.ExpiresAt = now.Add(time.Hour)
		put()
		wantKept(2 * time.Hour)
	}
	if n := wantConsistent(t, c, prefix); n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
}

// Conditional saves take away the places of what has vanished, as others do.
func TestAConditionalSaveTakesAwayPlaces(t *testing.T) {
	prefix := newPrefix(t, serverURL(t))
	table := openTable(t, open(t, serverURL(t), &redis.Options{Prefix: prefix, KeepExpired: 50 * time.Millisecond}))
	var entries []driver.Entry
	for i := range 300 {
		entries = append(entries, expiring(i, time.Now().UTC().Truncate(time.Microsecond).Add(-10*time.Millisecond)))
	}
	put(t, table, entries...)
	c := newClient(t, serverURL(t))
	waitfor.True(t, "the index forgets what has vanished", func() bool {
		if _, err := table.PutIf(t.Context(), []driver.Entry{track(1_000)}, driver.Condition{If: driver.IfAbsent}); err != nil {
			t.Fatal(err)
		}
		n, err := do(t, c, "ZCARD", prefix+":{tracks:0}").AsInt64()
		return err == nil && n <= 100
	})
}

// What the server has removed by itself is not counted, is not yielded, and does not
// stay in the index.
func TestVanishedEntriesAreNotCounted(t *testing.T) {
	for name, url := range map[string]func(testing.TB) string{"server": serverURL, "cluster": clusterURL} {
		t.Run(name, func(t *testing.T) {
			prefix := newPrefix(t, url(t))
			table := openTable(t, open(t, url(t), &redis.Options{Prefix: prefix, KeepExpired: 50 * time.Millisecond, Buckets: 2}))
			var entries []driver.Entry
			for i := range 2_500 {
				entries = append(entries, expiring(i, time.Now().UTC().Truncate(time.Microsecond).Add(-10*time.Millisecond)))
			}
			put(t, table, entries...)
			put(t, table, expiring(5_000, now.Add(time.Hour)), expiring(5_001, time.Time{}))
			waitfor.True(t, "what has vanished is not counted", func() bool { return count(t, table, driver.Filter{}) == 2 })
			if n := count(t, table, driver.Filter{State: driver.Expired, Now: time.Now().UTC().Truncate(time.Microsecond)}); n != 0 {
				t.Errorf("%d expired entries are counted", n)
			}
			if n := yielded(t, table, everything); n != 2 {
				t.Errorf("%d entries are yielded, want 2", n)
			}
			c := newClient(t, url(t))
			indexed := func() (n int64) {
				for i := range 2 {
					some, _ := do(t, c, "ZCARD", prefix+":{tracks:"+strconv.Itoa(i)+"}").AsInt64()
					n += some
				}
				return n
			}
			// Saves take away what has vanished, some at a time.
			live, _ := trackEntries(20)
			waitfor.True(t, "the indexes forget what has vanished", func() bool {
				put(t, table, live...)
				return indexed() <= 22+2*100
			})
			// A clear takes the rest.
			if n, err := table.Clear(t.Context(), driver.Filter{}); err != nil || n != 22 {
				t.Errorf("clear removed %d, %v, want 22", n, err)
			}
			if n := indexed(); n != 0 {
				t.Errorf("the indexes of a cleared table have %d places", n)
			}
		})
	}
}

// A save takes away no place whose string is still there, as another store keeps entries
// for longer, or has a clock that is slow.
func TestASaveKeepsThePlacesOfWhatHasNotVanished(t *testing.T) {
	prefix := newPrefix(t, serverURL(t))
	table := openTable(t, open(t, serverURL(t), &redis.Options{Prefix: prefix}))
	var entries []driver.Entry
	for i := range 300 {
		entries = append(entries, expiring(i, now.Add(-time.Hour)))
	}
	put(t, table, entries...)
	put(t, openTable(t, open(t, serverURL(t), &redis.Options{Prefix: prefix, KeepExpired: time.Minute})), track(1_000))
	if n := count(t, table, driver.Filter{State: driver.Expired, Now: now}); n != 300 {
		t.Errorf("%d expired entries are counted, want 300", n)
	}
	if n, err := table.Clear(t.Context(), driver.Filter{}); err != nil || n != 301 {
		t.Errorf("clear removed %d, %v, want 301", n, err)
	}
}

// A server that is short of memory evicts strings, live ones too.
func TestEvictedEntries(t *testing.T) {
	prefix := newPrefix(t, serverURL(t))
	table := openTable(t, open(t, serverURL(t), &redis.Options{Prefix: prefix}))
	entries, keys := trackEntries(10)
	put(t, table, entries...)
	c := newClient(t, serverURL(t))
	evict := func(name string) { do(t, c, "DEL", prefix+":{tracks:0}:"+name) }
	for _, name := range []string{"id-000000:DE:0:true", "id-000001:DE:1:false", "id-000002:DE:2:true", "id-000003:DE:3:false"} {
		evict(name)
	}
	if n := found(t, table, keys...); n != 6 {
		t.Errorf("a get finds %d, want 6", n)
	}
	if n, err := table.Delete(t.Context(), keys[:1]); err != nil || n != 0 {
		t.Errorf("a delete of what was evicted removed %d, %v", n, err)
	}
	if _, ok, err := table.Pop(t.Context(), keys[1], driver.Filter{}); err != nil || ok {
		t.Errorf("a pop of what was evicted: %v, %v", ok, err)
	}
	put(t, table, entries[2])
	if n := yielded(t, table, everything); n != 7 {
		t.Errorf("an iteration yields %d, want 7", n)
	}
	if n := count(t, table, driver.Filter{}); n != 7 {
		t.Errorf("after the iteration there are %d, want 7", n)
	}
	evict("id-000005:DE:5:false")
	if n, err := table.Clear(t.Context(), driver.Filter{State: driver.Live, Now: now}); err != nil || n != 6 {
		t.Errorf("clear removed %d, %v, want 6", n, err)
	}
	if n := count(t, table, driver.Filter{}); n != 0 {
		t.Errorf("after the clear there are %d", n)
	}
}

// Beyond the year 2255 a score does not tell each microsecond.
func TestMicrosecondsOfTheFarFuture(t *testing.T) {
	prefix := newPrefix(t, serverURL(t))
	table := openTable(t, open(t, serverURL(t), &redis.Options{Prefix: prefix, Buckets: 3}))
	for _, base := range []time.Time{
		time.Date(2255, 6, 5, 23, 47, 34, 740_992_000, time.UTC), // 1<<53
		time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 999_900_000, time.UTC),
	} {
		var entries []driver.Entry
		for i := range 100 {
			entries = append(entries, expiring(i, base.Add(time.Duration(i)*time.Microsecond)))
		}
		put(t, table, entries...)
		for _, i := range []int{0, 1, 2, 31, 32, 33, 50, 98, 99} {
			instant := base.Add(time.Duration(i) * time.Microsecond)
			for state, want := range map[driver.State]int{driver.Expired: i + 1, driver.Live: 99 - i, driver.All: 100} {
				f := driver.Filter{State: state, Now: instant}
				if n := count(t, table, f); n != want {
					t.Errorf("%v: %d entries in state %d are counted, want %d", instant, n, state, want)
				}
				if n := yielded(t, table, driver.Selection{Filter: f}); n != want {
					t.Errorf("%v: %d entries in state %d are yielded, want %d", instant, n, state, want)
				}
			}
		}
		cut := driver.Filter{State: driver.Expired, Now: base.Add(49 * time.Microsecond)}
		if n, err := table.Clear(t.Context(), cut); err != nil || n != 50 {
			t.Errorf("clear of the expired removed %d, %v, want 50", n, err)
		}
		cut.State = driver.Live
		if n, err := table.Clear(t.Context(), cut); err != nil || n != 50 {
			t.Errorf("clear of the live removed %d, %v, want 50", n, err)
		}
	}
}
