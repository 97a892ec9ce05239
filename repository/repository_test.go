package repository_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

type trackKey struct {
	ID     string `path:"id"`
	Market string `query:"market"`
}

type track struct {
	Title string  `json:"title"`
	Price float64 `json:"price"`
}

var tracks = settings.RepositorySettings[trackKey, track]{
	Name:     "tracks",
	Endpoint: request.Pattern[trackKey]("GET api.example.com/v1/tracks/{id}"),
	Payload:  payload.JSON[track](),
	NameOf:   func(t track) string { return t.Title },
	Expire:   time.Hour,
}

// clock is a clock that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// onEachStore runs a test on every store that needs no server.
func onEachStore(t *testing.T, test func(t *testing.T, store driver.Store, clock *clock)) {
	for name, open := range map[string]func(context.Context) (driver.Store, error){
		"sqlite": func(ctx context.Context) (driver.Store, error) { return sqlite.OpenMemory(ctx, nil) },
		"memory": func(context.Context) (driver.Store, error) { return memory.New(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			store, err := open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			test(t, store, &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 6789, time.FixedZone("", 3600))})
		})
	}
}

func create[K comparable, V any](t *testing.T, store driver.Store, s settings.RepositorySettings[K, V], clock *clock) *repository.ResponseRepository[K, V] {
	t.Helper()
	r, err := repository.New(t.Context(), store, s, &repository.Options{Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestValuesAreSavedReadAndDeleted(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store, clock *clock) {
		ctx := t.Context()
		r := create(t, store, tracks, clock)
		a, b, c := trackKey{"a", "DE"}, trackKey{"b", "DE"}, trackKey{"a", ""}
		check(t, r.Save(ctx, a, track{Title: "A", Price: 1.1}))
		check(t, r.SaveMany(ctx, map[trackKey]track{b: {Title: "B"}, c: {Title: "C"}}))
		check(t, r.SaveMany(ctx, nil))

		if v, ok, err := r.Get(ctx, a); err != nil || !ok || v != (track{Title: "A", Price: 1.1}) {
			t.Errorf("Get = %v, %v, %v", v, ok, err)
		}
		missing := trackKey{"x", ""}
		if v, ok, err := r.Get(ctx, missing); err != nil || ok || v != (track{}) {
			t.Errorf("Get of a missing key = %v, %v, %v", v, ok, err)
		}
		found, err := r.GetMany(ctx, []trackKey{missing, c, b, c})
		check(t, err)
		if d := cmp.Diff(map[trackKey]track{b: {Title: "B"}, c: {Title: "C"}}, found); d != "" {
			t.Error(d)
		}
		left, err := r.Missing(ctx, []trackKey{missing, a, {"y", ""}})
		check(t, err)
		if d := cmp.Diff([]trackKey{missing, {"y", ""}}, left); d != "" {
			t.Error(d)
		}
		if ok, err := r.Contains(ctx, a); err != nil || !ok {
			t.Errorf("Contains = %v, %v", ok, err)
		}
		if v, ok, err := r.Pop(ctx, a); err != nil || !ok || v.Title != "A" {
			t.Errorf("Pop = %v, %v, %v", v, ok, err)
		}
		if v, ok, err := r.Pop(ctx, a); err != nil || ok || v != (track{}) {
			t.Errorf("second Pop = %v, %v, %v", v, ok, err)
		}
		if ok, err := r.Delete(ctx, a); err != nil || ok {
			t.Errorf("Delete of what is gone = %v, %v", ok, err)
		}
		if n, err := r.DeleteMany(ctx, []trackKey{a, b, b, c}); err != nil || n != 2 {
			t.Errorf("DeleteMany = %d, %v", n, err)
		}
	})
}

func TestEntriesExpireAtTheInstant(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store, clock *clock) {
		ctx := t.Context()
		r := create(t, store, tracks, clock)
		saves := map[trackKey][]repository.SaveOption{
			{ID: "an hour"}:    nil,
			{ID: "two hours"}:  {repository.ExpireIn(2 * time.Hour)},
			{ID: "at 3 hours"}: {repository.ExpireAt(clock.Now().Add(3 * time.Hour))},
			{ID: "never"}:      {repository.ExpireIn(settings.NeverExpire)},
		}
		for key, opts := range saves {
			check(t, r.Save(ctx, key, track{Title: key.ID}, opts...))
		}
		live := func() int {
			n, err := r.Count(ctx, repository.Live)
			check(t, err)
			return n
		}
		clock.Advance(time.Hour - time.Microsecond)
		if n := live(); n != 4 {
			t.Errorf("%d live a microsecond before the first expires", n)
		}
		clock.Advance(time.Microsecond)
		if n := live(); n != 3 {
			t.Errorf("%d live when the first has expired", n)
		}
		expired := trackKey{ID: "an hour"}
		if ok, err := r.Contains(ctx, expired); err != nil || ok {
			t.Errorf("Contains an expired entry: %v, %v", ok, err)
		}
		if v, ok, err := r.Get(ctx, expired, repository.AllowExpired()); err != nil || !ok || v.Title != "an hour" {
			t.Errorf("a read that allows expired entries: %v, %v, %v", v, ok, err)
		}
		if _, ok, err := r.Pop(ctx, expired); err != nil || ok {
			t.Errorf("Pop of an expired entry: %v, %v", ok, err)
		}
		check(t, r.Save(ctx, trackKey{ID: "far"}, track{}, repository.ExpireAt(time.Date(400_000, 1, 1, 0, 0, 0, 0, time.UTC))))
		if ok, err := r.Contains(ctx, trackKey{ID: "far"}); err != nil || !ok {
			t.Errorf("what expires in a far future is gone: %v, %v", ok, err)
		}
		_, err := r.Delete(ctx, trackKey{ID: "far"})
		check(t, err)
		clock.Advance(100 * 365 * 24 * time.Hour)
		if n := live(); n != 1 {
			t.Errorf("%d live after a hundred years", n)
		}
		if n, err := r.Clear(ctx, repository.Expired); err != nil || n != 3 {
			t.Errorf("cleared %d expired, %v", n, err)
		}
		if n, err := r.Count(ctx, repository.All); err != nil || n != 1 {
			t.Errorf("%d left, %v", n, err)
		}
	})
}

