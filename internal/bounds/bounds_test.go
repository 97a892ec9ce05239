package bounds_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/drivertest"
	"github.com/endpointcache/endpointcache/internal/bounds"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/settings"
)

var start = time.Now().UTC().Truncate(time.Microsecond)

// clock goes on by a millisecond whenever it is asked.
type clock struct{ ticks atomic.Int64 }

func (c *clock) now() time.Time { return start.Add(time.Duration(c.ticks.Add(1)) * time.Millisecond) }

type fixture struct {
	*testing.T
	clock  *clock
	store  driver.Store
	keeper *bounds.Keeper
}

func newFixture(t *testing.T, change func(*bounds.Options)) *fixture {
	t.Helper()
	store, err := memory.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{T: t, clock: new(clock), store: store}
	o := bounds.Options{Store: store, Every: -1, KeepExpired: -1, MaxWait: waitfor.Limit, Now: f.clock.now, Log: slog.New(slog.DiscardHandler)}
	change(&o)
	f.store = o.Store
	f.keeper = bounds.New(o)
	t.Cleanup(f.keeper.Close)
	return f
}

func (f *fixture) table(name string, limit settings.Limit) driver.Table {
	f.Helper()
	spec := driver.TableSpec{Name: name, Key: []driver.Column{{Name: "id", Kind: driver.Int}}}
	table, err := f.store.OpenTable(f.Context(), spec)
	if err != nil {
		f.Fatal(err)
	}
	return f.keeper.Table(table, spec, &bounds.Declared{Limit: limit})
}

func id(i int) driver.Key { return driver.Key{int64(i)} }

// save saves entries with payloads of that size, one after the other.
func (f *fixture) save(t driver.Table, bytes int, ids ...int) {
	f.Helper()
	for _, i := range ids {
		e := driver.Entry{Key: id(i), Payload: make([]byte, bytes), CachedAt: f.clock.now()}
		if err := t.Put(f.Context(), []driver.Entry{e}); err != nil {
			f.Fatal(err)
		}
	}
}

func (f *fixture) read(t driver.Table, ids ...int) (found int) {
	f.Helper()
	for _, i := range ids {
		if err := t.Get(f.Context(), []driver.Key{id(i)}, driver.Selection{}, func(int, driver.Entry) { found++ }); err != nil {
			f.Fatal(err)
		}
	}
	return found
}

func (f *fixture) size(t driver.Table) driver.Size {
	f.Helper()
	size, err := t.Size(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	return size
}

func to(n int) []int {
	ids := make([]int, n)
	for i := range ids {
		ids[i] = i
	}
	return ids
}

// TestConformance holds tables within limits to the promises of all tables.
func TestConformance(t *testing.T) {
	drivertest.Run(t, drivertest.Harness{Open: func(tb testing.TB) driver.Store {
		store, err := memory.New(nil)
		if err != nil {
			tb.Fatal(err)
		}
		k := bounds.New(bounds.Options{Store: store, Every: time.Hour, KeepExpired: time.Hour, MaxWait: time.Hour, Now: time.Now, Log: slog.Default()})
		return keptStore{store, k}
	}})
}

type keptStore struct {
	driver.Store
	keeper *bounds.Keeper
}

func (s keptStore) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	t, err := s.Store.OpenTable(ctx, spec)
	if err != nil {
		return nil, err
	}
	return s.keeper.Table(t, spec, &bounds.Declared{Limit: settings.Limit{Entries: math.MaxInt32, Bytes: 1 << 50}}), nil
}

func (s keptStore) Close() error {
	s.keeper.Close()
	return s.Store.Close()
}

