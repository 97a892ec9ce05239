package redis_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/redis"
)

// do sends a command whose first argument is a key.
func do(tb testing.TB, c rueidis.Client, command, key string, args ...string) rueidis.RedisResult {
	tb.Helper()
	result := c.Do(context.Background(), c.B().Arbitrary(command).Keys(key).Args(args...).Build())
	if err := result.Error(); err != nil && !rueidis.IsRedisNil(err) {
		tb.Fatalf("%s %s: %v", command, key, err)
	}
	return result
}

// What the documentation says of the layout.
func TestLayout(t *testing.T) {
	prefix := newPrefix(t, serverURL(t))
	table := openTable(t, open(t, serverURL(t), &redis.Options{Prefix: prefix}))
	e := track(1)
	e.CachedAt, e.ExpiresAt = time.Date(2026, 11, 21, 16, 45, 26, 123_456_000, time.UTC), time.Date(2126, 11, 21, 17, 45, 26, 123_456_000, time.UTC)
	e.Encoding, e.PayloadSum, e.MetaSum = "zstd", 0x89abcdef, 1
	never := track(2)
	never.ExpiresAt = time.Time{}
	put(t, table, e, never)
	c := newClient(t, serverURL(t))

	want := []string{":{tracks:0}", ":{tracks:0}:id-000001:DE:1:false", ":{tracks:0}:id-000002:DE:2:true", ":{tracks}"}
	var have []string
	for _, key := range keysOf(t, c, prefix+"*") {
		have = append(have, strings.TrimPrefix(key, prefix))
	}
	slices.Sort(have)
	if !slices.Equal(have, want) {
		t.Errorf("the keys are %q, want %q", have, want)
	}
	for key, want := range map[string]string{
		":{tracks}": `{"layout":2,"buckets":1,"key":[{"name":"id","kind":"string"},{"name":"market","kind":"string"},{"name":"page","kind":"int"},{"name":"explicit","kind":"bool"}]}`,
		":{tracks:0}:id-000001:DE:1:false": "2126-11-21T17:45:26.123456Z 2026-11-21T16:45:26.123456Z 2026-11-21T16:45:26.123456Z 200 7 37 89abcdef 00000001 zstd\ntrack 1\n" +
			`{"Content-Type":["application/json"]}` + "\n" + string(e.Payload),
	} {
		if got, err := do(t, c, "GET", prefix+key).ToString(); err != nil || got != want {
			t.Errorf("%s is\n%s %v, want\n%s", key, got, err, want)
		}
	}
	index, err := do(t, c, "ZRANGE", prefix+":{tracks:0}", "0", "-1", "WITHSCORES").ToAny()
	t.Log(index, err)
	for member, want := range map[string]float64{"id-000001:DE:1:false": float64(e.ExpiresAt.UnixMicro()), "id-000002:DE:2:true": 1e18} {
		if got, err := do(t, c, "ZSCORE", prefix+":{tracks:0}", member).AsFloat64(); err != nil || got != want {
			t.Errorf("the score of %s is %f, %v, want %f", member, got, err, want)
		}
	}
}

// Beside the cache there are the keys of others, some of which look alike. Whatever the
// cache does, they stay as they are, and so do the tables of another prefix.
func TestNothingOutsideThePrefixIsTouched(t *testing.T) {
	for name, url := range map[string]func(testing.TB) string{"server": serverURL, "cluster": clusterURL} {
		t.Run(name, func(t *testing.T) {
			prefix := newPrefix(t, url(t))
			c := newClient(t, url(t))
			foreign := map[string]string{}
			for _, key := range []string{
				prefix, prefix + "x", prefix + "x:{tracks}", "x" + prefix + ":{tracks:0}:a", "{tracks:0}:a", prefix + "{tracks:0}", prefix + "-:{tracks:0}",
				prefix + ":mine", prefix + ":{tracks:0}x", prefix + ":{albums}",
			} {
				foreign[key] = "value of " + key
				do(t, c, "SET", key, foreign[key])
				t.Cleanup(func() { do(t, c, "DEL", key) })
			}
			other := openTable(t, open(t, url(t), &redis.Options{Prefix: prefix + ":inner"}))
			entries, keys := trackEntries(500)
			put(t, other, entries[:100]...)

			table := openTable(t, open(t, url(t), &redis.Options{Prefix: prefix}))
			if n := count(t, table, driver.Filter{}); n != 0 {
				t.Errorf("the other prefix's entries are counted: %d", n)
			}
			put(t, table, entries...)
			if n := yielded(t, table, everything); n != 500 {
				t.Errorf("%d entries", n)
			}
			if _, err := table.Delete(t.Context(), keys[:50]); err != nil {
				t.Error(err)
			}
			for _, f := range []driver.Filter{{State: driver.Expired, Now: now}, {State: driver.Live, Now: now.Add(2 * time.Hour)}, {}} {
				if _, err := table.Clear(t.Context(), f); err != nil {
					t.Error(err)
				}
			}
			if n := found(t, other, keys[:100]...); n != 100 || count(t, other, driver.Filter{}) != 100 {
				t.Errorf("the other prefix has %d entries, want 100", n)
			}
			for key, want := range foreign {
				if got, err := do(t, c, "GET", key).ToString(); err != nil || got != want {
					t.Errorf("%s is %q, %v, want %q", key, got, err, want)
				}
			}
			// What is left of a cleared table is its description.
			var left []string
			for _, key := range keysOf(t, c, prefix+":{*") {
				if _, ok := foreign[key]; !ok {
					left = append(left, key)
				}
			}
			if !slices.Equal(left, []string{prefix + ":{tracks}"}) {
				t.Errorf("a cleared table has the keys %q", left)
			}
		})
	}
}