// Knowledge of an instant counts from then, and replaces nothing newer.
func TestWhatIsKnownAsOfAnInstant(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store, clock *clock) {
		ctx := t.Context()
		r := create(t, store, tracks, clock)
		then := clock.Now().UTC().Truncate(time.Microsecond)
		key := trackKey{ID: "a"}
		stored := func() (repository.Entry, bool) {
			t.Helper()
			e, ok, err := r.GetEntry(ctx, key, repository.AllowExpired())
			check(t, err)
			return e, ok
		}
		clock.Advance(10 * time.Minute)
		for name, test := range map[string]struct {
			opts []repository.SaveOption
			want time.Time
		}{
			"the repository's":      {[]repository.SaveOption{repository.AsOf(then)}, then.Add(time.Hour)},
			"an expiry before":      {[]repository.SaveOption{repository.ExpireIn(time.Minute), repository.AsOf(then)}, then.Add(time.Minute)},
			"an expiry after":       {[]repository.SaveOption{repository.AsOf(then), repository.ExpireIn(time.Minute)}, then.Add(time.Minute)},
			"an instant":            {[]repository.SaveOption{repository.AsOf(then), repository.ExpireAt(then.Add(time.Second))}, then.Add(time.Second)},
			"never":                 {[]repository.SaveOption{repository.AsOf(then), repository.ExpireIn(settings.NeverExpire)}, time.Time{}},
			"a value saved as well": {[]repository.SaveOption{nil, repository.AsOf(then)}, then.Add(time.Hour)},
		} {
			check(t, r.Save(ctx, key, track{Title: name}, test.opts...))
			if e, ok := stored(); !ok || e.Name != name || !e.CachedAt.Equal(then) || !e.ExpiresAt.Equal(test.want) {
				t.Errorf("%s: %q, cached at %v, expires at %v", name, e.Name, e.CachedAt, e.ExpiresAt)
			}
		}
		check(t, r.Save(ctx, key, track{Title: "newer"}, repository.ExpireIn(time.Second)))
		clock.Advance(time.Minute)
		check(t, r.Save(ctx, key, track{Title: "older"}, repository.AsOf(then)))
		if e, _ := stored(); e.Name != "newer" {
			t.Errorf("%q has replaced what is newer, expired as it is", e.Name)
		}
		check(t, r.Save(ctx, key, track{Title: "future"}, repository.AsOf(then.Add(24*time.Hour))))
		if e, _ := stored(); e.Name != "future" || !e.CachedAt.Equal(clock.Now().UTC().Truncate(time.Microsecond)) {
			t.Errorf("an instant to come: %q, cached at %v", e.Name, e.CachedAt)
		}
		if err := r.Save(ctx, key, track{}, repository.AsOf(time.Time{})); err == nil {
			t.Error("the zero time passes")
		}
	})
}

