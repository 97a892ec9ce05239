// Package drivertest is the conformance suite for stores: it holds a
// [driver.Store] to every promise of package driver. The test of a store is a
// [Harness] and one call of [Run]; its benchmarks are one call of [Bench].
//
// The suite never sleeps and never waits for an expiry. Its instants lie around
// the present, so that a store with a clock of its own agrees on what is live.
// Of a store that lags, a get may see later what another Store has changed.
// Of a store whose [driver.Traits] say that entries may vanish it asks
// everything but that entries stay which are long expired by every clock; a
// store with bounds is to be opened with bounds beyond the suite's data: 40,000
// entries and 32 MiB are enough.
package drivertest

import (
	"slices"
	"sync"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
)

// Harness opens the stores that are tested. Where a store cannot be opened, its
// functions end the test.
type Harness struct {
	// Open returns a new store that has no tables. The suite closes it.
	Open func(tb testing.TB) driver.Store

	// Reopen returns one more store on the data of s, as another process would
	// open it; s may still be open, or closed. The suite closes both. Nil where
	// nothing outlives the store, or no second store can see its data.
	Reopen func(tb testing.TB, s driver.Store) driver.Store

	// MaxKey and MaxPayload are the lengths up to which the store is sure to
	// hold a key string and a payload. What is twice as long must be refused
	// with driver.ErrTooLarge. Zero means that there is no such limit.
	MaxKey, MaxPayload int

	// Many is how many entries the largest operations are on; they read and delete
	// twice as many keys, and iterations are over a part of them. Zero is 25,000, and
	// in the short form (go test -short) 2,600: more than any store takes in one
	// command. A store whose server would take long for that sets less, of which its
	// operations still take several.
	Many int

	// Loose is true where the server itself checks an entry and changes it in two steps,
	// so that what several stores put on a condition, or renew, at a time may be done by
	// more than one of them. Where an entry is put if it is absent, and among the callers
	// of one store, it is still done by one.
	Loose bool
}

// At returns a harness of stores that are each at a place, such as a file, a schema or a
// prefix. newPlace makes an empty one for a test, and has it removed when the test ends;
// open opens a store there, for the first time or again. The caller sets the other
// fields, and Reopen to nil where nothing outlives the store. The stores are compared by
// ==, so each is best a pointer.
func At[P any](newPlace func(tb testing.TB) P, open func(tb testing.TB, place P) driver.Store) Harness {
	var places sync.Map // of P, by the store
	openAt := func(tb testing.TB, place P) driver.Store {
		tb.Helper()
		s := open(tb, place)
		places.Store(s, place)
		tb.Cleanup(func() { places.Delete(s) }) // which may hold many entries
		return s
	}
	return Harness{
		Open: func(tb testing.TB) driver.Store {
			tb.Helper()
			return openAt(tb, newPlace(tb))
		},
		Reopen: func(tb testing.TB, s driver.Store) driver.Store {
			tb.Helper()
			place, ok := places.Load(s)
			if !ok {
				tb.Fatal("Reopen: the store was not opened by this harness")
			}
			return openAt(tb, place.(P))
		},
	}
}

// topic is a part of the suite.
type topic struct {
	name string
	test func(*testing.T, Harness)
}

var topics = []topic{
	{"Open", testOpen},
	{"Names", testNames},
	{"Schema", testSchema},
	{"Keys", testKeys},
	{"Values", testValues},
	{"Put", testPut},
	{"PutIf", testPutIf},
	{"PutIfKept", testPutIfKept},
	{"Renew", testRenew},
	{"Delete", testDelete},
	{"Pop", testPop},
	{"Expiry", testExpiry},
	{"Clear", testClear},
	{"Leading", testLeading},
	{"Where", testWhere},
	{"List", testList},
	{"Usage", testUsage},
	{"Summarize", testSummarize},
	{"Examine", testExamine},
	{"Tables", testTables},
	{"Watch", testWatch},
	{"Bulk", testBulk},
	{"Parts", testParts},
	{"Near", testNear},
	{"Iterate", testIterate},
	{"Concurrent", testConcurrent},
	{"Context", testContext},
	{"Close", testClose},
	{"Errors", testErrors},
	{"Limits", testLimits},
	{"Diagnose", testDiagnose},
	{"Compact", testCompact},
}

// Run tests that the stores of h keep the promises of package driver.
func Run(t *testing.T, h Harness) {
	for _, topic := range topics {
		t.Run(topic.name, func(t *testing.T) { topic.test(t, h) })
	}
}

// RunTopics is Run for some topics, such as "Keys" and "Limits". It is for stores
// that differ from one that passes Run in a setting which other topics cannot tell,
// where the whole suite again would take long.
func RunTopics(t *testing.T, h Harness, names ...string) {
	t.Helper()
	for _, name := range names {
		i := slices.IndexFunc(topics, func(t topic) bool { return t.name == name })
		if i < 0 {
			t.Fatalf("the suite has no topic %q", name)
		}
		t.Run(name, func(t *testing.T) { topics[i].test(t, h) })
	}
}

// many is how many entries the largest operations are on.
func (h Harness) many() int {
	switch {
	case h.Many > 0:
		return h.Many
	case testing.Short():
		return 2_600
	default:
		return 25_000
	}
}

// pages is how many entries iterations are over: more than a store reads ahead.
func (h Harness) pages() int {
	n := h.many() / 5
	if testing.Short() {
		n = h.many() / 2
	}
	return n / 10 * 10 // of which tests take every tenth
}

// rounds is how often something is repeated that goes wrong only now and then: n times,
// or a fifth of that in the short form.
func rounds(n int) int {
	if testing.Short() {
		return max(2, n/5)
	}
	return n
}

// open opens a new store, which is closed when the test ends.
func (h Harness) open(tb testing.TB) driver.Store {
	tb.Helper()
	return closing(tb, h.Open(tb))
}

// reopen opens one more store on the data of s, which is closed when the test
// ends. It skips the test where the harness cannot.
func (h Harness) reopen(tb testing.TB, s driver.Store) driver.Store {
	tb.Helper()
	if h.Reopen == nil {
		tb.Skip("nothing outlives this store")
	}
	return closing(tb, h.Reopen(tb, s))
}

func closing(tb testing.TB, s driver.Store) driver.Store {
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return s
}

// table opens a table with these columns in a new store.
func (h Harness) table(tb testing.TB, columns ...driver.Column) subject {
	tb.Helper()
	return openTable(tb, h.open(tb), driver.TableSpec{Name: "tracks", Key: columns})
}

// ids opens a table with one string column in a new store.
func (h Harness) ids(tb testing.TB) subject {
	tb.Helper()
	return h.table(tb, text("id"))
}
