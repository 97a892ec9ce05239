package declared_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/tracktest"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

func TestOpeningTakesOneMoreRead(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store) {
		create(t, store, tracks1)
		counted := &tracktest.Counted{Store: store}
		r := create(t, counted, tracks1)
		if ops := counted.Take(); !maps.Equal(ops, map[string]int{"get": 1}) {
			t.Errorf("to open it takes %v", ops)
		}
		_, _, err := r.Get(t.Context(), key1{"a"})
		check(t, err)
		if ops := counted.Take(); !maps.Equal(ops, map[string]int{"get": 1}) {
			t.Errorf("to get takes %v", ops)
		}
	})
}

// cut is a store whose writes to tables of entries fail after some.
type cut struct {
	driver.Store
	left int
}

var errCut = errors.New("the store has failed")

func (s *cut) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	table, err := s.Store.OpenTable(ctx, spec)
	if err != nil || strings.HasPrefix(spec.Name, "endpointcache_") {
		return table, err
	}
	return &cutTable{table, s}, nil
}

type cutTable struct {
	driver.Table
	store *cut
}

func (t *cutTable) PutIf(ctx context.Context, entries []driver.Entry, c driver.Condition) ([]bool, error) {
	if t.store.left--; t.store.left < 0 {
		return nil, errCut
	}
	return t.Table.PutIf(ctx, entries, c)
}

// half is a migration to version 3 that a failing store has ended.
func half(t *testing.T, store driver.Store, entries int) {
	t.Helper()
	check(t, create(t, store, tracks1).SaveMany(t.Context(), values(entries)))
	if _, err := open(t.Context(), t, shared{&cut{store, 1}}, tracks3); !errors.Is(err, errCut) {
		t.Fatalf("the error is %v", err)
	}
}

// What was copied before a store failed is not copied again.
func TestAMigrationGoesOnWhereItsStoreFailed(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store) {
		const entries = 600
		half(t, store, entries)
		want(t, create(t, store, tracks1), key1{"id7"}, track1{"title7"})
		c, log := newCache(t, store)
		r := createIn(t, c, tracks3)
		if n, err := r.Count(t.Context(), repository.All); n != entries || err != nil {
			t.Errorf("%d entries, %v", n, err)
		}
		if !strings.Contains(log.String(), fmt.Sprint("entries=", entries-256)) {
			t.Errorf("the log is %s", log)
		}
	})
}

// What one version has copied is of no use to another.
func TestAHalfMigrationToAnotherVersionIsDropped(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store) {
		half(t, store, 600)
		type track4 struct {
			Label string `json:"label"`
		}
		tracks4 := settings.RepositorySettings[key2, track4]{Name: "tracks", Version: 4, Expire: settings.NeverExpire}
		tracks4.Migrations = []settings.Migration[key2, track4]{settings.MigrateFrom(tracks3, func(k key2, v track2) (key2, track4, bool, error) {
			return k, track4{"label of " + v.Name}, true, nil
		})}
		r := create(t, store, tracks4)
		for id, value := range values(600) {
			want(t, r, key2{id.ID, "DE"}, track4{"label of " + value.Title})
		}
		if names := tables(t, store); names != "tracks~3" {
			t.Errorf("the tables are %s", names)
		}
	})
}

// What the older program deletes and saves between two attempts, or while one runs, is what the
// newer one finds.
func TestWhatOlderProgramsDeleteIsNotCopied(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store) {
		half(t, store, 600)
		r := create(t, store, tracks1)
		_, err := r.Clear(t.Context(), repository.All)
		check(t, err)
		check(t, r.Save(t.Context(), key1{"new"}, track1{"New"}))
		holds(t, create(t, store, tracks3), map[key2]track2{{"new", "DE"}: {"New"}})
	})
	onEachStore(t, func(t *testing.T, store driver.Store) {
		older := create(t, store, tracks2)
		all := map[key2]track1{}
		for i := range 300 {
			all[key2{fmt.Sprint("id", i), "DE"}] = track1{"A"}
		}
		check(t, older.SaveMany(t.Context(), all))
		s, converted := tracks3, 0
		s.Migrations = []settings.Migration[key2, track2]{settings.MigrateFrom(tracks2, func(k key2, v track1) (key2, track2, bool, error) {
			if converted++; converted == len(all) {
				_, err := older.Clear(t.Context(), repository.All)
				check(t, err)
				check(t, older.Save(t.Context(), key2{"id7", "DE"}, track1{"again"}))
			}
			return rename(k, v)
		})}
		holds(t, create(t, store, s), map[key2]track2{{"id7", "DE"}: {"again"}})
	})
}

// Of two entries that get one key, the older one is there if the later one was deleted after it
// had been copied.
func TestADeletedEntryLeavesItsKeyToAnOlderOne(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store) {
		older := create(t, store, tracks2)
		check(t, older.Save(t.Context(), key2{"a", "DE"}, track1{"old"}, repository.AsOf(time.Now().Add(-time.Hour))))
		check(t, older.Save(t.Context(), key2{"a", "FR"}, track1{"new"}))
		s := settings.RepositorySettings[key1, track1]{Name: "tracks", Version: 3, Expire: settings.NeverExpire}
		converted := 0
		s.Migrations = []settings.Migration[key1, track1]{settings.MigrateKeys(tracks2, func(k key2) (key1, bool, error) {
			if converted++; converted == 2 {
				_, err := older.Delete(t.Context(), key2{"a", "FR"})
				check(t, err)
			}
			return key1{k.ID}, true, nil
		})}
		holds(t, create(t, store, s), map[key1]track1{{"a"}: {"old"}})
	})
}

func holds[K, V comparable](t *testing.T, r *repository.ResponseRepository[K, V], all map[K]V) {
	t.Helper()
	if n, err := r.Count(t.Context(), repository.All); n != len(all) || err != nil {
		t.Errorf("%d entries, %v, want %d", n, err, len(all))
	}
	for key, value := range all {
		want(t, r, key, value)
	}
}