func TestExpiryIsTheRepositorysElseTheCachesElseTheDefault(t *testing.T) {
	store, err := memory.New(nil)
	check(t, err)
	for name, test := range map[string]struct{ own, shared, want time.Duration }{
		"own":     {time.Minute, time.Hour, time.Minute},
		"shared":  {0, time.Hour, time.Hour},
		"default": {0, 0, settings.DefaultExpire},
		"never":   {settings.NeverExpire, time.Hour, settings.NeverExpire},
	} {
		s := tracks
		s.Name, s.Expire = name, test.own
		r, err := repository.New(t.Context(), store, s, &repository.Options{Expire: test.shared})
		check(t, err)
		if r.Expire() != test.want {
			t.Errorf("%s: %v, want %v", name, r.Expire(), test.want)
		}
	}
}

func TestWrongSettingsAreRefusedByName(t *testing.T) {
	store, err := memory.New(nil)
	check(t, err)
	refused := func(err error, reason string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("the error is %v, want one that tells %q", err, reason)
		}
	}
	try := func(change func(*settings.RepositorySettings[trackKey, track])) error {
		s := tracks
		change(&s)
		_, err := repository.New(t.Context(), store, s, nil)
		return err
	}
	refused(try(func(s *settings.RepositorySettings[trackKey, track]) { s.Name = "" }), "empty")
	refused(try(func(s *settings.RepositorySettings[trackKey, track]) { s.Name = "a\x00b" }), "control")
	refused(try(func(s *settings.RepositorySettings[trackKey, track]) { s.Pattern = "/{id}" }), "both Pattern and Endpoint")
	refused(try(func(s *settings.RepositorySettings[trackKey, track]) { s.Expire = -time.Hour }), "negative")
	refused(try(func(s *settings.RepositorySettings[trackKey, track]) {
		s.Endpoint = request.Pattern[trackKey]("GET /v1/{track}")
	}), "ID")
	type badKey struct{ At [2]time.Time }
	_, err = repository.New(t.Context(), store, settings.RepositorySettings[badKey, string]{Name: "x", Payload: payload.String()}, nil)
	refused(err, "At")
	r, err := repository.New(t.Context(), store, tracks, nil)
	check(t, err)
	refused(r.Save(t.Context(), trackKey{}, track{}, repository.ExpireIn(-2)), "negative")
	refused(r.Save(t.Context(), trackKey{}, track{}, repository.ExpireIn(0)), "zero")
	refused(r.Save(t.Context(), trackKey{}, track{}, repository.ExpireAt(time.Time{})), "zero")
}

// Key columns may have the names that stores use, and named types of any size.
func TestKeysOfAllKinds(t *testing.T) {
	type id string
	type page int8
	type Paging struct {
		Page  page
		Limit uint64
	}
	type key struct {
		Name    id `column:"full name"`
		Payload string
		Rowid   int64
		Paging
		Draft bool
	}
	onEachStore(t, func(t *testing.T, store driver.Store, clock *clock) {
		ctx := t.Context()
		r := create(t, store, settings.RepositorySettings[key, string]{Name: "odd", Payload: payload.String()}, clock)
		want := map[key]string{
			{Name: "a", Payload: "b"}:                       "1",
			{Name: "b", Payload: "a"}:                       "2",
			{Name: "\x00", Payload: "'; DROP TABLE odd --"}: "3",
			{Paging: Paging{Page: -128, Limit: 1<<64 - 1}}:  "4",
			{Rowid: -1 << 63, Paging: Paging{Page: 127}}:    "5",
			{Draft: true}: "6",
			{Name: "日本\xff", Payload: strings.Repeat("x", 1<<16)}: "7",
		}
		check(t, r.SaveMany(ctx, want))
		got, err := r.GetMany(ctx, slices.Collect(maps.Keys(want)))
		check(t, err)
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		keys := map[key]bool{}
		for k, err := range r.Keys(ctx) {
			check(t, err)
			keys[k] = true
		}
		if len(keys) != len(want) {
			t.Errorf("%d keys, want %d", len(keys), len(want))
		}
		for k := range keys {
			if _, ok := want[k]; !ok {
				t.Errorf("key %+v was not saved", k)
			}
		}
	})
}

