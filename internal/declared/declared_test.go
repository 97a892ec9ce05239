package declared_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/identity"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

func TestAnotherDeclarationIsRefused(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store) {
		unversioned := tracks1
		unversioned.Version = 0
		r := create(t, store, unversioned)
		check(t, r.Save(t.Context(), key1{"a"}, track1{"A"}))

		otherEndpoint := unversioned
		otherEndpoint.Pattern = "GET /v2/tracks/{id}"
		refused(t, store, otherEndpoint, "/v1/tracks", "/v2/tracks")
		refused(t, store, settings.RepositorySettings[key1, track2]{Name: "tracks", Pattern: unversioned.Pattern}, "track1 as", "track2 as")
		refused(t, store, settings.RepositorySettings[int, track1]{Name: "tracks"}, "key (id string)", "key (key int)")

		want(t, create(t, store, unversioned), key1{"a"}, track1{"A"})
		want(t, create(t, store, settings.RepositorySettings[key1, track1]{Name: "tracks"}), key1{"a"}, track1{"A"})
	})
}

func refused[K comparable, V any](t *testing.T, store driver.Store, s settings.RepositorySettings[K, V], stored, given string) {
	t.Helper()
	_, err := open(t.Context(), t, store, s)
	var changed *settings.ChangedError
	if !errors.As(err, &changed) || !errors.Is(err, driver.ErrSchema) {
		t.Fatalf("the error is %v", err)
	}
	before, after, _ := strings.Cut(err.Error(), "; the settings have")
	if !strings.Contains(before, stored) || !strings.Contains(after, given) {
		t.Errorf("the error is %v, want %q and %q", err, stored, given)
	}
}

func TestVersionsTellIfBothHaveOne(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store) {
		check(t, create(t, store, tracks1).Save(t.Context(), key1{"a"}, track1{"A"}))
		type song struct {
			Title string `json:"title"`
		}
		renamed := settings.RepositorySettings[key1, song]{Name: "tracks", Version: 1, Pattern: "GET /v1/songs/{id}"}
		want(t, create(t, store, renamed), key1{"a"}, song{"A"})
		renamed.Version = 2
		refused(t, store, renamed, "version 1", "version 2")
	})
}

func TestAVersionIsAddedWithoutAChange(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store) {
		unversioned := tracks1
		unversioned.Version = 0
		create(t, store, unversioned)
		create(t, store, tracks1)
		create(t, store, unversioned)
		if record := remembered(t, store, "tracks"); first(record, "version") != "1" || first(record, "table") != "1" {
			t.Errorf("the record is %v", record)
		}
	})
}

func TestRecreatedTablesAreEmpty(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store) {
		old := create(t, store, tracks1)
		check(t, old.Save(t.Context(), key1{"a"}, track1{"A"}))
		other := settings.RepositorySettings[key1, track2]{Name: "tracks", Version: 2, Changed: settings.Recreate}
		c, log := newCache(t, store)
		r, err := cache.CreateRepository(t.Context(), c, other)
		check(t, err)
		if n, err := r.Count(t.Context(), repository.All); n != 0 || err != nil {
			t.Errorf("%d entries, %v", n, err)
		}
		if !strings.Contains(log.String(), "are dropped") || !strings.Contains(log.String(), "version 1") {
			t.Errorf("the log is %s", log)
		}
		if names := tables(t, store); names != "tracks~2" {
			t.Errorf("the tables are %s", names)
		}

		// What the older program does then is not seen by the newer one.
		_ = old.Save(t.Context(), key1{"b"}, track1{"B"})
		if _, ok, err := r.Get(t.Context(), key1{"b"}); ok || err != nil {
			t.Errorf("the newer one finds what the older one has saved: %v, %v", ok, err)
		}
	})
}

func TestAnAddedFieldNeedsNoFunction(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store) {
		r := create(t, store, tracks1)
		body := "{ \"title\" : \"A\" }\n"
		header := http.Header{"Etag": {`"1"`}, "Content-Type": {"application/json"}}
		e, err := repository.NewEntry(http.StatusOK, repository.Head{Header: header}, []byte(body))
		check(t, err)
		check(t, r.SaveEntry(t.Context(), key1{"a"}, e))
		before, _, err := r.GetEntry(t.Context(), key1{"a"})
		check(t, err)

		added := create(t, store, tracks2)
		after, ok, err := added.GetEntry(t.Context(), key2{"a", "DE"})
		if err != nil || !ok || string(after.Payload) != body || !after.CachedAt.Equal(before.CachedAt) ||
			!after.ExpiresAt.Equal(before.ExpiresAt) || after.Name != before.Name || after.Status != before.Status {
			t.Errorf("%+v has become %+v, %v, %v", before, after, ok, err)
		}
		if h, err := after.Head(); err != nil || h.Header.Get("Etag") != `"1"` {
			t.Errorf("the head is %+v, %v", h, err)
		}
		if names := tables(t, store); names != "tracks~2" {
			t.Errorf("the tables are %s", names)
		}
		refused(t, store, tracks1, "version 2", "version 1")
	})
}

