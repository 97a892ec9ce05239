package checksum

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/memory"
)

var now = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

var everything = driver.Selection{Parts: driver.Payload | driver.Meta}

func entry(id string) driver.Entry {
	return driver.Entry{
		Key: driver.Key{id}, Name: "Name", Status: 200, Header: `{"A":["1"],"Etag":["\"e\""]}`, Payload: []byte(`{"id":1}`),
		CachedAt: now, ExpiresAt: now.Add(time.Hour),
	}
}

// damages are what can happen to an entry.
var damages = map[string]func(*driver.Entry){
	"payload":    func(e *driver.Entry) { e.Payload = []byte(`{"id":2}`) },
	"name":       func(e *driver.Entry) { e.Name = "Nome" },
	"header":     func(e *driver.Entry) { e.Header = `{"A":["2"],"Etag":["\"e\""]}` },
	"status":     func(e *driver.Entry) { e.Status = 404 },
	"encoding":   func(e *driver.Entry) { e.Encoding = "x" },
	"cached at":  func(e *driver.Entry) { e.CachedAt = e.CachedAt.Add(1 << 50) },
	"expires at": func(e *driver.Entry) { e.ExpiresAt = time.Time{} },
	"place":      func(e *driver.Entry) { e.PayloadSum, e.MetaSum = entrySums("another") },
}

func entrySums(id string) (payload, meta uint32) {
	e := entry(id)
	new(scratch).add(&e)
	return e.PayloadSum, e.MetaSum
}

// stored is a table in memory, and what a layer over it reports.
type stored struct {
	driver.Table
	reports []int
}

func open(t *testing.T) *stored {
	t.Helper()
	store, err := memory.New(nil)
	check(t, err)
	t.Cleanup(func() { check(t, store.Close()) })
	table, err := store.OpenTable(t.Context(), driver.TableSpec{Name: "t", Key: []driver.Column{{Name: "id", Kind: driver.String}}})
	check(t, err)
	return &stored{Table: table}
}

func (s *stored) layer(below driver.Table) driver.Table {
	return New(below, Options{Report: func(n int) { s.reports = append(s.reports, n) }})
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// change changes an entry as only a disk does.
func (s *stored) change(ctx context.Context, key driver.Key, change func(*driver.Entry)) error {
	var e driver.Entry
	if err := s.Get(ctx, []driver.Key{key}, everything, func(_ int, found driver.Entry) { e = found }); err != nil {
		return err
	}
	e.Key = key
	change(&e)
	return s.Put(ctx, []driver.Entry{e})
}

// finds reports how the layer fails to find an entry that is damaged, and to be rid of it.
func (s *stored) finds(ctx context.Context, layer driver.Table, damage func(*driver.Entry)) error {
	good, bad := entry("good"), entry("bad")
	if err := layer.Put(ctx, []driver.Entry{good, bad}); err != nil {
		return err
	}
	if err := s.change(ctx, bad.Key, damage); err != nil {
		return err
	}
	for range 2 { // no more is reported by the second
		var seen []int
		err := layer.Get(ctx, []driver.Key{bad.Key, good.Key, bad.Key}, everything, func(i int, _ driver.Entry) { seen = append(seen, i) })
		if err != nil || !slices.Equal(seen, []int{1}) {
			return fmt.Errorf("a get finds %v, %w", seen, err)
		}
		if !slices.Equal(s.reports, []int{1}) {
			return fmt.Errorf("the reports are %v", s.reports)
		}
	}
	if n, err := s.Count(ctx, driver.Filter{State: driver.Live, Now: now}); n != 1 || err != nil {
		return fmt.Errorf("%d are live, %w", n, err)
	}
	bad.CachedAt = now.Add(-time.Hour)
	replaced, err := layer.PutIf(ctx, []driver.Entry{bad}, driver.Condition{If: driver.IfNewer})
	if err != nil || !replaced[0] {
		return fmt.Errorf("it is not replaced, %w", err)
	}
	n := 0
	if err := layer.Get(ctx, []driver.Key{bad.Key}, everything, func(int, driver.Entry) { n++ }); n != 1 || err != nil {
		return fmt.Errorf("what has replaced it is found %d times, %w", n, err)
	}
	return nil
}

func TestDamageIsFound(t *testing.T) {
	for part, damage := range damages {
		s := open(t)
		if err := s.finds(t.Context(), s.layer(s.Table), damage); err != nil {
			t.Errorf("%s: %v", part, err)
		}
	}
}

// forgetful is a store that loses checksums.
type forgetful struct{ driver.Table }

func (f forgetful) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	return f.Table.Get(ctx, keys, sel, func(i int, e driver.Entry) {
		e.PayloadSum, e.MetaSum = 0, 0
		visit(i, e)
	})
}