func TestScalarKeys(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store, clock *clock) {
		ctx := t.Context()
		r := create(t, store, settings.RepositorySettings[int, []byte]{
			Name: "numbers", Endpoint: request.Pattern[int]("/n/{n}"), Payload: payload.Bytes(),
		}, clock)
		check(t, r.Save(ctx, 7, []byte{0, 0xff}))
		req, err := http.NewRequestWithContext(ctx, "GET", "http://x/n/7", nil)
		check(t, err)
		key, ok, err := r.Key(req)
		if err != nil || !ok || key != 7 {
			t.Fatalf("Key = %d, %v, %v", key, ok, err)
		}
		if v, ok, err := r.Get(ctx, key); err != nil || !ok || !bytes.Equal(v, []byte{0, 0xff}) {
			t.Errorf("Get = %x, %v, %v", v, ok, err)
		}
	})
}

func TestIterationYieldsAllAndAllowsWrites(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store, clock *clock) {
		ctx := t.Context()
		r := create(t, store, tracks, clock)
		want := map[trackKey]track{}
		for i := range 1200 {
			want[trackKey{ID: fmt.Sprint(i)}] = track{Title: fmt.Sprint("T", i)}
		}
		check(t, r.SaveMany(ctx, want))
		check(t, r.Save(ctx, trackKey{ID: "old"}, track{}, repository.ExpireAt(clock.Now())))
		got := map[trackKey]track{}
		for item, err := range r.All(ctx) {
			check(t, err)
			if item.Name != item.Value.Title || item.Status != 200 || item.ExpiresAt.IsZero() {
				t.Fatalf("item %+v", item)
			}
			got[item.Key] = item.Value
			_, err := r.Delete(ctx, item.Key)
			check(t, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		if n, err := r.Count(ctx, repository.All); err != nil || n != 1 {
			t.Errorf("%d left, %v", n, err)
		}
	})
}

// An entry that was saved with another V is an error that names the key, and keeps nothing
// else from being read.
func TestWhatCannotBeDecodedIsAnErrorOfItsOwn(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store, clock *clock) {
		ctx := t.Context()
		old := create(t, store, settings.RepositorySettings[trackKey, string]{Name: "tracks", Version: 1, Payload: payload.String()}, clock)
		bad, good := trackKey{ID: "bad"}, trackKey{ID: "good"}
		check(t, old.SaveMany(ctx, map[trackKey]string{bad: "<html>", good: `{"title":"G"}`}))
		same := tracks
		same.Version = 1
		r := create(t, store, same, clock)
		var decode *repository.DecodeError
		if _, ok, err := r.Get(ctx, bad); ok || !errors.As(err, &decode) || decode.Key != bad {
			t.Errorf("Get = %v, %v", ok, err)
		}
		found, err := r.GetMany(ctx, []trackKey{bad, good})
		if !errors.As(err, &decode) || len(found) != 1 || found[good].Title != "G" {
			t.Errorf("GetMany = %v, %v", found, err)
		}
		n := 0
		for item, err := range r.All(ctx) {
			if n++; (err != nil) != (item.Key == bad) {
				t.Errorf("All yields %v, %v", item.Key, err)
			}
		}
		if n != 2 {
			t.Errorf("All yields %d", n)
		}
		if _, _, err := r.Pop(ctx, bad); !errors.As(err, &decode) {
			t.Errorf("Pop: %v", err)
		}
		if ok, err := r.Contains(ctx, bad); err != nil || ok {
			t.Errorf("after Pop it is there: %v, %v", ok, err)
		}
		if err := r.SaveMany(ctx, map[trackKey]track{good: {Price: 0}}); err != nil {
			t.Error(err)
		}
	})
}

func TestValuesThatCannotBeEncodedLeaveTheOldOnes(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store, clock *clock) {
		ctx := t.Context()
		r := create(t, store, settings.RepositorySettings[string, any]{Name: "any", Payload: payload.JSON[any]()}, clock)
		check(t, r.Save(ctx, "k", "old"))
		if err := r.SaveMany(ctx, map[string]any{"k": func() {}, "l": 1}); err == nil {
			t.Error("a func was encoded")
		}
		if v, ok, err := r.Get(ctx, "k"); err != nil || !ok || v != "old" {
			t.Errorf("Get = %v, %v, %v", v, ok, err)
		}
		if ok, err := r.Contains(ctx, "l"); err != nil || ok {
			t.Errorf("half of the values were saved: %v, %v", ok, err)
		}
	})
}