func TestARequiredFieldNeedsAFunction(t *testing.T) {
	type required struct {
		ID     string `path:"id"`
		Market string `query:"market,required"`
	}
	type reordered struct {
		Market string `query:"market"`
		ID     string `path:"id"`
	}
	onEachStore(t, func(t *testing.T, store driver.Store) {
		check(t, create(t, store, tracks2).Save(t.Context(), key2{"a", "FR"}, track1{"A"}))
		refused(t, store, settings.RepositorySettings[reordered, track1]{Name: "tracks", Version: 3, Pattern: tracks2.Pattern}, "id string, market", "market string, id")
		refused(t, store, settings.RepositorySettings[key1, track1]{Name: "tracks", Version: 3, Pattern: tracks2.Pattern}, "id string, market", "(id string)")

		s := settings.RepositorySettings[reordered, track1]{Name: "tracks", Version: 3, Pattern: tracks2.Pattern}
		s.Migrations = []settings.Migration[reordered, track1]{
			settings.MigrateKeys(tracks2, func(k key2) (reordered, bool, error) { return reordered{k.Market, k.ID}, true, nil }),
		}
		want(t, create(t, store, s), reordered{"FR", "a"}, track1{"A"})
	})
	onEachStore(t, func(t *testing.T, store driver.Store) {
		create(t, store, tracks1)
		refused(t, store, settings.RepositorySettings[required, track1]{Name: "tracks", Version: 3, Pattern: tracks2.Pattern}, "(id string)", "market string")
	})
}

func TestMigrationsAreChained(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store) {
		r := create(t, store, tracks1)
		check(t, r.SaveMany(t.Context(), map[key1]track1{{"a"}: {"A"}, {"b"}: {"B"}}))
		absence, err := repository.NewEntry(http.StatusNotFound, repository.Head{}, []byte("no such track"))
		check(t, err)
		check(t, r.SaveEntry(t.Context(), key1{"gone"}, absence))
		c, log := newCache(t, store)
		newer, err := cache.CreateRepository(t.Context(), c, tracks3)
		check(t, err)
		want(t, newer, key2{"a", "DE"}, track2{"A"})
		want(t, newer, key2{"b", "DE"}, track2{"B"})
		raw, ok, err := newer.GetRaw(t.Context(), key2{"a", "DE"})
		if string(raw) != `{"name":"A"}` || !ok || err != nil {
			t.Errorf("the payload is %q, %v, %v", raw, ok, err)
		}
		gone, ok, err := newer.GetEntry(t.Context(), key2{"gone", "DE"})
		if gone.Status != http.StatusNotFound || string(gone.Payload) != "no such track" || !ok || err != nil {
			t.Errorf("the absence is %+v, %v, %v", gone, ok, err)
		}
		if !strings.Contains(log.String(), "migrated") || !strings.Contains(log.String(), "entries=3") {
			t.Errorf("the log is %s", log)
		}
		record := remembered(t, store, "tracks")
		if first(record, "version") != "3" || first(record, "table") != "2" || record["next_table"] != nil || record["old"] != nil {
			t.Errorf("the record is %v", record)
		}
	})
}

func TestWhatAFunctionRefuses(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store) {
		r := create(t, store, tracks2)
		check(t, r.SaveMany(t.Context(), map[key2]track1{{"a", "DE"}: {"A"}, {"b", "FR"}: {"B"}}))

		failing := tracks3
		broken := errors.New("broken")
		failing.Migrations = []settings.Migration[key2, track2]{settings.MigrateFrom(tracks2, func(k key2, v track1) (key2, track2, bool, error) {
			return k, track2{v.Title}, true, broken
		})}
		if _, err := open(t.Context(), t, store, failing); !errors.Is(err, broken) {
			t.Errorf("the error is %v", err)
		}
		want(t, create(t, store, tracks2), key2{"a", "DE"}, track1{"A"})
		if names := tables(t, store); names != "tracks" {
			t.Errorf("the tables are %s", names)
		}

		choosing := tracks3
		choosing.Migrations = []settings.Migration[key2, track2]{settings.MigrateFrom(tracks2, func(k key2, v track1) (key2, track2, bool, error) {
			return k, track2{v.Title}, k.Market == "DE", nil
		})}
		newer := create(t, store, choosing)
		want(t, newer, key2{"a", "DE"}, track2{"A"})
		if n, err := newer.Count(t.Context(), repository.All); n != 1 || err != nil {
			t.Errorf("%d entries, %v", n, err)
		}
	})
}

