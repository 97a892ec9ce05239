package repository_test

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

// A response that says that there is nothing is an entry, and no value.
func TestReadsOfManyTellValuesFromOtherEntries(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store, clock *clock) {
		r := create(t, store, tracks, clock)
		ctx := t.Context()
		key := func(id string) trackKey { return trackKey{ID: id} }
		check(t, r.Save(ctx, key("value"), track{Title: "A"}))
		check(t, r.Save(ctx, key("expired"), track{Title: "B"}, repository.ExpireAt(clock.Now())))
		check(t, r.SaveEntry(ctx, key("redirect"), entryOf(t, http.StatusFound, "")))
		check(t, r.SaveEntry(ctx, key("gone"), entryOf(t, http.StatusGone, "gone")))
		keys := []trackKey{key("value"), key("none"), key("expired"), key("value"), key("redirect"), key("gone")}

		values, err := r.GetMany(ctx, keys)
		check(t, err)
		if d := cmp.Diff(map[trackKey]track{key("value"): {Title: "A"}}, values); d != "" {
			t.Error(d)
		}
		values, err = r.GetMany(ctx, keys, repository.AllowExpired())
		check(t, err)
		if len(values) != 2 || values[key("expired")].Title != "B" {
			t.Errorf("with expired entries: %+v", values)
		}
		missing, err := r.Missing(ctx, keys)
		check(t, err)
		if d := cmp.Diff([]trackKey{key("none"), key("expired"), key("redirect"), key("gone")}, missing); d != "" {
			t.Error(d)
		}
		entries, err := r.GetEntries(ctx, keys)
		check(t, err)
		if len(entries) != 3 || entries[key("gone")].Status != http.StatusGone || string(entries[key("gone")].Payload) != "gone" {
			t.Errorf("%d entries: %v", len(entries), slices.Collect(maps.Keys(entries)))
		}
	})
}

func TestAValueThatCannotBeDecodedDoesNotHideOthers(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store, clock *clock) {
		r := create(t, store, tracks, clock)
		keys, values := make([]trackKey, 1_000), make(map[trackKey]track)
		for i := range keys {
			keys[i] = trackKey{ID: string(rune('a' + i))}
			if i%3 > 0 {
				values[keys[i]] = track{Title: keys[i].ID}
			}
		}
		check(t, r.SaveMany(t.Context(), values))
		check(t, saveRaw(t, store, driver.Key{keys[1].ID, ""}, []byte("no JSON")))
		delete(values, keys[1])
		found, err := r.GetMany(t.Context(), keys)
		var decode *repository.DecodeError
		if !errors.As(err, &decode) || decode.Key != any(keys[1]) {
			t.Errorf("the error is %v", err)
		}
		if d := cmp.Diff(values, found); d != "" {
			t.Error(d)
		}
	})
}

// saveRaw puts a row below the repository.
func saveRaw(t *testing.T, store driver.Store, key driver.Key, payload []byte) error {
	t.Helper()
	table, err := store.OpenTable(t.Context(), driver.TableSpec{Name: tracks.Name, Key: []driver.Column{{Name: "id", Kind: driver.String}, {Name: "market", Kind: driver.String}}})
	if err != nil {
		return err
	}
	return table.Put(t.Context(), []driver.Entry{{Key: key, Status: http.StatusOK, Payload: payload, CachedAt: time.Now().UTC().Truncate(time.Second)}})
}

func TestExpiriesOfAbsences(t *testing.T) {
	s := tracks
	s.ExpireAbsent = -time.Minute
	if err := s.Validate(); err == nil {
		t.Error("a negative ExpireAbsent is no error")
	}
	s.ExpireAbsent = settings.NeverExpire
	check(t, s.Validate())
}

func TestResponsesAreSavedAsTheyAre(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store, clock *clock) {
		r := create(t, store, tracks, clock)
		const body = `{ "title":"A", "price":1.10 }`
		key := trackKey{ID: "a"}
		check(t, r.SaveEntry(t.Context(), key, entryOf(t, http.StatusOK, body)))
		got, ok, err := r.GetEntry(t.Context(), key)
		check(t, err)
		header, err := got.Header()
		check(t, err)
		if !ok || string(got.Payload) != body || got.Name != "A" || got.Status != http.StatusOK || header.Get("X-Test") != "1" || !got.ExpiresAt.Equal(got.CachedAt.Add(time.Hour)) {
			t.Errorf("the entry is %+v", got)
		}
		var decode *repository.DecodeError
		if err := r.SaveEntry(t.Context(), key, entryOf(t, http.StatusOK, "<html>")); !errors.As(err, &decode) {
			t.Errorf("the error of what cannot be decoded is %v", err)
		}
	})
}

func entryOf(t *testing.T, status int, body string) repository.Entry {
	t.Helper()
	e, err := repository.NewEntry(status, repository.Head{Header: http.Header{"X-Test": {"1"}}}, []byte(body))
	check(t, err)
	return e
}