// A payload's handler may use the store, also one with a single connection.
func TestDecodingMayReadAnotherRepository(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store, clock *clock) {
		ctx, cancel := context.WithTimeout(t.Context(), waitfor.Limit)
		defer cancel()
		albums := create(t, store, settings.RepositorySettings[string, string]{Name: "albums", Payload: payload.String()}, clock)
		check(t, albums.Save(ctx, "a", "Album"))
		lookUp := func(_ []byte, v any) (err error) {
			*v.(*string), _, err = albums.Get(ctx, "a")
			return err
		}
		r := create(t, store, settings.RepositorySettings[int, string]{
			Name: "k", Payload: payload.Codec[string]("text/plain", lookUp, func(any) ([]byte, error) { return nil, nil }),
		}, clock)
		for _, n := range []int{1, 10, 1000} {
			values, keys := map[int]string{}, make([]int, n)
			for i := range keys {
				values[i], keys[i] = "", i
			}
			check(t, r.SaveMany(ctx, values))
			found, err := r.GetMany(ctx, keys)
			if err != nil || len(found) != n || found[0] != "Album" {
				t.Fatalf("GetMany of %d: %d, %v", n, len(found), err)
			}
		}
	})
}

// Readers never share what one of them may change.
func TestPayloadsBelongToTheirReader(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store, clock *clock) {
		ctx := t.Context()
		r := create(t, store, settings.RepositorySettings[string, []byte]{Name: "b", Payload: payload.Bytes()}, clock)
		body := []byte("body")
		check(t, r.Save(ctx, "k", body))
		body[0] = 'X'
		spoil := func(b []byte) { b[0] = 'Y' }
		raw, _, err := r.GetRaw(ctx, "k")
		check(t, err)
		spoil(raw)
		value, _, err := r.Get(ctx, "k")
		check(t, err)
		spoil(value)
		entry, _, err := r.GetEntry(ctx, "k")
		check(t, err)
		spoil(entry.Payload)
		raws, err := r.GetManyRaw(ctx, []string{"k", "l"})
		check(t, err)
		spoil(raws["k"])
		entries, err := r.GetEntries(ctx, []string{"k", "l"})
		check(t, err)
		spoil(entries["k"].Payload)
		for item, err := range r.All(ctx) {
			check(t, err)
			spoil(item.Value)
			spoil(item.Payload)
		}
		if raw, _, err := r.GetRaw(ctx, "k"); err != nil || string(raw) != "body" {
			t.Errorf("the stored body is %q, %v", raw, err)
		}
	})
}

func TestConcurrentPopsGiveTheValueOnce(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store, clock *clock) {
		r := create(t, store, tracks, clock)
		check(t, r.Save(t.Context(), trackKey{ID: "a"}, track{Title: "A"}))
		var wait sync.WaitGroup
		got := make(chan string, 16)
		for range 16 {
			wait.Add(1)
			go func() {
				defer wait.Done()
				if v, ok, err := r.Pop(t.Context(), trackKey{ID: "a"}); err != nil {
					t.Error(err)
				} else if ok {
					got <- v.Title
				}
			}()
		}
		wait.Wait()
		if len(got) != 1 {
			t.Errorf("%d callers got it", len(got))
		}
	})
}

func TestAnotherKeyTypeForTheTableIsRefused(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store, clock *clock) {
		r := create(t, store, tracks, clock)
		check(t, r.Save(t.Context(), trackKey{ID: "a"}, track{Title: "A"}))
		other := settings.RepositorySettings[int, track]{Name: "tracks", Payload: payload.JSON[track]()}
		_, err := repository.New(t.Context(), store, other, nil)
		var changed *settings.ChangedError
		if !errors.As(err, &changed) || !errors.Is(err, driver.ErrSchema) || !strings.Contains(err.Error(), "id string, market string") {
			t.Errorf("the error is %v", err)
		}
		if ok, err := r.Contains(t.Context(), trackKey{ID: "a"}); err != nil || !ok {
			t.Errorf("the entry is gone: %v, %v", ok, err)
		}
	})
}