func TestForeignDataInThePlaceOfATable(t *testing.T) {
	prefix := newPrefix(t, serverURL(t))
	s := open(t, serverURL(t), &redis.Options{Prefix: prefix})
	c := newClient(t, serverURL(t))
	meta := prefix + ":{tracks}"
	for name, set := range map[string]func(){
		"text":       func() { do(t, c, "SET", meta, "foreign") },
		"other JSON": func() { do(t, c, "SET", meta, `{"a":1}`) },
		"a list":     func() { do(t, c, "RPUSH", meta, "a") },
		"new layout": func() { do(t, c, "SET", meta, `{"layout":3,"buckets":1,"key":[{"name":"id","kind":"string"}]}`) },
		"no buckets": func() { do(t, c, "SET", meta, `{"layout":1,"buckets":0,"key":[{"name":"id","kind":"string"}]}`) },
		"odd buckets": func() {
			do(t, c, "SET", meta, `{"layout":1,"buckets":100000000,"key":[{"name":"id","kind":"string"}]}`)
		},
	} {
		set()
		if _, err := s.OpenTable(t.Context(), tracks); !errors.Is(err, driver.ErrSchema) {
			t.Errorf("%s: %v, want a SchemaError", name, err)
		} else {
			t.Log(err)
		}
		if err := s.DropTable(t.Context(), tracks.Name); !errors.Is(err, driver.ErrSchema) {
			t.Errorf("%s: drop: %v, want a SchemaError", name, err)
		}
		if specs, err := s.Tables(t.Context()); err != nil || len(specs) > 0 {
			t.Errorf("%s: the tables are %v, %v", name, specs, err)
		}
		if n, err := do(t, c, "EXISTS", meta).AsInt64(); n != 1 {
			t.Errorf("%s: it is gone: %v", name, err)
		}
		do(t, c, "DEL", meta)
	}
}

func TestForeignDataInThePlaceOfAnEntry(t *testing.T) {
	prefix := newPrefix(t, serverURL(t))
	table := openTable(t, open(t, serverURL(t), &redis.Options{Prefix: prefix}))
	c := newClient(t, serverURL(t))
	entries, keys := trackEntries(3)
	put(t, table, entries...)
	name := prefix + ":{tracks:0}:id-000001:DE:1:false"
	do(t, c, "SET", name, "foreign")
	for _, parts := range []driver.Parts{0, driver.Meta, driver.Payload} {
		wrong, right := 0, 0
		count := func(e driver.Entry) {
			if e.MetaSum == driver.WrongSum && e.PayloadSum == driver.WrongSum {
				wrong++
			} else {
				right++
			}
		}
		err := table.Get(t.Context(), keys, driver.Selection{Parts: parts}, func(_ int, e driver.Entry) { count(e) })
		if err != nil || wrong != 1 || right != 2 {
			t.Errorf("get: %d entries and %d that are none, %v", right, wrong, err)
		}
		for e, err := range table.Entries(t.Context(), driver.Selection{Parts: parts}) {
			if err != nil {
				t.Fatal(err)
			}
			count(e)
		}
		if wrong != 2 || right != 4 {
			t.Errorf("an iteration: %d entries and %d that are none", right-2, wrong-1)
		}
	}
	put(t, table, entries[1])
	if n := found(t, table, keys...); n != 3 {
		t.Errorf("after a save there are %d of 3 entries", n)
	}
}

