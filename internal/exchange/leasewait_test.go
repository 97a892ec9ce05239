package exchange

import (
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// announcing is a store that hears of what a test tells.
type announcing struct {
	driver.Store
	tell func(driver.Change)
}

func (s *announcing) OnChange(tell func(driver.Change)) (stop func()) {
	s.tell = tell
	return func() { s.tell = nil }
}

// Where the store hears of a change, flights that wait for it look at once, and no others.
func TestWhatTheStoreHearsWakesThoseWhoWaitForIt(t *testing.T) {
	x, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	store := &announcing{}
	x.leases.use(store)
	table := &Table{x: x, stored: "tracks"}
	q := &queue{changed: make(chan struct{}, 1)}
	later := time.Now().Add(time.Hour)
	for _, id := range []string{"a", "b"} {
		q.waiting = append(q.waiting, &queued{next: later, flight: &Flight{ask: Ask{Table: table, Key: driver.Key{id}}}})
	}
	stop := x.leases.listen(table, q)
	for _, c := range []struct {
		change driver.Change
		woken  [2]bool
	}{
		{driver.Change{Table: "albums"}, [2]bool{}},
		{driver.Change{Table: "tracks", Keys: []driver.Key{{"c"}}}, [2]bool{}},
		{driver.Change{Table: "tracks", Keys: []driver.Key{{"b"}}}, [2]bool{false, true}},
		{driver.Change{}, [2]bool{true, true}},
	} {
		store.tell(c.change)
		if woken := [2]bool{q.waiting[0].next.IsZero(), q.waiting[1].next.IsZero()}; woken != c.woken {
			t.Errorf("%v wakes %v, want %v", c.change, woken, c.woken)
		}
	}
	if stop(); store.tell != nil {
		t.Error("it goes on listening")
	}
}
