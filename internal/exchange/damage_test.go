package exchange

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/declared"
	"github.com/endpointcache/endpointcache/internal/spell"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/settings"
)

// fallible is a store whose entries need checksums.
type fallible struct{ *memory.Store }

func (s fallible) Traits() driver.Traits {
	traits := s.Store.Traits()
	traits.Intact = false
	return traits
}

// onDisk is an exchange on a store of which entries are damaged.
type onDisk struct {
	*Exchange
	t     *testing.T
	store fallible
	clock time.Time
	log   bytes.Buffer
}

func newOnDisk(t *testing.T) *onDisk {
	t.Helper()
	store, err := memory.New(nil)
	check(t, err)
	d := &onDisk{t: t, store: fallible{store}, clock: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)}
	t.Cleanup(func() { check(t, store.Close()) })
	d.Exchange = d.another()
	return d
}

// another is the exchange of another process.
func (d *onDisk) another() *Exchange {
	x, err := New(Options{
		Now: func() time.Time { d.clock = d.clock.Add(time.Millisecond); return d.clock }, Logger: slog.New(slog.NewTextHandler(&d.log, nil)),
	})
	check(d.t, err)
	d.t.Cleanup(func() { check(d.t, x.Close()) })
	return x
}

// damage changes all entries of a table whose keys begin with these values.
func (d *onDisk) damage(spec driver.TableSpec, leading driver.Key, change func(*driver.Entry)) {
	d.t.Helper()
	table, err := d.store.OpenTable(d.t.Context(), spec)
	check(d.t, err)
	n := 0
	for e, err := range table.Entries(d.t.Context(), driver.Selection{Filter: driver.Filter{Leading: leading}, Parts: driver.Payload | driver.Meta}) {
		check(d.t, err)
		change(&e)
		check(d.t, table.Put(d.t.Context(), []driver.Entry{e}))
		n++
	}
	if n == 0 {
		d.t.Fatalf("table %q has nothing to be damaged", spec.Name)
	}
}

var recordsSpec = driver.TableSpec{Name: RecordsTable, Key: recordColumns}

func TestWhatADamagedMarkIsAboutIsOld(t *testing.T) {
	d := newOnDisk(t)
	spec := driver.TableSpec{Name: "tracks", Key: []driver.Column{{Name: "id", Kind: driver.String}, {Name: "accept", Kind: driver.String}}}
	table, err := d.Open(t.Context(), d.store, Declaration{Name: spec.Name, Key: spec.Key, Beside: []string{"accept"}})
	check(t, err)
	key := driver.Key{"a", "text/html"}
	check(t, table.Put(t.Context(), []driver.Entry{{Key: key, Status: 200, CachedAt: d.Stamp()}}))
	inv := d.NewInvalidation()
	inv.URL(table, key)
	check(t, inv.Do(t.Context()))
	d.damage(recordsSpec, driver.Key{markRecord}, func(e *driver.Entry) { e.CachedAt = e.CachedAt.Add(-time.Hour) })
	live := func() (n int) {
		sel := driver.Selection{Filter: driver.Filter{State: driver.Live, Now: instant(d.Now())}}
		check(t, table.Get(t.Context(), []driver.Key{key}, sel, func(int, driver.Entry) { n++ }))
		return n
	}
	if live() != 0 {
		t.Error("an entry is live whose mark is damaged")
	}
	check(t, table.Put(t.Context(), []driver.Entry{{Key: key, Status: 200, CachedAt: d.Stamp()}}))
	if live() != 1 || d.Stats().Damaged != 1 {
		t.Errorf("what is newer is live %d times, %d damaged", live(), d.Stats().Damaged)
	}
}

func TestAnotherOriginDoesNotGetATableWhoseOriginIsNotKnownAnyMore(t *testing.T) {
	d := newOnDisk(t)
	spec := driver.TableSpec{Name: "tracks", Key: []driver.Column{{Name: "id", Kind: driver.String}}}
	key := driver.Key{"a"}
	at := func(x *Exchange, origin string) *Table {
		t.Helper()
		home, err := x.Open(t.Context(), d.store, Declaration{Name: spec.Name, Key: spec.Key})
		check(t, err)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, origin, nil)
		check(t, err)
		table, err := home.AtRequest(t.Context(), req)
		check(t, err)
		return table
	}
	check(t, at(d.Exchange, "https://a.test/").Put(t.Context(), []driver.Entry{{Key: key, Status: 200, CachedAt: d.Stamp()}}))
	d.damage(recordsSpec, driver.Key{declared.FirstOrigin}, func(e *driver.Entry) { e.Payload = []byte("https://b.test") })
	x := d.another()
	for _, origin := range []string{"https://b.test/", "https://a.test/"} {
		check(t, at(x, origin).Get(t.Context(), []driver.Key{key}, driver.Selection{}, func(int, driver.Entry) {
			t.Errorf("%s gets what was saved for another, or before", origin)
		}))
	}
	if x.Stats().Damaged != 1 {
		t.Errorf("%d damaged", x.Stats().Damaged)
	}
}

func TestDamageIsToldOnceForASpell(t *testing.T) {
	d := newOnDisk(t)
	told := func() int { return strings.Count(d.log.String(), "damaged") }
	for range 10 {
		d.Exchange.damage.found("tracks", 1)
	}
	d.Exchange.damage.found("albums", 3)
	if told() != 2 {
		t.Errorf("told %d times:\n%s", told(), &d.log)
	}
	d.clock = d.clock.Add(2 * spell.Every)
	d.Exchange.damage.found("tracks", 5)
	if told() != 3 || !strings.Contains(d.log.String(), "entries=14") {
		t.Errorf("told %d times:\n%s", told(), &d.log)
	}
	d.Exchange.damage.found("tracks", 7)
	check(t, d.Close())
	if told() != 4 || !strings.Contains(d.log.String(), "entries=7") {
		t.Errorf("told %d times:\n%s", told(), &d.log)
	}
}

// Nobody knows of what the entries are whose declaration is damaged.
func TestEntriesOfADamagedDeclarationAreDropped(t *testing.T) {
	d := newOnDisk(t)
	spec := driver.TableSpec{Name: "tracks", Key: []driver.Column{{Name: "id", Kind: driver.String}}}
	declaration := Declaration{Name: spec.Name, Key: spec.Key, Declared: settings.Declaration{Version: 1}}
	table, err := d.Open(t.Context(), d.store, declaration)
	check(t, err)
	key := driver.Key{"a"}
	check(t, table.Put(t.Context(), []driver.Entry{{Key: key, Status: 200, CachedAt: d.Stamp()}}))
	d.damage(recordsSpec, driver.Key{declared.Declaration}, func(e *driver.Entry) {
		e.Header = strings.Replace(e.Header, `"version":["1"]`, `"version":["3"]`, 1)
	})
	for range 2 {
		declaration.Declared.Version = 2
		if table, err = d.another().Open(t.Context(), d.store, declaration); err != nil {
			t.Fatal(err)
		}
		if n, err := table.Count(t.Context(), driver.Filter{}); n != 0 || err != nil {
			t.Errorf("%d entries, %v", n, err)
		}
	}
	if log := d.log.String(); strings.Count(log, "declaration that the store remembers is damaged") != 1 {
		t.Errorf("the log is %s", log)
	}
}
