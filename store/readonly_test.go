package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/testserver/places"
	"github.com/endpointcache/endpointcache/internal/tracktest"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/store"
)

// readOnly are calls that change nothing, in a store or a table.
func readOnly(ctx context.Context, s driver.Store, t driver.Table) error {
	var errs []error
	note := func(_ any, err error) { errs = append(errs, err) }
	specs, err := s.Tables(ctx)
	note(specs, err)
	if len(specs) == 0 {
		note(nil, errors.New("no table is listed"))
	}
	everything := driver.Selection{Parts: driver.Payload | driver.Meta | driver.Usage}
	entries, keys := tracktest.Entries(20)
	found := make([]bool, len(keys)) // visits may come at once, never twice for one
	note(nil, t.Get(ctx, keys, everything, func(i int, _ driver.Entry) { found[i] = true }))
	note(nil, t.Get(ctx, keys[:1], everything, func(i int, _ driver.Entry) {}))
	if slices.Contains(found, false) {
		note(nil, fmt.Errorf("of %d entries a get finds %v", len(entries), found))
	}
	note(t.Size(ctx))
	for _, state := range []driver.State{driver.All, driver.Live, driver.Expired} {
		sel := everything
		sel.State, sel.Now = state, tracktest.Now
		note(t.Count(ctx, sel.Filter))
		for _, err := range t.Entries(ctx, sel) {
			note(nil, err)
		}
		for order := driver.ByKey; order <= driver.BySize; order++ {
			l := driver.Listing{Selection: sel, Order: order, Limit: 7}
			page, err := t.List(ctx, l)
			note(page, err)
			if state != driver.Expired && len(page) != l.Limit {
				note(nil, fmt.Errorf("a page by %v has %d entries", order, len(page)))
				continue
			}
			if state != driver.Expired {
				l.After = &page[len(page)-1]
				note(t.List(ctx, l))
			}
		}
	}
	return errors.Join(errs...)
}

// changes are calls that would change something, by name.
func changes(ctx context.Context, s driver.Store, t driver.Table) map[string]error {
	entries, keys := tracktest.Entries(2)
	errs := make(map[string]error)
	errs["put"] = t.Put(ctx, entries)
	_, errs["put if"] = t.PutIf(ctx, entries, driver.Condition{If: driver.IfNewer})
	_, errs["renew"] = t.Renew(ctx, []driver.Renewal{{Key: keys[0], Seen: entries[0].CachedAt, CachedAt: entries[0].CachedAt}})
	_, errs["delete"] = t.Delete(ctx, keys)
	_, _, errs["pop"] = t.Pop(ctx, keys[0], driver.Filter{})
	_, errs["clear"] = t.Clear(ctx, driver.Filter{})
	_, errs["clear expired"] = t.Clear(ctx, driver.Filter{State: driver.Expired, Now: tracktest.Now})
	errs["use"] = t.Use(ctx, keys, tracktest.Now.Add(time.Minute))
	errs["drop"] = s.DropTable(ctx, tracktest.Spec.Name)
	_, errs["open a table that is absent"] = s.OpenTable(ctx, driver.TableSpec{Name: "absent", Key: tracktest.Spec.Key})
	return errs
}

