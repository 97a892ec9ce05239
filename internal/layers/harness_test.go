package layers

import (
	"context"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric/noop"
	traces "go.opentelemetry.io/otel/trace/noop"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/drivertest"
	"github.com/endpointcache/endpointcache/dynamodb"
	"github.com/endpointcache/endpointcache/internal/testserver/places"
	"github.com/endpointcache/endpointcache/internal/tracktest"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/observe"
	"github.com/endpointcache/endpointcache/seal"
	"github.com/endpointcache/endpointcache/store"
	"github.com/endpointcache/endpointcache/tier"
)

// backend is a store below; see drivertest.Harness. A sealed payload is a little longer than
// what is sealed.
type backend struct{ maxPayload, many int }

const sealedBy = 1 << 10

// backends are all stores. The tests' servers of two are slow, so they get fewer entries.
var backends = map[string]backend{
	"sqlite":     {},
	"memory":     {},
	"filesystem": {},
	"postgres":   {},
	"redis":      {},
	"mongodb":    {maxPayload: 15<<20 - sealedBy, many: 1_100},
	"dynamodb":   {maxPayload: dynamodb.MaxPayload - sealedBy, many: 250},
}

// layer puts something before a store.
type layer func(tb testing.TB, below driver.Store) driver.Store

// named are the layers with the settings that change most.
var named = map[string]layer{
	"tier":    withTier,
	"seal":    sealedBelow(nil),
	"observe": withObserve,
}

// shortLife is how long memory holds entries over a store that tells of no changes: the tests
// wait that long.
const shortLife = 100 * time.Millisecond

func withTier(tb testing.TB, below driver.Store) driver.Store {
	tb.Helper()
	_, watches := driver.As[driver.Watcher](below)
	o := &tier.Options{}
	if !watches {
		o.MaxAge = shortLife
	}
	s, err := tier.New(below, o)
	check(tb, err)
	if watches {
		waitfor.True(tb, "the store is watched", func() bool { return s.Stats().Watching })
	}
	return s
}

func sealedBelow(o *seal.Options) layer {
	return func(tb testing.TB, below driver.Store) driver.Store {
		tb.Helper()
		keys, err := seal.FromBytes(secret(1))
		check(tb, err)
		s, err := seal.New(below, keys, o)
		check(tb, err)
		return s
	}
}

func secret(i byte) []byte {
	b := make([]byte, 32)
	for j := range b {
		b[j] = i + byte(j)
	}
	return b
}

func withObserve(tb testing.TB, below driver.Store) driver.Store {
	tb.Helper()
	o, err := observe.New(&observe.Options{MeterProvider: noop.NewMeterProvider(), TracerProvider: traces.NewTracerProvider()})
	check(tb, err)
	s, err := o.Store(below)
	check(tb, err)
	return s
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// place is where a store is opened.
type place struct{ url, name string }

func newPlace(tb testing.TB, kind string) place {
	name := tracktest.NewName()
	if newURL, lasting := places.Lasting[kind]; lasting {
		return place{newURL(tb, name), name}
	}
	return place{kind + ":", name}
}

func (p place) open(tb testing.TB, layers ...layer) driver.Store {
	tb.Helper()
	s, err := store.Open(context.Background(), p.url, &store.Options{Name: p.name})
	check(tb, err)
	for _, layer := range layers {
		s = layer(tb, s)
	}
	return s
}

// harness opens stores of a kind below layers, the lowest first.
func (b backend) harness(kind string, layers ...layer) drivertest.Harness {
	h := drivertest.At(
		func(tb testing.TB) place { return newPlace(tb, kind) },
		func(tb testing.TB, p place) driver.Store { return p.open(tb, layers...) })
	if kind == "memory" {
		h.Reopen = nil
	}
	h.MaxPayload, h.Many = b.maxPayload, b.many
	// An entry that one store replaces as of the same instant while another renews it is a miss
	// where it is sealed.
	h.Loose = true
	return h
}