func TestOfTwoEntriesThatGetOneKeyTheLaterIsKept(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store) {
		r := create(t, store, tracks2)
		later := time.Now().Add(-time.Hour)
		check(t, r.Save(t.Context(), key2{"a", "DE"}, track1{"old"}, repository.AsOf(later.Add(-time.Hour))))
		check(t, r.Save(t.Context(), key2{"a", "FR"}, track1{"new"}, repository.AsOf(later)))
		s := settings.RepositorySettings[key1, track1]{Name: "tracks", Version: 3, Expire: settings.NeverExpire}
		s.Migrations = []settings.Migration[key1, track1]{
			settings.MigrateKeys(tracks2, func(k key2) (key1, bool, error) { return key1{k.ID}, true, nil }),
		}
		want(t, create(t, store, s), key1{"a"}, track1{"new"})
	})
}

func TestManyOpenAtOnce(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store) {
		r := create(t, store, tracks1)
		values := make(map[key1]track1)
		for _, id := range strings.Split(strings.Repeat("a", 700), "")[:600] {
			values[key1{id + strings.Repeat("x", len(values))}] = track1{id}
		}
		check(t, r.SaveMany(t.Context(), values))
		var calls atomic.Int64
		s := tracks3
		s.Migrations = []settings.Migration[key2, track2]{settings.MigrateFrom(tracks2, func(k key2, v track1) (key2, track2, bool, error) {
			calls.Add(1)
			return rename(k, v)
		})}
		var wait sync.WaitGroup
		for range 8 {
			wait.Go(func() {
				newer, err := open(t.Context(), t, store, s)
				if err != nil {
					t.Error(err)
					return
				}
				if n, err := newer.Count(t.Context(), repository.All); n != len(values) || err != nil {
					t.Errorf("%d entries of %d, %v", n, len(values), err)
				}
			})
		}
		wait.Wait()
		if n := calls.Load(); n != int64(len(values)) {
			t.Errorf("the function was called %d times for %d entries", n, len(values))
		}
	})
}

// Whoever waits for another one's migration does so no longer than its context lasts.
func TestWaitingEndsWithTheContext(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store) {
		check(t, create(t, store, tracks2).Save(t.Context(), key2{"a", "DE"}, track1{"A"}))
		s := tracks3
		begun, goOn := make(chan struct{}), make(chan struct{})
		s.Migrations = []settings.Migration[key2, track2]{settings.MigrateFrom(tracks2, func(k key2, v track1) (key2, track2, bool, error) {
			close(begun)
			<-goOn
			return rename(k, v)
		})}
		var wait sync.WaitGroup
		wait.Go(func() { want(t, create(t, store, s), key2{"a", "DE"}, track2{"A"}) })
		<-begun
		want(t, create(t, store, tracks2), key2{"a", "DE"}, track1{"A"}) // the older program need not wait
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := open(ctx, t, store, tracks3); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the error is %v", err)
		}
		close(goOn)
		wait.Wait()
	})
}

func TestEachIdentityKeepsItsEntries(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store) {
		older, newer := tracks1, tracks3
		older.Scope, newer.Scope = settings.PerIdentity, settings.PerIdentity
		ann, bob := identity.With(t.Context(), "ann"), identity.With(t.Context(), "bob")
		r := create(t, store, older)
		check(t, r.Save(ann, key1{"a"}, track1{"Ann's"}))
		check(t, r.Save(bob, key1{"a"}, track1{"Bob's"}))
		refused(t, store, tracks3, "per identity", "version 3")
		n := create(t, store, newer)
		for ctx, title := range map[context.Context]string{ann: "Ann's", bob: "Bob's"} {
			if got, ok, err := n.Get(ctx, key2{"a", "DE"}); got.Name != title || !ok || err != nil {
				t.Errorf("%+v, %v, %v, want %s", got, ok, err, title)
			}
		}
	})
}

func TestATableWithoutARecordIsMigratedByItsKey(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store) {
		check(t, create(t, store, tracks1).Save(t.Context(), key1{"a"}, track1{"A"}))
		_, err := records(t, store).Delete(t.Context(), []driver.Key{{"declaration", "tracks"}})
		check(t, err)
		want(t, create(t, store, tracks3), key2{"a", "DE"}, track2{"A"})
	})
}

