package tier_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/tier"
)

// calls counts the operations on a hub's stores, and fails them on demand.
type calls struct {
	mu   sync.Mutex
	of   map[string]int
	fail map[string]error // after they were done
}

func count(h *hub) *calls {
	c := &calls{of: make(map[string]int), fail: make(map[string]error)}
	h.around = func(op string, run func() error) error {
		c.mu.Lock()
		c.of[op]++
		fails := c.fail[op]
		c.mu.Unlock()
		return errors.Join(run(), fails)
	}
	return c
}

func (c *calls) gets() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of["get from"]
}

func (c *calls) failing(op string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail[op] = err
}

// quiet are options without a line for each loss.
func quiet(o tier.Options) *tier.Options {
	o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	return &o
}

func put(tb testing.TB, t driver.Table, entries ...driver.Entry) {
	tb.Helper()
	if err := t.Put(tb.Context(), entries); err != nil {
		tb.Fatal(err)
	}
}

func wantPayloads(tb testing.TB, t driver.Table, want map[int]string, keys ...driver.Key) {
	tb.Helper()
	if got := payloads(tb, t, keys...); fmt.Sprint(got) != fmt.Sprint(want) {
		tb.Errorf("it has %v, want %v", got, want)
	}
}

func TestWhatIsNotHeldIsReadInOneGetAndWholly(t *testing.T) {
	h := newHub(openMemory(t))
	c := count(h)
	table := openTable(t, closing(t, over(t, h.open(), nil)), "tracks")
	put(t, openTable(t, h.Store, "tracks"), entry(1, 1), entry(2, 1))
	put(t, table, entry(3, 1))
	read := func(sel driver.Selection) (n int) {
		t.Helper()
		if err := table.Get(t.Context(), []driver.Key{id(0), id(1), id(2), id(3), id(1)}, sel, func(int, driver.Entry) { n++ }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := read(driver.Selection{}); n != 4 {
		t.Errorf("%d were found", n)
	}
	if c.gets() != 1 {
		t.Errorf("it took %d gets", c.gets())
	}
	wantPayloads(t, table, map[int]string{1: "1 of 1", 2: "1 of 2", 3: "1 of 3"}, id(0), id(1), id(2), id(3))
	read(driver.Selection{Filter: driver.Filter{State: driver.Live, Now: now}, Parts: driver.Payload})
	if c.gets() != 1 {
		t.Errorf("what is held took %d gets", c.gets()-1)
	}
	if read(driver.Selection{Parts: driver.Usage}); c.gets() != 2 {
		t.Error("the usage was not read below")
	}
}

// A get of the usage, which goes to the store below, lets go of what it finds to be another
// entry there.
func TestWhatIsFoundToHaveChangedIsLetGo(t *testing.T) {
	h := newHub(openMemory(t))
	table := openTable(t, closing(t, over(t, unwatched{h.open()}, &tier.Options{MaxAge: time.Hour})), "tracks")
	put(t, table, entry(1, 1))
	wantPayloads(t, table, map[int]string{0: "1 of 1"}, id(1), id(2)) // the second is held to be absent
	put(t, openTable(t, h.Store, "tracks"), entry(1, 2), entry(2, 1))
	wantPayloads(t, table, map[int]string{0: "1 of 1"}, id(1), id(2))
	err := table.Get(t.Context(), []driver.Key{id(1), id(2)}, driver.Selection{Parts: driver.Meta | driver.Usage}, func(int, driver.Entry) {})
	if err != nil {
		t.Fatal(err)
	}
	wantPayloads(t, table, map[int]string{0: "2 of 1", 1: "1 of 2"}, id(1), id(2))
}

func TestWritesAreHeld(t *testing.T) {
	h := newHub(openMemory(t))
	c := count(h)
	s := closing(t, over(t, h.open(), nil))
	table, below := openTable(t, s, "tracks"), openTable(t, h.Store, "tracks")
	put(t, table, entry(1, 1))
	put(t, below, entry(2, 5))
	stored, err := table.PutIf(t.Context(), []driver.Entry{entry(1, 2), entry(2, 2)}, driver.Condition{If: driver.IfNewer})
	if err != nil || !slices.Equal(stored, []bool{true, false}) {
		t.Fatal(stored, err)
	}
	wantPayloads(t, table, map[int]string{0: "2 of 1"}, id(1))
	renewed, err := table.Renew(t.Context(), []driver.Renewal{
		{Key: id(1), Seen: entry(1, 2).CachedAt, Header: `{"A":["b"]}`, CachedAt: now.Add(time.Second), MetaSum: 7},
	})
	if err != nil || !renewed[0] {
		t.Fatal(renewed, err)
	}
	var got driver.Entry
	if err := table.Get(t.Context(), []driver.Key{id(1)}, everything, func(_ int, e driver.Entry) { got = e }); err != nil {
		t.Fatal(err)
	}
	if string(got.Payload) != "2 of 1" || got.Header != `{"A":["b"]}` || !got.CachedAt.Equal(now.Add(time.Second)) || got.MetaSum != 7 {
		t.Errorf("renewed, it is %+v", got)
	}
	if c.gets() != 0 {
		t.Errorf("what was written took %d gets", c.gets())
	}
	wantPayloads(t, table, map[int]string{0: "5 of 2"}, id(2)) // which somebody else has put
	if stats := s.Stats(); stats.Hits != 2 || stats.Misses != 1 || stats.Bytes < 2*340 || !stats.Watching {
		t.Errorf("the statistics are %+v", stats)
	}
}

// TestWhatAReadHasFoundBeforeAChangeIsNotHeld stops a read between what it has read below and
// its end, and has the entry change meanwhile.
func TestWhatAReadHasFoundBeforeAChangeIsNotHeld(t *testing.T) {
	ctx := t.Context()
	changes := map[string]func(t *testing.T, own, other driver.Table, s *tier.Store) error{
		"a put": func(_ *testing.T, own, _ driver.Table, _ *tier.Store) error {
			return own.Put(ctx, []driver.Entry{entry(1, 2)})
		},
		"a delete": func(_ *testing.T, own, _ driver.Table, _ *tier.Store) error {
			_, err := own.Delete(ctx, []driver.Key{id(1)})
			return err
		},
		"a clear": func(_ *testing.T, own, _ driver.Table, _ *tier.Store) error {
			_, err := own.Clear(ctx, driver.Filter{})
			return err
		},
		"a clear of some": func(_ *testing.T, own, _ driver.Table, _ *tier.Store) error {
			_, err := own.Clear(ctx, driver.Filter{Leading: id(1)})
			return err
		},
		"a drop": func(_ *testing.T, _, _ driver.Table, s *tier.Store) error { return s.DropTable(ctx, "tracks") },
		"another's put": func(t *testing.T, _, other driver.Table, s *tier.Store) error {
			return told(t, s, func() error { return other.Put(ctx, []driver.Entry{entry(1, 2)}) })
		},
		"another's clear": func(t *testing.T, _, other driver.Table, s *tier.Store) error {
			return told(t, s, func() error {
				_, err := other.Clear(ctx, driver.Filter{})
				return err
			})
		},
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			h := newHub(openMemory(t))
			s := closing(t, over(t, h.open(), nil))
			other := closing(t, over(t, h.open(), nil))
			own, others := openTable(t, s, "tracks"), openTable(t, other, "tracks")
			if err := told(t, s, func() error { return others.Put(ctx, []driver.Entry{entry(1, 1)}) }); err != nil {
				t.Fatal(err)
			}
			read, goOn := make(chan struct{}), make(chan struct{})
			var once sync.Once
			h.around = func(op string, run func() error) error {
				err := run()
				if op == "get from" {
					once.Do(func() {
						close(read)
						<-goOn
					})
				}
				return err
			}
			ended := make(chan map[int]string)
			go func() { ended <- payloads(t, own, id(1)) }()
			waitfor.Receive(t, "a read below", read)
			if err := change(t, own, others, s); err != nil {
				t.Fatal(err)
			}
			close(goOn)
			waitfor.Receive(t, "the end of the read", ended)
			below, err := h.OpenTable(ctx, driver.TableSpec{Name: "tracks", Key: []driver.Column{{Name: "id", Kind: driver.String}}})
			if err != nil {
				t.Fatal(err)
			}
			wantPayloads(t, own, payloads(t, below, id(1)), id(1))
		})
	}
}

