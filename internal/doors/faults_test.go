package doors

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// What cannot be read any more, saved by a clock that was ahead, is replaced as well.
func TestAnEntryOfTheFutureThatCannotBeDecodedIsReplaced(t *testing.T) {
	through(t, option{settings: tracks{Version: 1, Payload: payload.JSON[track]()}}, func(t *testing.T, h *house, ask func(string) answered) {
		ahead := func() time.Time { return h.clock.Now().Add(1000 * time.Hour) }
		other, err := repository.New(t.Context(), h.store, settings.RepositorySettings[string, string]{
			Name: "tracks", Version: 1, Payload: payload.String(),
		}, &repository.Options{Now: ahead})
		check(t, err)
		check(t, other.Save(t.Context(), "a", "no track"))
		refresh := call(t, policy.Policy{Use: policy.Reload})
		want(t, "fetched", doors[1].ask(refresh, h, "a"), version(1))
		h.api.version.Store(2)
		want(t, "kept", ask("a"), version(1))
	})
}

// Functions that decide by the body have it by every door, also of what a 304 confirms, and
// though the store reads no more than it is asked for.
func TestPoliciesSeeTheBodyOfWhatIsStored(t *testing.T) {
	onDisk := func(driver.Store) driver.Store {
		store, err := sqlite.OpenMemory(t.Context(), nil)
		check(t, err)
		return store
	}
	hasBody := func(x *policy.Exchange) bool { return len(x.Body) > 0 }
	for name, p := range map[string]policy.Policy{
		"Keep":  {Keep: hasBody},
		"Serve": {Serve: hasBody},
		"ExpireFunc": {ExpireFunc: func(x *policy.Exchange) policy.Expiry {
			if !hasBody(x) {
				return policy.DoNotCache()
			}
			return policy.After(time.Hour)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			o := option{cache: cache.Options{Policy: p, Expire: time.Hour}, store: onDisk}
			through(t, o, func(t *testing.T, h *house, ask func(string) answered) {
				h.api.set("Etag", "any")
				want(t, "first", ask("a"), version(1))
				want(t, "again", ask("a"), version(1))
				h.wantRequests(1)
				h.clock.advance(2 * time.Hour)
				want(t, "confirmed", ask("a"), version(1))
				want(t, "renewed", ask("a"), version(1))
				h.wantRequests(2)
			})
		})
	}
}

// What varies is renewed by a 304 as anything else is, though a prefetch does not read its
// payload.
func TestAConfirmedVariantIsRenewed(t *testing.T) {
	for _, vary := range []string{"Accept-Language", "Accept-Encoding", "Accept-Encoding, Accept-Language"} {
		t.Run(vary, func(t *testing.T) {
			o := option{cache: cache.Options{Policy: policy.Policy{CacheControl: policy.On}}}
			through(t, o, func(t *testing.T, h *house, ask func(string) answered) {
				h.api.set("Vary", vary, "Cache-Control", "max-age=60", "Etag", "any")
				want(t, "first", ask("a"), version(1))
				h.clock.advance(2 * time.Minute)
				want(t, "confirmed", ask("a"), version(1))
				want(t, "renewed", ask("a"), version(1))
				h.wantRequests(2)
			})
		})
	}
}

// A repository that was removed may be used beside another one of its name: they have the
// same table.
func TestAChangeByAnotherRepositoryOfTheNameOutdatesWhatIsUnderWay(t *testing.T) {
	h := newHouse(t, option{})
	release := h.api.block()
	ended := make(chan answered, 1)
	go func() { ended <- typed(h.fetcher.Fetch(t.Context(), "a")) }()
	waitfor.True(t, "the origin is asked", func() bool { return h.api.requests.Load() == 1 })
	h.cache.Remove("tracks")
	repo, err := cache.CreateRepository(t.Context(), h.cache, h.fetcher.Settings())
	check(t, err)
	_, err = repo.Delete(t.Context(), "a")
	check(t, err)
	release()
	want(t, "fetched", <-ended, version(1))
	if row := h.row("a"); row != "none" {
		t.Error("what was asked for before is kept:", row)
	}
}

// hung is a store whose saves wait until it is released.
type hung struct {
	driver.Store
	released chan struct{}
}

type hungTable struct {
	driver.Table
	released chan struct{}
}

func (s hung) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	table, err := s.Store.OpenTable(ctx, spec)
	if spec.Name == "endpointcache_records" { // the cache's own
		return table, err
	}
	return hungTable{table, s.released}, err
}

func (t hungTable) PutIf(ctx context.Context, entries []driver.Entry, c driver.Condition) ([]bool, error) {
	<-t.released
	return t.Table.PutIf(ctx, entries, c)
}

func TestCloseDoesNotWaitForAStoreThatHangs(t *testing.T) {
	for _, d := range doors {
		t.Run(d.name, func(t *testing.T) {
			released := make(chan struct{})
			h := newHouse(t, option{
				cache: cache.Options{StoreTimeout: 50 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)},
				store: func(s driver.Store) driver.Store { return hung{s, released} },
			})
			d.ask(t.Context(), h, "a")
			closed := make(chan error, 1)
			go func() { closed <- h.cache.Close() }()
			check(t, waitfor.Receive(t, "Close returns", closed))
			close(released)
		})
	}
}

// What was saved when the type of values was another is fetched anew by those who read it.
func TestWhatCannotBeDecodedIsFetchedAnew(t *testing.T) {
	var reading []door
	for _, d := range doors {
		if d.name != "prefetch" && d.name != "RoundTrip" { // these do not decode it
			reading = append(reading, d)
		}
	}
	o := option{cache: cache.Options{Logger: slog.New(slog.DiscardHandler)}, settings: tracks{Version: 1, Payload: payload.JSON[track]()}}
	throughSome(t, reading, o, func(t *testing.T, h *house, ask func(string) answered) {
		before, err := repository.New(t.Context(), h.store, settings.RepositorySettings[string, string]{
			Name: "tracks", Version: 1, Payload: payload.String(),
		}, &repository.Options{Now: h.clock.Now})
		check(t, err)
		check(t, before.Save(t.Context(), "a", "no track"))
		want(t, "first", ask("a"), version(1))
		want(t, "again", ask("a"), version(1))
		h.wantRequests(1)
	})
}

// A caller that took what is stored has the origin's answer saved, though the others that
// waited for it have given up.
func TestASoftTimeoutSavesTheAnswerThoughOthersGiveUp(t *testing.T) {
	patient := policy.Policy{StaleIfError: time.Hour}
	hasty := policy.Policy{StaleIfError: time.Hour, SoftTimeout: 50 * time.Millisecond}
	for _, d := range doors[:3] {
		t.Run(d.name, func(t *testing.T) {
			h := newHouse(t, option{settings: expiring(time.Minute)})
			want(t, "first", d.ask(t.Context(), h, "a"), version(1))
			h.clock.advance(2 * time.Minute)
			h.api.version.Store(2)
			release := h.api.block()
			ctx, giveUp := context.WithCancel(call(t, patient))
			gone := make(chan answered, 1)
			go func() { gone <- d.ask(ctx, h, "a") }()
			waitfor.True(t, "the origin is asked", func() bool { return h.api.requests.Load() == 2 })
			want(t, "soon", d.ask(call(t, hasty), h, "a"), version(1))
			giveUp()
			<-gone
			release()
			waitfor.True(t, "the answer is saved", func() bool {
				v, ok, err := h.fetcher.Repository().Get(t.Context(), "a")
				return err == nil && ok && v.Version == 2
			})
			h.wantRequests(2)
		})
	}
}
