package repository_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

func TestLookupTellsWhatIsKnown(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store, clock *clock) {
		s := tracks
		s.ExpireAbsent = time.Minute
		r := create(t, store, s, clock)
		ctx := t.Context()
		key := func(id string) trackKey { return trackKey{ID: id} }
		check(t, r.Save(ctx, key("value"), track{Title: "A"}))
		check(t, r.Save(ctx, key("expired"), track{Title: "B"}, repository.ExpireAt(clock.Now())))
		check(t, r.SaveEntry(ctx, key("redirect"), entryOf(t, http.StatusFound, "")))
		check(t, r.SaveEntry(ctx, key("gone"), entryOf(t, http.StatusGone, "gone")))
		check(t, r.SaveAbsent(ctx, []trackKey{key("absent")}))
		keys := []trackKey{key("absent"), key("value"), key("none"), key("expired"), key("value"), key("redirect"), key("gone")}

		presence, err := r.Presence(ctx, keys)
		check(t, err)
		want := []repository.Presence{repository.Absent, repository.Present, repository.Unknown, repository.Unknown, repository.Present, repository.Unknown, repository.Absent}
		if d := cmp.Diff(want, presence); d != "" {
			t.Error(d)
		}
		found, err := r.Lookup(ctx, keys)
		check(t, err)
		wantFound := make([]repository.Found[track], len(want))
		for i, p := range want {
			wantFound[i].Presence = p
			if p == repository.Present {
				wantFound[i].Value = track{Title: "A"}
			}
		}
		if d := cmp.Diff(wantFound, found, cmpopts.EquateErrors()); d != "" {
			t.Error(d)
		}
		found, err = r.Lookup(ctx, keys, repository.AllowExpired())
		check(t, err)
		if found[3].Value.Title != "B" {
			t.Errorf("with expired entries: %+v", found[3])
		}

		// To a typed read it is a miss, and to a bulk of what is missing, too.
		if _, ok, err := r.Get(ctx, key("absent")); ok || err != nil {
			t.Errorf("Get of an absent key = %t, %v", ok, err)
		}
		clock.Advance(time.Minute)
		if presence, err := r.Presence(ctx, keys[:1]); err != nil || presence[0] != repository.Unknown {
			t.Errorf("after its expiry an absent key is %v, %v", presence, err)
		}
	})
}

func TestLookupOfMany(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store, clock *clock) {
		r := create(t, store, tracks, clock)
		keys, values := make([]trackKey, 1_000), make(map[trackKey]track)
		for i := range keys {
			keys[i] = trackKey{ID: string(rune('a' + i%1_000))}
			if i%3 > 0 {
				values[keys[i]] = track{Title: keys[i].ID}
			}
		}
		check(t, r.SaveMany(t.Context(), values))
		check(t, saveRaw(t, store, driver.Key{keys[1].ID, ""}, []byte("no JSON")))
		found, err := r.Lookup(t.Context(), keys)
		check(t, err)
		for i, f := range found {
			value, ok := values[keys[i]]
			var decode *repository.DecodeError
			switch {
			case i == 1:
				if f.Presence != repository.Present || !errors.As(f.Err, &decode) || decode.Key != any(keys[1]) {
					t.Errorf("what cannot be decoded is %+v", f)
				}
			case f.Err != nil, f.Value != value, ok != (f.Presence == repository.Present):
				t.Fatalf("%d: %+v, want %+v", i, f, value)
			}
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

func TestAbsenceIsNotRememberedUnlessAsked(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store, clock *clock) {
		r := create(t, store, tracks, clock)
		key := trackKey{ID: "a"}
		check(t, r.Save(t.Context(), key, track{Title: "A"}))
		check(t, r.SaveAbsent(t.Context(), []trackKey{key, {ID: "b"}}))
		if n, err := r.Count(t.Context(), repository.All); n != 0 || err != nil {
			t.Errorf("there are %d entries, %v: what is gone is to be removed", n, err)
		}
	})
	s := tracks
	s.ExpireAbsent = -time.Minute
	if err := s.Validate(); err == nil {
		t.Error("a negative ExpireAbsent is no error")
	}
	s.ExpireAbsent = settings.NeverExpire
	check(t, s.Validate())
}

func TestDecodedResponsesAreSavedAsTheyAre(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store, clock *clock) {
		r := create(t, store, tracks, clock)
		const body = `{ "title":"A", "price":1.10 }`
		entry := entryOf(t, http.StatusOK, body)
		key := trackKey{ID: "a"}
		value, err := r.Decode(key, entry)
		check(t, err)
		check(t, r.SaveDecoded(t.Context(), []repository.Decoded[trackKey, track]{{Key: key, Entry: entry, Value: value}}))
		got, ok, err := r.GetEntry(t.Context(), key)
		check(t, err)
		header, err := got.Header()
		check(t, err)
		if !ok || string(got.Payload) != body || got.Name != "A" || got.Status != http.StatusOK || header.Get("X-Test") != "1" || !got.ExpiresAt.Equal(got.CachedAt.Add(time.Hour)) {
			t.Errorf("the entry is %+v", got)
		}
		if _, err := r.Decode(key, entryOf(t, http.StatusOK, "<html>")); err == nil {
			t.Error("what cannot be decoded is no error")
		}
	})
}

func entryOf(t *testing.T, status int, body string) repository.Entry {
	t.Helper()
	e, err := repository.NewEntry(status, repository.Head{Header: http.Header{"X-Test": {"1"}}}, []byte(body))
	check(t, err)
	return e
}
