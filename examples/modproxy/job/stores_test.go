//go:build allstores

package job

import (
	"context"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/endpointcache/endpointcache/internal/testserver/places"
	"github.com/endpointcache/endpointcache/store"
)

func TestEveryStoreKeepsWhatWasFetched(t *testing.T) {
	kinds := []string{"memory"}
	kinds = slices.AppendSeq(kinds, maps.Keys(places.Lasting))
	var known []string
	for _, form := range store.Forms() {
		known = append(known, store.Kind(form))
	}
	if d := cmp.Diff(slices.Sorted(slices.Values(known)), slices.Sorted(slices.Values(kinds))); d != "" {
		t.Errorf("package store has others:\n%s", d)
	}
	for kind, newURL := range places.Lasting {
		t.Run(kind, func(t *testing.T) {
			address := newURL(t, name)
			w := newWorld(t)
			stdout, _ := w.expect(0, "total: 13 keys, 0 cached, 13 fetched, 0 absent, 0 failed", "-store", address, "-zip")
			w.expectRow(stdout, "list 4 4 0 4 0 0 29")
			stdout, _ = w.expect(0, "total: 13 keys, 13 cached, 0 fetched, 0 absent, 0 failed", "-store", address, "-zip")
			w.expectRow(stdout, "list 4 4 4 0 0 0 0")
			if u, err := url.Parse(address); err == nil && u.User != nil {
				if password, _ := u.User.Password(); password != "" && strings.Contains(stdout, password) {
					t.Errorf("the password is told:\n%s", stdout)
				}
			}
		})
	}
}

func TestPostgres(t *testing.T) {
	database := places.Lasting["postgres"](t, name)
	w := newWorld(t)
	stdout, _ := w.expect(0, "total: 13 keys, 0 cached, 13 fetched, 0 absent, 0 failed", "-store", database, "-zip")
	w.expectRow(stdout, "list 4 4 0 4 0 0 29")
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	if !strings.Contains(stdout, "psql 'postgres://"+u.User.Username()+"@") || password != "" && strings.Contains(stdout, password) {
		t.Errorf("the database is not named, or with its password:\n%s", stdout)
	}

	again := strings.Replace(database, "postgres:", "postgresql:", 1)
	stdout, _ = w.expect(0, "total: 13 keys, 13 cached, 0 fetched, 0 absent, 0 failed", "-store", again, "-zip")
	w.expectRow(stdout, "mod 4 4 4 0 0 0 0")

	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var got string
	if err := conn.QueryRow(t.Context(), "SELECT string_agg(module || '@' || version || ' ' || name, ', ' ORDER BY module) FROM modproxy.zip").Scan(&got); err != nil || got != "example.com/one@v1.2.0 example.com/one@v1.2.0" {
		t.Errorf("the table has %q: %v", got, err)
	}
	if _, err := os.Stat("modproxy.db"); err == nil {
		t.Error("there is a file, too")
	}
}
