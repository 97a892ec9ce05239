package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/sqlite"
)

// operations are those of a worker, in the order of the report.
var operations = []string{"get", "get many", "save", "save many", "delete", "clear own", "clear all", "count"}

// worker is a process. It has entries of its own, of which it knows what they are,
// and some of all processes, of which it knows that each is whole.
type worker struct {
	plan
	*report
	name        string
	own, common driver.Table
	saved       map[int64][]byte // what it has saved of its own, by number
	random      *rand.Rand
}

// work does a worker's part of the plan and prints its report.
func work() {
	w := worker{report: newReport(), saved: make(map[int64][]byte)}
	fail(json.Unmarshal([]byte(os.Getenv(planVariable)), &w.plan))
	w.name = os.Getenv(workerVariable)
	number, err := strconv.ParseUint(w.name, 10, 64)
	fail(err)
	w.random = rand.New(rand.NewPCG(number, 1))

	ctx := context.Background()
	store, err := sqlite.Open(ctx, w.Path, nil)
	fail(err)
	w.own = open(ctx, store, "own")
	w.common = open(ctx, store, "common")
	for end := time.Now().Add(w.Duration); time.Now().Before(end) && len(w.Errors) < maxErrors; {
		w.step(ctx)
	}
	if err := store.Close(); err != nil {
		w.fail("close: %v", err)
	}
	fail(json.NewEncoder(os.Stdout).Encode(w.report))
}

func open(ctx context.Context, s *sqlite.Store, name string) driver.Table {
	t, err := s.OpenTable(ctx, driver.TableSpec{Name: name, Key: []driver.Column{
		{Name: "worker", Kind: driver.String}, {Name: "n", Kind: driver.Int},
	}})
	fail(err)
	return t
}

// batch is how many entries are saved or read at once.
const batch = 200

func (w *worker) step(ctx context.Context) {
	switch n := w.random.IntN(1000); {
	case n < 700:
		w.get(ctx, "get", w.numbers(1))
	case n < 730:
		w.get(ctx, "get many", w.numbers(batch))
	case n < 740:
		w.getCommon(ctx)
	case n < 860:
		w.save(ctx, "save", w.numbers(1))
	case n < 900:
		w.save(ctx, "save many", w.numbers(batch))
	case n < 910:
		w.saveCommon(ctx)
	case n < 980:
		w.delete(ctx)
	case n < 990:
		w.count(ctx)
	case n < 994:
		w.clearOwn(ctx)
	case n < 995:
		w.clearCommon(ctx)
	}
}

// numbers are different numbers of the worker's own entries.
func (w *worker) numbers(n int) []int64 {
	first := w.random.Int64N(int64(w.Rows))
	numbers := make([]int64, n)
	for i := range numbers {
		numbers[i] = (first + int64(i)) % int64(w.Rows)
	}
	return numbers
}

func (w *worker) keys(numbers []int64) []driver.Key {
	keys := make([]driver.Key, len(numbers))
	for i, n := range numbers {
		keys[i] = driver.Key{w.name, n}
	}
	return keys
}

// timed does an operation and notes how long it took, and its error.
func (w *worker) timed(op string, do func() error) bool {
	began := time.Now()
	err := do()
	w.times(op).note(time.Since(began))
	if err != nil {
		w.fail("%s: %v", op, err)
	}
	return err == nil
}

func (w *worker) get(ctx context.Context, op string, numbers []int64) {
	got := make([][]byte, len(numbers))
	ok := w.timed(op, func() error {
		return w.own.Get(ctx, w.keys(numbers), driver.Selection{Parts: driver.Payload}, func(i int, e driver.Entry) { got[i] = e.Payload })
	})
	for i, n := range numbers {
		if want := w.saved[n]; ok && !bytes.Equal(got[i], want) {
			w.fail("%s: entry %d of worker %s has %d bytes, want %d bytes that were saved", op, n, w.name, len(got[i]), len(want))
		}
	}
}

func (w *worker) save(ctx context.Context, op string, numbers []int64) {
	entries := w.entries(numbers)
	if !w.timed(op, func() error { return w.own.Put(ctx, entries) }) {
		return
	}
	for i, n := range numbers {
		w.saved[n] = entries[i].Payload
	}
}

func (w *worker) entries(numbers []int64) []driver.Entry {
	entries := make([]driver.Entry, len(numbers))
	for i, n := range numbers {
		entries[i] = driver.Entry{
			Key: driver.Key{w.name, n}, Name: fmt.Sprint(n), Status: 200,
			CachedAt: time.Now().UTC().Truncate(time.Microsecond), Payload: w.payload(),
		}
	}
	w.Entries += int64(len(numbers))
	return entries
}

// payload is one that tells whether it is whole.
func (w *worker) payload() []byte {
	b := make([]byte, 500+w.random.IntN(3_000))
	for i := range b {
		b[i] = byte(w.random.Uint32())
	}
	sum := sha256.Sum256(b)
	return append(sum[:], b...)
}

func isWhole(payload []byte) bool {
	if len(payload) < sha256.Size {
		return false
	}
	sum := sha256.Sum256(payload[sha256.Size:])
	return bytes.Equal(sum[:], payload[:sha256.Size])
}

func (w *worker) delete(ctx context.Context) {
	n := w.numbers(1)
	var deleted int
	ok := w.timed("delete", func() (err error) {
		deleted, err = w.own.Delete(ctx, w.keys(n))
		return err
	})
	if _, there := w.saved[n[0]]; ok && (deleted == 1) != there {
		w.fail("delete: %d entries, want %v", deleted, there)
	}
	if ok {
		delete(w.saved, n[0])
	}
}

func (w *worker) count(ctx context.Context) {
	var n int
	ok := w.timed("count", func() (err error) {
		n, err = w.own.Count(ctx, driver.Filter{Leading: driver.Key{w.name}})
		return err
	})
	if ok && n != len(w.saved) {
		w.fail("count: %d entries, want %d", n, len(w.saved))
	}
}

func (w *worker) clearOwn(ctx context.Context) {
	var n int
	ok := w.timed("clear own", func() (err error) {
		n, err = w.own.Clear(ctx, driver.Filter{Leading: driver.Key{w.name}})
		return err
	})
	if ok && n != len(w.saved) {
		w.fail("clear: %d entries, want %d", n, len(w.saved))
	}
	if ok {
		clear(w.saved)
	}
}

func (w *worker) saveCommon(ctx context.Context) {
	entries := w.entries(w.numbers(batch))
	for i := range entries {
		entries[i].Key[0] = "all"
	}
	w.timed("save many", func() error { return w.common.Put(ctx, entries) })
}

func (w *worker) getCommon(ctx context.Context) {
	keys := w.keys(w.numbers(batch))
	for i := range keys {
		keys[i][0] = "all"
	}
	var broken atomic.Int64 // several goroutines may visit
	w.timed("get many", func() error {
		return w.common.Get(ctx, keys, driver.Selection{Parts: driver.Payload}, func(_ int, e driver.Entry) {
			if !isWhole(e.Payload) {
				broken.Add(1)
			}
		})
	})
	if n := broken.Load(); n > 0 {
		w.fail("get many: %d entries of all are not whole", n)
	}
}

func (w *worker) clearCommon(ctx context.Context) {
	w.timed("clear all", func() error {
		_, err := w.common.Clear(ctx, driver.Filter{})
		return err
	})
}
