package seal_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/drivertest"
	"github.com/endpointcache/endpointcache/filesystem"
	"github.com/endpointcache/endpointcache/internal/testenv"
	"github.com/endpointcache/endpointcache/internal/tracktest"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/postgres"
	"github.com/endpointcache/endpointcache/seal"
	"github.com/endpointcache/endpointcache/sqlite"
)

// backends open the stores of the library's own module at a place, again and again. The others
// are tried by internal/layers, so that nobody who seals gets the clients of all of them.
var backends = map[string]func(ctx context.Context, p place) (driver.Store, error){
	"memory": func(context.Context, place) (driver.Store, error) { return memory.New(nil) },
	"sqlite": func(ctx context.Context, p place) (driver.Store, error) {
		return sqlite.Open(ctx, filepath.Join(p.folder, "cache.db"), nil)
	},
	"filesystem": func(ctx context.Context, p place) (driver.Store, error) { return filesystem.Open(ctx, p.folder, nil) },
	"postgres": func(ctx context.Context, p place) (driver.Store, error) {
		return postgres.Open(ctx, p.url, &postgres.Options{Schema: p.name})
	},
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

// topics are those that a store is tried with in each mode; memory has the whole suite in two of them.
var topics = []string{"Schema", "Values", "Renew", "Where", "Parts", "Errors"}

func TestSealedStoresKeepThePromises(t *testing.T) {
	for mode, opts := range modes {
		for kind := range backends {
			t.Run(mode+"/"+kind, func(t *testing.T) {
				switch h := harness(kind, opts); {
				case kind == "memory" && (mode == "encrypted" || mode == "digested"):
					drivertest.Run(t, h)
				case kind == "filesystem" && mode != "encrypted":
				default:
					drivertest.RunTopics(t, h, topics...)
				}
			})
		}
	}
}

// place is where a store is opened.
type place struct{ kind, folder, url, name string }

func newPlace(tb testing.TB, kind string) place {
	p := place{kind: kind, name: tracktest.NewName()}
	switch kind {
	case "postgres":
		p.url = testenv.URL(tb, "POSTGRES_TEST_URL")
		tb.Cleanup(func() { dropSchema(tb, p) })
	default:
		p.folder = tb.TempDir()
	}
	return p
}

func dropSchema(tb testing.TB, p place) {
	ctx := context.Background()
	c, err := pgx.Connect(ctx, p.url)
	check(tb, err)
	defer c.Close(ctx)
	_, err = c.Exec(ctx, "DROP SCHEMA IF EXISTS "+pgx.Identifier{p.name}.Sanitize()+" CASCADE")
	check(tb, err)
}

func (p place) open(tb testing.TB) driver.Store {
	tb.Helper()
	s, err := backends[p.kind](context.Background(), p)
	check(tb, err)
	return s
}

func harness(kind string, opts *seal.Options) drivertest.Harness {
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
	// An entry that one store replaces as of the same instant while another renews it is a miss.
	h.Loose = true
	return h
}