func TestSavesStayWithinATenth(t *testing.T) {
	for name, limit := range map[string]settings.Limit{
		"entries": {Entries: 1000},
		"bytes":   {Bytes: 1000 * 1000},
		"both":    {Entries: 2000, Bytes: 1000 * 1000, Evict: settings.OldestFirst},
	} {
		for _, whole := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, of the store: %v", name, whole), func(t *testing.T) {
				f := newFixture(t, func(o *bounds.Options) {
					if whole {
						o.Limit = limit
					}
				})
				var tables []driver.Table
				for i := range 2 {
					own := limit
					if whole {
						own = settings.Limit{}
					} else if i == 1 {
						continue
					}
					tables = append(tables, f.table(fmt.Sprint("t", i), own))
				}
				var wg sync.WaitGroup
				for w := range 8 {
					wg.Go(func() {
						for i := range 100 {
							entries := make([]driver.Entry, 7)
							for j := range entries {
								entries[j] = driver.Entry{Key: id(w<<20 + i<<8 + j), Payload: make([]byte, 900), CachedAt: f.clock.now()}
							}
							table := tables[i%len(tables)]
							if err := table.Put(t.Context(), entries); err != nil {
								t.Error(err)
								return
							}
							var sum driver.Size
							for _, table := range tables {
								size, err := table.Size(t.Context())
								if err != nil {
									t.Error(err)
									return
								}
								sum.Entries += size.Entries
								sum.Bytes += size.Bytes
							}
							if limit.Entries > 0 && sum.Entries > limit.Entries*110/100 || limit.Bytes > 0 && sum.Bytes > limit.Bytes*110/100 {
								t.Errorf("the size is %+v of %+v", sum, limit)
								return
							}
						}
					})
				}
				wg.Wait()
				waitfor.True(t, "the size is within the limit", func() bool {
					var sum driver.Size
					for _, table := range tables {
						size := f.size(table)
						sum.Entries += size.Entries
						sum.Bytes += size.Bytes
					}
					return (limit.Entries == 0 || sum.Entries <= limit.Entries) && (limit.Bytes == 0 || sum.Bytes <= limit.Bytes) && sum.Entries > 500
				})
			})
		}
	}
}

func TestTheLeastRecentlyUsedLeave(t *testing.T) {
	f := newFixture(t, func(*bounds.Options) {})
	table := f.table("t", settings.Limit{Entries: 100})
	f.save(table, 10, to(90)...)
	for i := 90; i < 1000; i++ {
		f.read(table, to(20)...) // as popular ones are
		f.save(table, 10, i)
	}
	if n := f.read(table, to(20)...); n != 20 {
		t.Errorf("%d of 20 that were read all the time are there", n)
	}
	if n := f.read(table, 990, 991, 992, 993, 994, 995, 996, 997, 998, 999); n != 10 {
		t.Errorf("%d of the 10 that were saved last are there", n)
	}
}

func TestTheOldestLeave(t *testing.T) {
	f := newFixture(t, func(*bounds.Options) {})
	table := f.table("t", settings.Limit{Entries: 100, Evict: settings.OldestFirst})
	f.save(table, 10, to(90)...)
	for i := 90; i < 300; i++ {
		f.read(table, to(20)...)
		f.save(table, 10, i)
	}
	if n := f.read(table, to(150)...); n != 0 {
		t.Errorf("%d of the 150 oldest are there", n)
	}
}

func TestExpiredLeaveFirst(t *testing.T) {
	f := newFixture(t, func(*bounds.Options) {})
	table := f.table("t", settings.Limit{Entries: 100})
	f.save(table, 10, to(50)...)
	for i := range 40 {
		e := driver.Entry{Key: id(1000 + i), CachedAt: f.clock.now(), ExpiresAt: start}
		if err := table.Put(t.Context(), []driver.Entry{e}); err != nil {
			t.Fatal(err)
		}
	}
	f.save(table, 10, 2000, 2001, 2002, 2003, 2004, 2005, 2006, 2007, 2008, 2009, 2010, 2011, 2012)
	waitfor.True(t, "what has expired is gone", func() bool { return f.size(table).Entries == 63 })
	if n := f.read(table, to(50)...); n != 50 {
		t.Errorf("%d of 50 live ones are there", n)
	}
}