// told does something and waits until the store has been told of a change.
func told(tb testing.TB, s *tier.Store, do func() error) error {
	tb.Helper()
	told := make(chan driver.Change, 1)
	stop := s.OnChange(func(c driver.Change) { told <- c })
	defer stop()
	if err := do(); err != nil {
		return err
	}
	waitfor.Receive(tb, "a change", told)
	return nil
}

func TestWithoutAWatcherEntriesLiveForMaxAge(t *testing.T) {
	for _, life := range []time.Duration{0, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			h := newHub(openMemory(t))
			s := closing(t, over(t, unwatched{h.open()}, &tier.Options{MaxAge: life}))
			if life == 0 {
				life = tier.DefaultMaxAge
			}
			if lags := s.Traits().Lags; lags != life {
				t.Errorf("it lags by %v, want %v", lags, life)
			}
			table, below := openTable(t, s, "tracks"), openTable(t, h.Store, "tracks")
			wantPayloads(t, table, map[int]string{}, id(1))
			put(t, below, entry(1, 1))
			time.Sleep(life - time.Nanosecond)
			wantPayloads(t, table, map[int]string{}, id(1))
			time.Sleep(time.Nanosecond)
			wantPayloads(t, table, map[int]string{0: "1 of 1"}, id(1))
			put(t, table, entry(1, 2))
			put(t, below, entry(1, 3))
			wantPayloads(t, table, map[int]string{0: "2 of 1"}, id(1))
			if s.Stats().Watching {
				t.Error("it watches")
			}
			time.Sleep(life)
			wantPayloads(t, table, map[int]string{0: "3 of 1"}, id(1))
		})
	}
}

func TestWhatIsLostIsNotServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(openMemory(t))
		s := closing(t, over(t, h.open(), quiet(tier.Options{})))
		table, below := openTable(t, s, "tracks"), openTable(t, h.Store, "tracks")
		put(t, table, entry(1, 1))
		changes := make(chan driver.Change, 1)
		defer s.OnChange(func(c driver.Change) { changes <- c })()

		h.lose(errLost)
		if c := <-changes; c.Table != "" || c.Keys != nil {
			t.Errorf("the loss is told as %+v", c)
		}
		put(t, below, entry(1, 2))
		wantPayloads(t, table, map[int]string{0: "2 of 1"}, id(1))
		put(t, table, entry(1, 3))
		put(t, below, entry(1, 4))
		wantPayloads(t, table, map[int]string{0: "4 of 1"}, id(1))
		if stats := s.Stats(); stats.Watching || stats.Resyncs != 1 || stats.Bytes != 0 {
			t.Errorf("the statistics are %+v", stats)
		}
		for range 10 { // tries again, which is a loss each
			<-changes
		}

		h.lose(nil)
		for !s.Stats().Watching {
			select {
			case <-changes:
			case <-time.After(time.Second):
			}
		}
		put(t, table, entry(1, 5))
		put(t, below, entry(1, 6)) // which nobody tells
		wantPayloads(t, table, map[int]string{0: "5 of 1"}, id(1))
	})
}

func TestAStoreThatCannotWatchLagsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(openMemory(t))
		h.lose(fmt.Errorf("behind a pool: %w", errors.ErrUnsupported))
		s, err := tier.New(h.open(), quiet(tier.Options{}))
		if err != nil {
			t.Fatal(err)
		}
		closing(t, s)
		synctest.Wait()
		table, below := openTable(t, s, "tracks"), openTable(t, h.Store, "tracks")
		put(t, table, entry(1, 1))
		put(t, below, entry(1, 2))
		wantPayloads(t, table, map[int]string{0: "1 of 1"}, id(1))
		time.Sleep(s.Traits().Lags)
		wantPayloads(t, table, map[int]string{0: "2 of 1"}, id(1))
	})
}

// TestAWriteThatHasFailedMayStillBeDone has the store below do a write after it has failed.
func TestAWriteThatHasFailedMayStillBeDone(t *testing.T) {
	failure := errors.New("no answer")
	for name, write := range map[string]func(context.Context, driver.Table) error{
		"save to": func(ctx context.Context, t driver.Table) error { return t.Put(ctx, []driver.Entry{entry(1, 2)}) },
		"delete from": func(ctx context.Context, t driver.Table) error {
			_, err := t.Delete(ctx, []driver.Key{id(1)})
			return err
		},
		"clear": func(ctx context.Context, t driver.Table) error { _, err := t.Clear(ctx, driver.Filter{}); return err },
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHub(openMemory(t))
			c := count(h)
			table, below := openTable(t, closing(t, over(t, h.open(), nil)), "tracks"), openTable(t, h.Store, "tracks")
			put(t, table, entry(1, 1))
			c.failing(name, failure)
			if err := write(t.Context(), table); !errors.Is(err, failure) {
				t.Fatal(err)
			}
			c.failing(name, nil)
			payloads(t, table, id(1))
			put(t, below, entry(1, 3)) // which nobody tells
			wantPayloads(t, table, map[int]string{0: "3 of 1"}, id(1))
			time.Sleep(time.Minute)
			wantPayloads(t, table, map[int]string{0: "3 of 1"}, id(1))
			before := c.gets()
			wantPayloads(t, table, map[int]string{0: "3 of 1"}, id(1))
			if c.gets() != before {
				t.Errorf("after a failed %s, it never holds the entry again", name)
			}
		})
	}
}

func TestManyFailedWritesTakeLittleMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(openMemory(t))
		c := count(h)
		table := openTable(t, closing(t, over(t, h.open(), nil)), "tracks")
		c.failing("delete from", errors.New("no answer"))
		for i := range 10 {
			keys := make([]driver.Key, 4_000)
			for j := range keys {
				keys[j] = id(4_000*i + j)
			}
			if _, err := table.Delete(t.Context(), keys); err == nil {
				t.Fatal("no error")
			}
		}
		c.failing("delete from", nil)
		for _, i := range []int{0, 39_999, 50_000} { // any may be among those that are not remembered
			payloads(t, table, id(i))
			before := c.gets()
			if payloads(t, table, id(i)); c.gets() == before {
				t.Errorf("%v is held", id(i))
			}
		}
		time.Sleep(time.Minute)
		payloads(t, table, id(0))
		before := c.gets()
		if payloads(t, table, id(0)); c.gets() != before {
			t.Error("it never holds anything again")
		}
	})
}

func TestBytesAreBounded(t *testing.T) {
	const limit = 1 << 20
	h := newHub(openMemory(t))
	s := closing(t, over(t, h.open(), &tier.Options{MaxBytes: limit}))
	table, below := openTable(t, s, "tracks"), openTable(t, h.Store, "tracks")
	sized := func(i, size int) driver.Entry {
		e := entry(i, 1)
		e.Payload = []byte(strings.Repeat("x", size))
		return e
	}
	var keys []driver.Key
	for i := range 2_000 {
		e := sized(i, 2_000)
		keys = append(keys, e.Key)
		if i%2 == 0 {
			put(t, table, e)
		} else {
			put(t, below, e)
		}
	}
	for chunk := range slices.Chunk(keys, 100) {
		if n := len(payloads(t, table, chunk...)); n != len(chunk) {
			t.Errorf("%d of %d were found", n, len(chunk))
		}
		if held := s.Stats().Bytes; held > limit {
			t.Fatalf("%d bytes are held", held)
		}
	}
	if held := s.Stats().Bytes; held < limit*9/10 {
		t.Errorf("only %d bytes are held", held)
	}
	put(t, table, sized(1, limit)) // too large to be held
	if got := payloads(t, table, id(1)); len(got[0]) != limit {
		t.Errorf("%d bytes are read", len(got[0]))
	}
}

func TestNew(t *testing.T) {
	for name, open := range map[string]func() (*tier.Store, error){
		"no store":          func() (*tier.Store, error) { return tier.New(nil, nil) },
		"negative MaxBytes": func() (*tier.Store, error) { return tier.New(openMemory(t), &tier.Options{MaxBytes: -1}) },
		"negative MaxAge":   func() (*tier.Store, error) { return tier.New(openMemory(t), &tier.Options{MaxAge: -1}) },
		"a tier below":      func() (*tier.Store, error) { return tier.New(closing(t, over(t, openMemory(t), nil)), nil) },
	} {
		if s, err := open(); err == nil || s != nil {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
}

func TestChangesAreAnnounced(t *testing.T) {
	h := newHub(openMemory(t))
	s := closing(t, over(t, h.open(), nil))
	other := h.open()
	table := openTable(t, other, "tracks")
	announcer, ok := driver.As[driver.Announcer](s)
	if !ok {
		t.Fatal("it announces nothing")
	}
	var told [2]chan driver.Change
	var stops [2]func()
	for i := range told {
		told[i] = make(chan driver.Change, 8)
		stops[i] = announcer.OnChange(func(c driver.Change) { told[i] <- c })
	}
	put(t, table, entry(1, 1))
	for i := range told {
		if c := waitfor.Receive(t, "a change", told[i]); c.Table != "tracks" || len(c.Keys) != 1 || !slices.Equal(c.Keys[0], id(1)) {
			t.Errorf("it is told %+v", c)
		}
	}
	stops[0]()
	stops[0]()
	put(t, table, entry(2, 1))
	waitfor.Receive(t, "a change", told[1])
	if len(told[0]) > 0 {
		t.Error("it is told after stop")
	}
	stops[1]()
}

func TestAHitAllocatesItsKeyAlone(t *testing.T) {
	table := openTable(t, closing(t, over(t, newHub(openMemory(t)).open(), nil)), "tracks")
	put(t, table, entry(1, 1))
	keys, n := []driver.Key{id(1)}, 0
	visit := func(int, driver.Entry) { n++ }
	near := table.(driver.NearTable)
	for name, get := range map[string]func(){
		"Get":     func() { _ = table.Get(t.Context(), keys, everything, visit) },
		"GetNear": func() { _, _, _ = near.GetNear(keys[0], everything) },
	} {
		if allocs := testing.AllocsPerRun(100, get); allocs > 1 {
			t.Errorf("%s allocates %v times", name, allocs)
		}
	}
	if n == 0 {
		t.Error("nothing is found")
	}
}
