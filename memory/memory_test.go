package memory_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/drivertest"
	"github.com/endpointcache/endpointcache/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens a store that is closed when the test ends.
func open(tb testing.TB, opts *memory.Options) *memory.Store {
	tb.Helper()
	s, err := memory.New(opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

func harness(opts *memory.Options) drivertest.Harness {
	return drivertest.Harness{
		Open: func(tb testing.TB) driver.Store { return open(tb, opts) },
	}
}

func TestConformance(t *testing.T) {
	t.Run("without bounds", func(t *testing.T) {
		drivertest.Run(t, harness(nil))
	})
	t.Run("with bounds", func(t *testing.T) {
		h := harness(&memory.Options{MaxEntries: 40_000, MaxBytes: 32 << 20})
		h.MaxPayload = 31 << 20
		drivertest.RunTopics(t, h, "Put", "PutIf", "Renew", "Delete", "Clear", "List", "Usage", "Concurrent", "Limits")
	})
}

func TestOptions(t *testing.T) {
	for name, opts := range map[string]*memory.Options{
		"a negative number of entries is refused": {MaxEntries: -1},
		"a negative number of bytes is refused":   {MaxBytes: -1},
	} {
		t.Run(name, func(t *testing.T) {
			if s, err := memory.New(opts); err == nil || s != nil {
				t.Errorf("New(%+v) = %v, %v", *opts, s, err)
			}
		})
	}
	t.Run("a store tells whether entries may vanish", func(t *testing.T) {
		if open(t, nil).Traits().Vanishes {
			t.Error("entries of a store without bounds vanish")
		}
		if !open(t, &memory.Options{MaxEntries: 1}).Traits().Vanishes {
			t.Error("entries of a store with bounds do not vanish")
		}
	})
}

func Benchmark(b *testing.B) {
	b.Run("unbounded", func(b *testing.B) { drivertest.Bench(b, harness(nil)) })
	b.Run("bounded", func(b *testing.B) { drivertest.Bench(b, harness(&memory.Options{MaxBytes: 256 << 20})) })
}
