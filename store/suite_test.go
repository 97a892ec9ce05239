package store_test

import (
	"context"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/drivertest"
	"github.com/endpointcache/endpointcache/dynamodb"
	"github.com/endpointcache/endpointcache/internal/testserver/places"
	"github.com/endpointcache/endpointcache/internal/tracktest"
	"github.com/endpointcache/endpointcache/store"
)

// backend is a store that the suite opens by URL; see drivertest.Harness.
type backend struct {
	maxKey, maxPayload, many int
	loose                    bool
}

// backends are those of the README, by their packages. The tests' servers of two are
// slow, so they get fewer entries.
var backends = map[string]backend{
	"sqlite":     {},
	"memory":     {},
	"filesystem": {},
	"postgres":   {},
	"redis":      {},
	"mongodb":    {maxPayload: 15 << 20, many: 1_100, loose: true},
	"dynamodb":   {maxKey: 128 << 10, maxPayload: dynamodb.MaxPayload, many: 250},
}

// whatAURLCanChange are the topics that are run again, in the short form the first three:
// the stores' own packages run the whole suite, and a store that a URL has opened can be
// another one, lose its place when it is opened again, or not be closed.
var whatAURLCanChange = []string{"Open", "Put", "Close", "Names", "Schema"}

func TestEveryStoreOfTheREADMEKeepsThePromises(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(readme), "| store | package | URL for")
	table, _, _ = strings.Cut(table, "\n\n")
	forms := make(map[string]string) // by package
	for _, row := range regexp.MustCompile("\n\\|[^|]*\\| \\[`(\\w+)`\\]\\(\\w+\\) \\| `([^`]*)` \\|").FindAllStringSubmatch(table, -1) {
		forms[row[1]] = row[2]
	}
	if d := cmp.Diff(slices.Sorted(maps.Keys(backends)), slices.Sorted(maps.Keys(forms))); d != "" {
		t.Fatalf("the README's table has other stores:\n%s", d)
	}
	if d := cmp.Diff(slices.Sorted(slices.Values(store.Forms())), slices.Sorted(maps.Values(forms))); d != "" {
		t.Errorf("the README's table has other URLs:\n%s", d)
	}
	for name, b := range backends {
		if kind := store.Kind(forms[name]); kind != name {
			t.Errorf("%s is the URL of %q, the README says %s", forms[name], kind, name)
		}
		t.Run(name, func(t *testing.T) {
			topics := whatAURLCanChange
			if testing.Short() {
				topics = topics[:3]
			}
			drivertest.RunTopics(t, b.harness(name), topics...)
		})
	}
}

// place is where a store is opened.
type place struct{ url, name string }

// harness opens stores of a kind, with layers over them.
func (b backend) harness(kind string, layers ...func(testing.TB, driver.Store) driver.Store) drivertest.Harness {
	newURL, lasting := places.Lasting[kind]
	if !lasting {
		newURL = func(testing.TB, string) string { return kind + ":" }
	}
	h := drivertest.At(
		func(tb testing.TB) place {
			name := tracktest.NewName()
			return place{newURL(tb, name), name}
		},
		func(tb testing.TB, p place) driver.Store {
			s, err := store.Open(context.Background(), p.url, &store.Options{Name: p.name})
			if err != nil {
				tb.Fatal(err)
			}
			if got := s.Traits().Kind; got != kind {
				tb.Errorf("%q was opened, want %q", got, kind)
			}
			for _, layer := range layers {
				s = layer(tb, s)
			}
			return s
		})
	if !lasting {
		h.Reopen = nil
	}
	h.MaxKey, h.MaxPayload, h.Many, h.Loose = b.maxKey, b.maxPayload, b.many, b.loose
	return h
}
