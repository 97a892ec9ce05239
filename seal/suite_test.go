package seal_test

import (
	"context"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/drivertest"
	"github.com/endpointcache/endpointcache/dynamodb"
	"github.com/endpointcache/endpointcache/internal/testserver/places"
	"github.com/endpointcache/endpointcache/internal/tracktest"
	"github.com/endpointcache/endpointcache/seal"
	"github.com/endpointcache/endpointcache/store"
)

// backend is a store below; see drivertest.Harness. A sealed payload is a little longer.
type backend struct {
	maxPayload, many int
}

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

// modes are the ways to seal that tests go through.
var modes = map[string]*seal.Options{
	"encrypted": nil,
	"named":     {Names: seal.Clear},
	"digested":  {Names: seal.Digest, KeyColumn: digestAll, DigestKey: secret(9)},
	"signed":    {Mode: seal.Sign},
}

func digestAll(string, string) seal.Form { return seal.Digest }

// secret is the i-th key.
func secret(i int) []byte {
	b := make([]byte, 32)
	for j := range b {
		b[j] = byte(i + j)
	}
	return b
}

// keys are those of secrets.
func keys(tb testing.TB, primary int, older ...int) *seal.Keys {
	tb.Helper()
	var secrets [][]byte
	for _, i := range older {
		secrets = append(secrets, secret(i))
	}
	k, err := seal.FromBytes(secret(primary), secrets...)
	check(tb, err)
	return k
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// quickTopics are those of the short form, where a server is asked.
var quickTopics = []string{"Open", "Schema", "Values", "Put", "PutIf", "Renew", "Pop", "Where", "Tables", "Parts", "Errors", "Limits"}

func TestSealedStoresKeepThePromises(t *testing.T) {
	for mode, opts := range modes {
		for kind, b := range backends {
			if testing.Short() && mode == "named" {
				continue
			}
			t.Run(mode+"/"+kind, func(t *testing.T) {
				h := b.harness(kind, opts)
				if testing.Short() && kind != "memory" && kind != "sqlite" {
					drivertest.RunTopics(t, h, quickTopics...)
					return
				}
				drivertest.Run(t, h)
			})
		}
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

func (p place) open(tb testing.TB) driver.Store {
	tb.Helper()
	s, err := store.Open(context.Background(), p.url, &store.Options{Name: p.name})
	check(tb, err)
	return s
}

func (b backend) harness(kind string, opts *seal.Options) drivertest.Harness {
	h := drivertest.At(
		func(tb testing.TB) place { return newPlace(tb, kind) },
		func(tb testing.TB, p place) driver.Store {
			s, err := seal.New(p.open(tb), keys(tb, 1), opts)
			check(tb, err)
			return s
		})
	if kind == "memory" {
		h.Reopen = nil
	}
	h.MaxPayload, h.Many = b.maxPayload, b.many
	// An entry that one store replaces as of the same instant while another renews it is a miss.
	h.Loose = true
	return h
}
