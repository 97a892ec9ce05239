package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/inspector"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/seal"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/store"
)

// The pages of a sealed store tell without its keys what there is, and delete it. They neither show nor judge what they
// cannot read.
func TestPagesOfASealedStore(t *testing.T) {
	keys, err := seal.FromBytes(make([]byte, 32))
	check(t, err)
	p := newLocation(t, "sqlite")
	p.program.open = func(ctx context.Context, url string, o *store.Options) (driver.Store, error) {
		below, err := store.Open(ctx, url, o)
		if err != nil {
			return nil, err
		}
		return seal.New(below, keys, nil)
	}
	c := p.cache(t, nil)
	r, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[idKey, string]{
		Name: "tracks", Pattern: "GET api.music.test/{id}", Payload: payload.String(), Scope: settings.Shared, Compression: settings.Zstd,
	})
	check(t, err)
	check(t, r.Save(t.Context(), idKey{"plain"}, "a"))
	check(t, r.Save(t.Context(), idKey{"compressed"}, strings.Repeat("compressed ", 1000)))
	check(t, c.Close())

	p.program.open = nil
	shown := p.cache(t, nil)
	defer func() { check(t, shown.Close()) }()
	pages, err := inspector.Handler(shown, &inspector.Options{AllowChanges: true, Origin: http.DefaultTransport, Now: p.program.now})
	check(t, err)
	defer func() { check(t, pages.Close()) }()
	of := func(page, id string) string {
		return page + "?" + url.Values{"table": {"tracks"}, "key": {id}}.Encode()
	}
	ask := func(method, target string, status int) string {
		t.Helper()
		req := httptest.NewRequest(method, "http://localhost/"+target, nil)
		req.RemoteAddr = "127.0.0.1:41000"
		w := httptest.NewRecorder()
		pages.ServeHTTP(w, req)
		if w.Code != status {
			t.Errorf("%s %s is answered with %d, want %d:\n%s", method, target, w.Code, status, w.Body)
		}
		return w.Body.String()
	}
	const sealed = "is sealed, and these pages do not have the keys"
	page := ask(http.MethodGet, of("entry", "plain"), http.StatusOK)
	for _, text := range []string{sealed, "<dt>id</dt>", "Its freshness cannot be told", "Delete it"} {
		if !strings.Contains(page, text) {
			t.Errorf("there is no %q on the page:\n%s", text, page)
		}
	}
	for _, text := range []string{"fetched from the origin", "Download", "Expire now", "Compare with", "first bytes", "None is stored"} {
		if strings.Contains(page, text) {
			t.Errorf("there is %q on the page:\n%s", text, page)
		}
	}
	if told := ask(http.MethodGet, "lookup?url=/plain", http.StatusOK); !strings.Contains(told, "they are sealed") || strings.Contains(told, "nobody knows") {
		t.Errorf("the lookup of a request tells %s", told)
	}
	for page, method := range map[string]string{"body": http.MethodGet, "diff": http.MethodPost, "expire": http.MethodPost} {
		for _, id := range []string{"plain", "compressed"} {
			if told := ask(method, of(page, id), http.StatusConflict); !strings.Contains(told, sealed) {
				t.Errorf("%s of %s tells %s", page, id, told)
			}
		}
	}
	ask(http.MethodGet, of("entry", "compressed"), http.StatusConflict)
	ask(http.MethodGet, of("entry", "none"), http.StatusNotFound)
	for _, id := range []string{"plain", "compressed"} {
		ask(http.MethodPost, of("delete", id), http.StatusSeeOther)
		ask(http.MethodGet, of("entry", id), http.StatusNotFound)
	}
}