// stubborn is a store that renews nothing.
type stubborn struct{ driver.Table }

func (stubborn) Renew(context.Context, []driver.Renewal) ([]bool, error) {
	return nil, errors.New("read-only")
}

// blind is a layer that adds sums and does not look at them.
type blind struct{ driver.Table }

func (b blind) Put(ctx context.Context, entries []driver.Entry) error {
	return b.Table.Put(ctx, added(entries))
}

func TestLayersThatDoNotFindDamage(t *testing.T) {
	for name, mutant := range map[string]func(*stored) driver.Table{
		"none":                     func(s *stored) driver.Table { return s.Table },
		"one that is blind":        func(s *stored) driver.Table { return blind{s.Table} },
		"over a forgetful store":   func(s *stored) driver.Table { return s.layer(forgetful{s.Table}) },
		"one that leaves it there": func(s *stored) driver.Table { return s.layer(stubborn{s.Table}) },
	} {
		s := open(t)
		if err := s.finds(t.Context(), mutant(s), damages["payload"]); err == nil {
			t.Errorf("%s: passes", name)
		}
	}
}

func TestDamageIsFoundByPartsThatAreRead(t *testing.T) {
	for part, parts := range map[string]driver.Parts{"payload": driver.Payload, "header": driver.Meta, "status": driver.Payload} {
		s := open(t)
		layer := s.layer(s.Table)
		check(t, layer.Put(t.Context(), []driver.Entry{entry("a")}))
		check(t, s.change(t.Context(), driver.Key{"a"}, damages[part]))
		check(t, layer.Get(t.Context(), []driver.Key{{"a"}}, driver.Selection{Parts: parts}, func(int, driver.Entry) { t.Errorf("damaged %s is read", part) }))
		if n, err := s.Count(t.Context(), driver.Filter{State: driver.Live, Now: now}); n != 0 || err != nil {
			t.Errorf("%s: %d are live, %v", part, n, err)
		}
	}
}

func TestDamageIsFoundByEveryRead(t *testing.T) {
	list := func(order driver.Order) func(context.Context, driver.Table) (int, error) {
		return func(ctx context.Context, table driver.Table) (int, error) {
			// One at a time and three, as those that are damaged come between.
			page, err := table.List(ctx, driver.Listing{Selection: everything, Order: order, Limit: 3})
			if err != nil || len(page) != 3 {
				return len(page), err
			}
			rest, err := table.List(ctx, driver.Listing{Selection: everything, Order: order, Limit: 300, After: &page[2]})
			return len(page) + len(rest), err
		}
	}
	for name, read := range map[string]func(context.Context, driver.Table) (int, error){
		"entries": func(ctx context.Context, table driver.Table) (n int, err error) {
			for _, err := range table.Entries(ctx, everything) {
				if err != nil {
					return n, err
				}
				n++
			}
			return n, nil
		},
		"list by key": list(driver.ByKey), "list by name": list(driver.ByName), "list by size": list(driver.BySize),
	} {
		s := open(t)
		layer := s.layer(s.Table)
		var entries []driver.Entry
		for i := range 100 {
			entries = append(entries, entry(fmt.Sprintf("%03d", i)))
		}
		check(t, layer.Put(t.Context(), entries))
		for i := 0; i < 100; i += 2 {
			check(t, s.change(t.Context(), entries[i].Key, damages["payload"]))
		}
		for range 2 {
			if n, err := read(t.Context(), layer); n != 50 || err != nil {
				t.Errorf("%s: %d entries, %v", name, n, err)
			}
			found := 0
			for _, n := range s.reports {
				found += n
			}
			if found != 50 {
				t.Errorf("%s: %d are reported", name, found)
			}
		}
	}
}

func TestPopDoesNotReturnWhatIsDamaged(t *testing.T) {
	s := open(t)
	layer := s.layer(s.Table)
	check(t, layer.Put(t.Context(), []driver.Entry{entry("a"), entry("b")}))
	check(t, s.change(t.Context(), driver.Key{"a"}, damages["name"]))
	for id, want := range map[string]bool{"a": false, "b": true} {
		if _, ok, err := layer.Pop(t.Context(), driver.Key{id}, driver.Filter{}); ok != want || err != nil {
			t.Errorf("%s: %v, %v", id, ok, err)
		}
	}
	if !slices.Equal(s.reports, []int{1}) {
		t.Errorf("the reports are %v", s.reports)
	}
}