// What is no string is not there, whatever asks for it, and is replaced and cleared as an entry.
func TestWhatIsNoString(t *testing.T) {
	prefix := newPrefix(t, serverURL(t))
	table := openTable(t, open(t, serverURL(t), &redis.Options{Prefix: prefix}))
	c := newClient(t, serverURL(t))
	entries, keys := trackEntries(3)
	name := prefix + ":{tracks:0}:id-000001:DE:1:false"
	spoil := func() {
		t.Helper()
		put(t, table, entries...)
		do(t, c, "DEL", name)
		do(t, c, "RPUSH", name, "a")
	}
	spoil()
	for _, parts := range []driver.Parts{0, driver.Meta, driver.Payload, driver.Usage, driver.Payload | driver.Meta | driver.Usage} {
		sel := driver.Selection{Parts: parts}
		for _, keys := range [][]driver.Key{keys, keys[1:2]} {
			n := 0
			err := table.Get(t.Context(), keys, sel, func(int, driver.Entry) { n++ })
			if err != nil || n != len(keys)-1 {
				t.Errorf("of %d with the parts %b, %d are got, %v", len(keys), parts, n, err)
			}
		}
		n := 0
		for _, err := range table.Entries(t.Context(), sel) {
			if n++; err != nil {
				t.Fatal(err)
			}
		}
		if n != 2 {
			t.Errorf("%d are iterated over", n)
		}
	}
	for order := driver.ByKey; order <= driver.BySize; order++ {
		if page, err := table.List(t.Context(), driver.Listing{Order: order, Limit: 5}); err != nil || len(page) != 2 {
			t.Errorf("in order %d, %d are listed, %v", order, len(page), err)
		}
	}
	if size, err := table.Size(t.Context()); err != nil || size.Entries != 2 {
		t.Errorf("the size is %+v, %v", size, err)
	}
	if _, ok, err := table.Pop(t.Context(), keys[1], driver.Filter{}); ok || err != nil {
		t.Errorf("pop: %v, %v", ok, err)
	}
	e := entries[1]
	if err := table.Use(t.Context(), keys, e.CachedAt.Add(time.Hour)); err != nil {
		t.Error(err)
	}
	renewed, err := table.Renew(t.Context(), []driver.Renewal{{Key: e.Key, Seen: e.CachedAt, CachedAt: e.CachedAt}})
	if err != nil || renewed[0] {
		t.Errorf("renew: %v, %v", renewed, err)
	}
	for _, condition := range []driver.Precondition{driver.IfAbsent, driver.IfNotLive, driver.IfNewer} {
		spoil()
		stored, err := table.PutIf(t.Context(), entries[1:2], driver.Condition{If: condition, Now: e.CachedAt})
		if err != nil || !stored[0] {
			t.Errorf("with the condition %d: %v, %v", condition, stored, err)
		}
	}
	for _, f := range []driver.Filter{{}, {Where: driver.Where{MinStatus: 200}}, {State: driver.Expired, Now: e.ExpiresAt.Add(time.Hour)}} {
		spoil()
		if n, err := table.Clear(t.Context(), f); err != nil || n != 3 {
			t.Errorf("clear of %+v removed %d, %v", f, n, err)
		}
	}
}

// What no time can be where entries have one is as good as gone, also where a text of it is greater than all times.
func TestTimesThatAreNone(t *testing.T) {
	prefix := newPrefix(t, serverURL(t))
	table := openTable(t, open(t, serverURL(t), &redis.Options{Prefix: prefix}))
	c := newClient(t, serverURL(t))
	e := track(1)
	name := prefix + ":{tracks:0}:id-000001:DE:1:false"
	for _, text := range []string{"2026-1x-21T17:45:26.123456Z", "2026-91-21T17:45:26.123456Z", "9999-text", "neverest", "\xff"} {
		text = (text + strings.Repeat("~", 27))[:27]
		for condition, at := range map[driver.Precondition]int{driver.IfNotLive: 0, driver.IfNewer: 28} {
			put(t, table, e)
			do(t, c, "SETRANGE", name, strconv.Itoa(at), text)
			stored, err := table.PutIf(t.Context(), []driver.Entry{e}, driver.Condition{If: condition, Now: e.CachedAt})
			if err != nil || !stored[0] {
				t.Errorf("%q, condition %d: %v, %v", text, condition, stored, err)
			}
		}
	}
}

// The number of buckets is the table's, whatever a store that opens it would choose.
func TestATableKeepsItsBuckets(t *testing.T) {
	prefix := newPrefix(t, serverURL(t))
	first := openTable(t, open(t, serverURL(t), &redis.Options{Prefix: prefix, Buckets: 5}))
	entries, keys := trackEntries(100)
	put(t, first, entries...)
	second := openTable(t, open(t, serverURL(t), &redis.Options{Prefix: prefix, Buckets: 3}))
	if n := found(t, second, keys...); n != 100 || count(t, second, driver.Filter{}) != 100 {
		t.Errorf("%d entries of 100", n)
	}
	c := newClient(t, serverURL(t))
	if n := len(keysOf(t, c, prefix+":{tracks:?}")); n != 5 {
		t.Errorf("%d indexes, want 5", n)
	}
}

// On a cluster, a table is on all nodes.
func TestATableIsSpreadOverACluster(t *testing.T) {
	prefix := newPrefix(t, clusterURL(t))
	table := openTable(t, open(t, clusterURL(t), &redis.Options{Prefix: prefix}))
	entries, _ := trackEntries(3_000)
	put(t, table, entries...)
	c := newClient(t, clusterURL(t))
	total := 0
	for address, node := range c.Nodes() {
		keys := keysOf(t, node, prefix+":{tracks:*}:*")
		total += len(keys)
		if len(keys) < 500 {
			t.Errorf("%s has %d of 3000 entries", address, len(keys))
		}
	}
	if total != 3_000 {
		t.Errorf("%d strings", total)
	}
}