func TestALargePutIsWithinTheLimit(t *testing.T) {
	f := newFixture(t, func(*bounds.Options) {})
	table := f.table("t", settings.Limit{Entries: 100})
	entries := make([]driver.Entry, 5_000)
	for i := range entries {
		entries[i] = driver.Entry{Key: id(i), CachedAt: start}
	}
	if err := table.Put(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	if size := f.size(table); size.Entries > 110 || size.Entries < 50 {
		t.Errorf("there are %d entries", size.Entries)
	}
}

// TestThereIsRoom saves what takes more than a tenth of a limit.
func TestThereIsRoom(t *testing.T) {
	for _, c := range []struct {
		limit settings.Limit
		bytes []int
	}{
		{settings.Limit{Entries: 1}, []int{10, 10, 10}},
		{settings.Limit{Entries: 10}, make([]int, 30)},
		{settings.Limit{Bytes: 10_000}, []int{5_000, 9_000, 2_000, 5_000, 5_000}},
		{settings.Limit{Bytes: 10_000}, []int{100, 20_000, 100, 30_000, 20_000}},
	} {
		f := newFixture(t, func(*bounds.Options) {})
		table := f.table("t", c.limit)
		for i, bytes := range c.bytes {
			f.save(table, bytes, i)
			if larger := c.limit.Bytes > 0 && int64(bytes) > c.limit.Bytes; !larger && f.read(table, i) != 1 {
				t.Errorf("with %+v, number %d of %v is not there", c.limit, i, c.bytes)
			}
		}
	}
}

func TestWhatExpiredLongAgoIsRemoved(t *testing.T) {
	var now atomic.Int64
	f := newFixture(t, func(o *bounds.Options) {
		o.Every, o.KeepExpired = time.Millisecond, time.Hour
		o.Now = func() time.Time { return start.Add(time.Duration(now.Load())) }
	})
	table := f.table("t", settings.Limit{})
	for i, d := range []time.Duration{-2 * time.Hour, -time.Minute, time.Hour} {
		e := driver.Entry{Key: id(i), CachedAt: start, ExpiresAt: start.Add(d)}
		if err := table.Put(t.Context(), []driver.Entry{e}); err != nil {
			t.Fatal(err)
		}
	}
	waitfor.True(t, "the oldest is removed", func() bool { return f.size(table).Entries == 2 })
	now.Store(int64(90 * time.Minute))
	waitfor.True(t, "the next is removed", func() bool { return f.size(table).Entries == 1 })
	if f.read(table, 2) != 1 {
		t.Error("a live one was removed")
	}
}

func TestTablesOfOtherProgramsCount(t *testing.T) {
	f := newFixture(t, func(o *bounds.Options) { o.Limit = settings.Limit{Entries: 100} })
	other, err := f.store.OpenTable(t.Context(), driver.TableSpec{Name: "other", Key: []driver.Column{{Name: "x", Kind: driver.Int}}})
	if err != nil {
		t.Fatal(err)
	}
	own, err := f.store.OpenTable(t.Context(), driver.TableSpec{Name: bounds.OwnPrefix + "records", Key: []driver.Column{{Name: "x", Kind: driver.Int}}})
	if err != nil {
		t.Fatal(err)
	}
	f.save(other, 10, to(200)...)
	f.save(own, 10, to(200)...)
	table := f.table("t", settings.Limit{})
	f.save(table, 10, to(50)...)
	waitfor.True(t, "all tables are within the limit", func() bool { return f.size(other).Entries+f.size(table).Entries <= 100 })
	if f.size(table).Entries != 50 || f.size(own).Entries != 200 {
		t.Errorf("there are %+v, and of the cache's own %+v", f.size(table), f.size(own))
	}
}

// failing is a table that cannot tell its size.
type failing struct{ driver.Table }

func (failing) Size(context.Context) (driver.Size, error) {
	return driver.Size{}, errors.New("it cannot tell")
}

func TestAStoreThatFailsHoldsUpNoSave(t *testing.T) {
	f := newFixture(t, func(*bounds.Options) {})
	spec := driver.TableSpec{Name: "t", Key: []driver.Column{{Name: "id", Kind: driver.Int}}}
	inner, err := f.store.OpenTable(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	table := f.keeper.Table(failing{inner}, spec, &bounds.Declared{Limit: settings.Limit{Bytes: 1000}})
	f.save(table, 10, to(100)...)
	f.keeper.Close()
	f.save(table, 10, to(100)...)
	if f.size(inner).Entries != 100 {
		t.Error("what was saved is not there")
	}
}

// entries are as many in a table.
func (f *fixture) entries(t driver.Table) int {
	f.Helper()
	return f.size(t).Entries
}

func TestUsesAreRecordedThoughNothingIsEvicted(t *testing.T) {
	f := newFixture(t, func(*bounds.Options) {})
	table := f.table("t", settings.Limit{Entries: 1 << 30})
	keys := make([]driver.Key, 60_000)
	entries := make([]driver.Entry, len(keys))
	for i := range keys {
		keys[i] = id(i)
		entries[i] = driver.Entry{Key: keys[i], CachedAt: start}
	}
	if err := table.Put(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	if err := table.Get(t.Context(), keys, driver.Selection{}, func(int, driver.Entry) {}); err != nil {
		t.Fatal(err)
	}
	waitfor.True(t, "the uses are recorded", func() bool {
		n, err := table.Count(t.Context(), driver.Filter{Where: driver.Where{UsedBefore: start.Add(time.Microsecond)}})
		return err == nil && n == 0
	})
}

func TestTheLimitThatWasDeclaredLastHolds(t *testing.T) {
	f := newFixture(t, func(*bounds.Options) {})
	old := f.table("t", settings.Limit{Entries: 10})
	f.save(old, 10, to(10)...)
	table := f.table("t", settings.Limit{Entries: 1000})
	f.save(table, 10, to(500)...)
	f.save(old, 10, to(500)...) // nobody keeps its limit any more
	if n := f.entries(table); n != 500 {
		t.Errorf("there are %d entries", n)
	}
	again := f.table("t", settings.Limit{Entries: 10})
	f.save(again, 10, 1000)
	waitfor.True(t, "the table is within its limit", func() bool { return f.entries(again) <= 10 })
}

func TestATableThatWasDroppedIsForgotten(t *testing.T) {
	f := newFixture(t, func(o *bounds.Options) { o.Limit = settings.Limit{Entries: 100} })
	dropped, table := f.table("dropped", settings.Limit{}), f.table("t", settings.Limit{})
	f.save(dropped, 10, to(50)...)
	if err := f.store.DropTable(t.Context(), "dropped"); err != nil {
		t.Fatal(err)
	}
	f.keeper.Forget("dropped")
	f.save(table, 10, to(300)...)
	waitfor.True(t, "the others are within the limit", func() bool { return f.entries(table) <= 100 })
	specs, err := f.store.Tables(t.Context())
	if err != nil || len(specs) != 1 {
		t.Errorf("the tables are %v, %v", specs, err)
	}
}

// A table is opened again while a round goes on: nothing is changed under it.
func TestATableIsOpenedAgainDuringRounds(t *testing.T) {
	f := newFixture(t, func(o *bounds.Options) { o.Every, o.KeepExpired = time.Millisecond, time.Hour })
	table := f.table("t", settings.Limit{Entries: 20})
	var wg sync.WaitGroup
	wg.Go(func() { f.save(table, 10, to(500)...) })
	for i := range 200 {
		f.table("t", settings.Limit{Entries: 20 + i%2})
	}
	wg.Wait()
}