func closed(t *testing.T, s driver.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestAStoreThatMayOnlyBeReadIsLeftAsItIs(t *testing.T) {
	for _, kind := range slices.Sorted(maps.Keys(places.Lasting)) {
		t.Run(kind, func(t *testing.T) {
			ctx, name := t.Context(), tracktest.NewName()
			url := places.Lasting[kind](t, name)
			s, err := store.Open(ctx, url, &store.Options{Name: name})
			check(t, err)
			table := tracktest.Table(t, s)
			entries, _ := tracktest.Entries(20)
			entries[0].ExpiresAt = tracktest.Now.Add(-time.Minute)
			tracktest.Put(t, table, entries...)
			closed(t, s)
			before := places.Snapshot(t, kind, url, name)

			s, err = store.Open(ctx, url, &store.Options{Name: name, ReadOnly: true})
			check(t, err)
			if !s.Traits().ReadOnly {
				t.Error("its traits do not tell that it may only be read")
			}
			table = tracktest.Table(t, s)
			check(t, readOnly(ctx, s, table))
			for what, err := range changes(ctx, s, table) {
				if !errors.Is(err, driver.ErrReadOnly) {
					t.Errorf("%s: %v", what, err)
				}
				var op *driver.OpError
				if !errors.As(err, &op) || op.Store != kind {
					t.Errorf("%s: %v is no OpError of the store", what, err)
				}
			}
			check(t, table.Put(ctx, nil))
			closed(t, s)
			if err := table.Put(ctx, entries); !errors.Is(err, driver.ErrClosed) {
				t.Errorf("a save after Close: %v", err)
			}
			if d := cmp.Diff(strings.Split(before, "\n"), strings.Split(places.Snapshot(t, kind, url, name), "\n")); d != "" {
				t.Errorf("the place has changed:\n%s", d)
			}
		})
	}
}

func TestWhereThereIsNoCacheNoneIsOpened(t *testing.T) {
	for _, kind := range slices.Sorted(maps.Keys(places.Lasting)) {
		t.Run(kind, func(t *testing.T) {
			ctx, name := t.Context(), tracktest.NewName()
			url := places.Lasting[kind](t, name)
			before := places.Snapshot(t, kind, url, name)
			for _, url := range []string{url, absent(url)} {
				s, err := store.Open(ctx, url, &store.Options{Name: name, ReadOnly: true})
				if s != nil || !errors.Is(err, driver.ErrAbsent) || strings.Contains(err.Error(), "password") {
					t.Errorf("%v, %v: want an error that there is no cache", s, err)
				}
			}
			if after := places.Snapshot(t, kind, url, name); after != before {
				t.Errorf("there is\n%s\nbefore there was\n%s", after, before)
			}
		})
	}
}

// absent is the URL of a folder in a folder, and any other as it is.
func absent(url string) string {
	if strings.HasPrefix(url, "file:") {
		return url + "/absent/folder"
	}
	return url
}

func TestMemoryThatMayOnlyBeReadIsEmpty(t *testing.T) {
	s, err := store.Open(t.Context(), "memory:", &store.Options{ReadOnly: true})
	check(t, err)
	defer closed(t, s)
	if specs, err := s.Tables(t.Context()); len(specs) > 0 || err != nil {
		t.Errorf("there are %v, %v", specs, err)
	}
	if _, err := s.OpenTable(t.Context(), tracktest.Spec); !errors.Is(err, driver.ErrReadOnly) {
		t.Errorf("a table: %v", err)
	}
	if err := s.DropTable(t.Context(), "tracks"); !errors.Is(err, driver.ErrReadOnly) {
		t.Errorf("a drop: %v", err)
	}
}

// The contents of what a program has saved that keeps no records, as a table of its own has none,
// and of what a cache has saved.
func TestContentsOfAStoreThatMayOnlyBeRead(t *testing.T) {
	for _, kind := range slices.Sorted(maps.Keys(places.Lasting)) {
		for _, byCache := range []bool{false, true} {
			t.Run(fmt.Sprint(kind, " of a cache: ", byCache), func(t *testing.T) {
				ctx, name := t.Context(), tracktest.NewName()
				url := places.Lasting[kind](t, name)
				s, err := store.Open(ctx, url, &store.Options{Name: name})
				check(t, err)
				if byCache {
					c, err := cache.New(s, nil)
					check(t, err)
					tracks, err := cache.CreateRepository(ctx, c, settings.RepositorySettings[string, string]{
						Name: "tracks", Pattern: "GET api.test/tracks/{id}", Payload: payload.String(),
					})
					check(t, err)
					check(t, tracks.Save(ctx, "a", "body"))
					check(t, tracks.Save(ctx, "b", "body", repository.ExpireAt(time.Now().Add(-time.Hour))))
					check(t, c.Close())
				} else {
					entries, _ := tracktest.Entries(3)
					tracktest.Put(t, tracktest.Table(t, s), entries...)
					closed(t, s)
				}
				before := places.Snapshot(t, kind, url, name)
				s, err = store.Open(ctx, url, &store.Options{Name: name, ReadOnly: true})
				check(t, err)
				var log bytes.Buffer
				c, err := cache.New(s, &cache.Options{
					Logger: slog.New(slog.NewTextHandler(&log, nil)), ClearEvery: time.Millisecond, KeepExpired: time.Minute, Limit: settings.Limit{Entries: 1},
				})
				check(t, err)
				page, err := c.Contents().List(ctx, cache.Listing{Order: cache.ByName})
				check(t, err)
				if len(page.Entries) == 0 {
					t.Error("nothing is listed")
				}
				_, err = c.Contents("tracks").Size(ctx)
				check(t, err)
				if _, err := c.Contents().Delete(ctx, cache.Query{}); !errors.Is(err, driver.ErrReadOnly) {
					t.Errorf("a delete: %v", err)
				}
				check(t, c.Close())
				if log.Len() > 0 {
					t.Errorf("the log has\n%s", log.String())
				}
				if d := cmp.Diff(strings.Split(before, "\n"), strings.Split(places.Snapshot(t, kind, url, name), "\n")); d != "" {
					t.Errorf("the place has changed:\n%s", d)
				}
			})
		}
	}
}