func TestRenewedEntriesAreRight(t *testing.T) {
	s := open(t)
	layer := s.layer(s.Table)
	e := entry("a")
	check(t, layer.Put(t.Context(), []driver.Entry{e}))
	r := driver.Renewal{Key: e.Key, Seen: now, Name: e.Name, Status: e.Status, Header: `{"B":["1"]}`, CachedAt: now.Add(1000), ExpiresAt: now}
	_, err := layer.Renew(t.Context(), []driver.Renewal{r})
	check(t, err)
	if _, ok, err := layer.Pop(t.Context(), e.Key, driver.Filter{}); !ok || err != nil || len(s.reports) > 0 {
		t.Errorf("found %v, reports %v, %v", ok, s.reports, err)
	}
}

func TestEntriesWithoutSumsAreRead(t *testing.T) {
	s := open(t)
	check(t, s.Put(t.Context(), []driver.Entry{entry("a")}))
	if _, ok, err := s.layer(s.Table).Pop(t.Context(), driver.Key{"a"}, driver.Filter{}); !ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
}

// A store with a type for JSON returns an equal header. One that was read there and saved
// elsewhere comes back as it is, or as that store writes it.
func TestHeadersInAnotherForm(t *testing.T) {
	const usual, other = `{"A":["1","2"],"Content-Type":["a\"\u003c"]}`, `{"Content-Type": ["a\"<"], "A": ["1", "2"]}`
	for _, put := range []string{usual, other} {
		for _, read := range []string{usual, other} {
			s := open(t)
			layer := s.layer(s.Table)
			e := entry("a")
			e.Header = put
			check(t, layer.Put(t.Context(), []driver.Entry{e}))
			check(t, s.change(t.Context(), e.Key, func(e *driver.Entry) { e.Header = read }))
			if _, ok, err := layer.Pop(t.Context(), e.Key, driver.Filter{}); !ok || err != nil {
				t.Errorf("%s as %s: %v, %v", put, read, ok, err)
			}
		}
	}
}

func TestEntriesThatAreMended(t *testing.T) {
	s := open(t)
	layer := New(s.Table, Options{
		Report: func(n int) { s.reports = append(s.reports, n) },
		Mend:   func(driver.Key) (time.Time, bool) { return now.Add(time.Minute), true },
	})
	check(t, layer.Put(t.Context(), []driver.Entry{entry("a")}))
	check(t, s.change(t.Context(), driver.Key{"a"}, damages["cached at"]))
	for range 2 {
		seen := 0
		check(t, layer.Get(t.Context(), []driver.Key{{"a"}}, driver.Selection{Parts: driver.Meta}, func(_ int, e driver.Entry) {
			if seen++; !e.CachedAt.Equal(now.Add(time.Minute)) || !e.ExpiresAt.IsZero() {
				t.Errorf("it is of %v until %v", e.CachedAt, e.ExpiresAt)
			}
		}))
		if seen != 1 || !slices.Equal(s.reports, []int{1}) {
			t.Errorf("seen %d times, reports %v", seen, s.reports)
		}
	}
}

// What is summed up is different where any of it is.
func FuzzSums(f *testing.F) {
	f.Add("a", "b", "c", "d", "ab", "", "c", "d")
	f.Fuzz(func(t *testing.T, id1, name1, header1, payload1, id2, name2, header2, payload2 string) {
		text := func(id, name, header, payload string) string {
			s, e := new(scratch), driver.Entry{Key: driver.Key{id}, Name: name, Header: header, Encoding: name, Payload: []byte(payload)}
			s.payload(e.Key, &e)
			text := string(s.text) + payload
			s.meta(e.Key, &e)
			return text + string(s.text)
		}
		same := id1 == id2 && name1 == name2 && header1 == header2 && payload1 == payload2
		if same != (text(id1, name1, header1, payload1) == text(id2, name2, header2, payload2)) {
			t.Error("two entries are one")
		}
	})
}

func BenchmarkGet(b *testing.B) {
	e := entry("a")
	e.Payload = make([]byte, 2048)
	new(scratch).add(&e)
	keys, visit := []driver.Key{e.Key}, func(int, driver.Entry) {}
	for name, table := range map[string]driver.Table{"plain": one{entry: e}, "checked": New(one{entry: e}, Options{})} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = table.Get(context.Background(), keys, driver.Selection{Parts: driver.Payload}, visit)
			}
		})
	}
}

// one is a table of one entry.
type one struct {
	driver.Table
	entry driver.Entry
}

func (o one) Get(_ context.Context, _ []driver.Key, _ driver.Selection, visit func(int, driver.Entry)) error {
	visit(0, o.entry)
	return nil
}