func TestOlderSettingsHaveToBeOfTheRepository(t *testing.T) {
	other := tracks2
	other.Name = "songs"
	s := tracks3
	s.Migrations = []settings.Migration[key2, track2]{settings.MigrateFrom(other, rename)}
	if err := s.Validate(); err == nil || !strings.Contains(err.Error(), `"songs"`) {
		t.Errorf("the error is %v", err)
	}
	s.Migrations = make([]settings.Migration[key2, track2], 1)
	if err := s.Validate(); err == nil {
		t.Error("a migration that is none is taken")
	}
}

func TestTablesAreListedAndDropped(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store) {
		c, _ := newCache(t, store)
		r, err := cache.CreateRepository(t.Context(), c, tracks1)
		check(t, err)
		check(t, r.Save(t.Context(), key1{"a"}, track1{"A"}))
		raw, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[string, []byte]{Name: "raw", Payload: payload.Bytes()})
		check(t, err)
		check(t, raw.Save(t.Context(), "a", []byte("A")))
		all, err := c.Tables(t.Context())
		check(t, err)
		var listed []string
		for _, table := range all {
			line := table.Name + " of " + table.Repository
			if d := table.Declaration; d != nil {
				line += " (" + d.String() + ")"
			}
			if table.InUse {
				line += " in use"
			}
			listed = append(listed, line)
		}
		if got := strings.Join(listed, "\n"); got != `endpointcache_records of 
raw of raw (payload []uint8 as application/octet-stream, key (key string)) in use
tracks of tracks (version 1: endpoint "GET /v1/tracks/{id}", payload github.com/endpointcache/endpointcache/internal/declared_test.track1 as application/json, key (id string)) in use` {
			t.Errorf("the tables are\n%s", got)
		}

		if err := c.Drop(t.Context(), "tracks"); !errors.Is(err, cache.ErrInUse) {
			t.Errorf("the error is %v", err)
		}
		if err := c.Drop(t.Context(), "endpointcache_records"); err == nil {
			t.Error("the records are dropped")
		}
		c.Remove("tracks")
		check(t, c.Drop(t.Context(), "tracks"))
		check(t, c.Drop(t.Context(), "tracks"))
		if names := tables(t, store); names != "raw" || first(remembered(t, store, "tracks"), "dropped") != "true" {
			t.Errorf("the tables are %s, the record %v", names, remembered(t, store, "tracks"))
		}
		check(t, create(t, store, tracks2).Save(t.Context(), key2{"b", "DE"}, track1{"B"}))
		want(t, create(t, store, tracks2), key2{"b", "DE"}, track1{"B"})
	})
}

// A record that only a newer version knows to read is in nobody's way but its repository's.
func TestARecordThatIsNotKnown(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store) {
		check(t, create(t, store, tracks1).Save(t.Context(), key1{"a"}, track1{"A"}))
		create(t, store, tracks2) // tracks~2
		songs := settings.RepositorySettings[int, string]{Name: "songs"}
		check(t, create(t, store, songs).Save(t.Context(), 1, "one"))
		table, key := records(t, store), driver.Key{"declaration", "tracks"}
		var known driver.Entry
		check(t, table.Get(t.Context(), []driver.Key{key}, driver.Selection{Parts: driver.Meta}, func(_ int, e driver.Entry) { known = e }))
		for from, to := range map[string]string{
			`"undeclared"`: `"per planet"`, `"id string"`: `"id float"`, `"market string"`: `"string"`,
		} {
			newer := known
			newer.Key, newer.MetaSum = key, 0
			newer.Header = strings.Replace(known.Header, from, to, 1)
			if newer.Header == known.Header {
				t.Fatalf("the record is %s", known.Header)
			}
			check(t, table.Put(t.Context(), []driver.Entry{newer}))

			c, _ := newCache(t, store)
			if _, err := cache.CreateRepository(t.Context(), c, tracks2); err == nil || !strings.Contains(err.Error(), "newer version") {
				t.Errorf("%s: the error is %v", to, err)
			}
			if err := c.Drop(t.Context(), "tracks"); err == nil || !strings.Contains(err.Error(), "newer version") {
				t.Errorf("%s: the error is %v", to, err)
			}
			all, err := c.Tables(t.Context())
			check(t, err)
			if last := all[len(all)-1]; last.Name != "tracks~2" || last.Repository != "tracks" || last.Declaration != nil || last.Left {
				t.Errorf("%s: the table is %+v", to, last)
			}
			if n, err := c.Contents("tracks").Count(t.Context(), cache.Query{}); n != 1 || err != nil {
				t.Errorf("%s: %d entries, %v", to, n, err)
			}
			check(t, c.Drop(t.Context(), "songs"))
		}
	})
}
