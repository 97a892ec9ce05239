package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

type (
	page1 struct{ Path string }
	page2 struct {
		Path string
		Lang string `default:"en"`
	}
	text1 struct{ Text string }
	text2 struct{ Words []string }
)

var (
	pages1 = settings.RepositorySettings[page1, text1]{Name: "pages", Version: 1}
	pages2 = settings.RepositorySettings[page2, text1]{Name: "pages", Version: 2}
	pages3 = settings.RepositorySettings[page2, text2]{
		Name: "pages", Version: 3,
		Migrations: []settings.Migration[page2, text2]{
			settings.MigrateFrom(pages2, func(k page2, t text1) (page2, text2, bool, error) {
				return k, text2{strings.Fields(t.Text)}, k.Path != "/0", nil
			}),
		},
	}
)

// Two versions of a program share a store.
func TestEveryStoreKeepsTablesToTheirDeclarations(t *testing.T) {
	const entries = 300 // more than are copied at once
	for kind, b := range backends {
		t.Run(kind, func(t *testing.T) {
			c := b.openCache(t, kind, nil)
			older, err := cache.CreateRepository(t.Context(), c, pages1)
			check(t, err)
			texts := make(map[page1]text1)
			for i := range entries {
				texts[page1{fmt.Sprint("/", i)}] = text1{fmt.Sprint("page ", i)}
			}
			check(t, older.SaveMany(t.Context(), texts))
			c.Remove("pages")

			newer, err := cache.CreateRepository(t.Context(), c, pages3)
			check(t, err)
			if n, err := newer.Count(t.Context(), repository.All); n != entries-1 || err != nil {
				t.Errorf("%d entries, %v", n, err)
			}
			if got, ok, err := newer.Get(t.Context(), page2{"/7", "en"}); fmt.Sprint(got) != "{[page 7]}" || !ok || err != nil {
				t.Errorf("%v, %v, %v", got, ok, err)
			}
			_ = older.Save(t.Context(), page1{"/1"}, text1{"from the older program"})
			if got, ok, err := newer.Get(t.Context(), page2{"/1", "en"}); fmt.Sprint(got) != "{[page 1]}" || !ok || err != nil {
				t.Errorf("after the older program's save: %v, %v, %v", got, ok, err)
			}

			c.Remove("pages")
			var changed *settings.ChangedError
			if _, err = cache.CreateRepository(t.Context(), c, pages2); !errors.As(err, &changed) || !errors.Is(err, driver.ErrSchema) {
				t.Errorf("a lower version: %v", err)
			}
			lower := pages2
			lower.Changed = settings.Recreate
			again, err := cache.CreateRepository(t.Context(), c, lower)
			check(t, err)
			if n, err := again.Count(t.Context(), repository.All); n != 0 || err != nil {
				t.Errorf("%d entries are left, %v", n, err)
			}
			check(t, again.Save(t.Context(), page2{"/1", "de"}, text1{"eins"}))

			tables, err := c.Tables(t.Context())
			check(t, err)
			declared := 0
			for _, table := range tables {
				if d := table.Declaration; d != nil {
					declared++
					if table.Repository != "pages" || d.Version != 2 || table.Left || !table.InUse {
						t.Errorf("%+v", table)
					}
				}
			}
			if declared != 1 {
				t.Errorf("the tables are %+v", tables)
			}
			c.Remove("pages")
			check(t, c.Drop(t.Context(), "pages"))
			fresh, err := cache.CreateRepository(t.Context(), c, pages1)
			check(t, err)
			if n, err := fresh.Count(t.Context(), repository.All); n != 0 || err != nil {
				t.Errorf("after a drop there are %d entries, %v", n, err)
			}
			check(t, fresh.Save(t.Context(), page1{"/1"}, text1{"one"}))
			if got, ok, err := fresh.Get(t.Context(), page1{"/1"}); got.Text != "one" || !ok || err != nil {
				t.Errorf("%v, %v, %v", got, ok, err)
			}
		})
	}
}
