package transport_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	keys "github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

type sectorKey struct {
	Sector string `body:"filter.sector,required"`
	Page   int    `body:"page" default:"1"`
}

// A search by POST is served as soon as it is declared, without a policy.
func TestADeclaredPostIsServedByItsBody(t *testing.T) {
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(bytes.Join([][]byte{[]byte(`{"asked":`), body, []byte("}")}, nil))
	}, nil)
	type answer struct{ Asked any }
	repo, err := cache.CreateRepository(t.Context(), h.cache, settings.RepositorySettings[sectorKey, answer]{
		Name: "search", Pattern: "POST /search",
	})
	check(t, err)
	for _, test := range []struct {
		body   string
		cached bool
	}{
		{`{"filter":{"sector":"tech"}}`, false},
		{`{"filter":{"sector":"tech"}}`, true},
		{`{"page":1, "filter":{"sector":"tech"}}`, true},
		{`{"filter":{"sector":"tech"},"page":2}`, false},
		{`{"filter":{"sector":"food"}}`, false},
		{`{"filter":{"sector":"food"}}`, true},
		{`{"filter":{"sector":"food"},"more":1}`, false},
		{`{"filter":{"sector":"food"},"more":1}`, false},
		{`{"filter":{"sector":"food"`, false},
		{`{"filter":{"sector":"food"}}`, true},
	} {
		resp, body := h.do(h.request(http.MethodPost, "/search", test.body, "Content-Type", "application/json"))
		if hit(resp) != test.cached {
			t.Errorf("%s: from the cache: %t", test.body, hit(resp))
		}
		if want := `{"asked":` + test.body + "}"; !test.cached && body != want {
			t.Errorf("the origin has answered %s, want %s", body, want)
		}
	}
	if _, ok, err := repo.Get(t.Context(), sectorKey{"tech", 2}); err != nil || !ok {
		t.Errorf("by key: %t, %v", ok, err)
	}
	// A body that can be read but once reaches the origin, too.
	once := h.request(http.MethodPost, "/search", `{"filter":{"sector":"new"}}`)
	once.GetBody = nil
	if _, body := h.do(once); body != `{"asked":{"filter":{"sector":"new"}}}` {
		t.Errorf("the origin has answered %s", body)
	}
}

// So is one that functions are for, where they name its method.
func TestADeclaredFunctionIsServedByItsMethods(t *testing.T) {
	h := start(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `"x"`) }, nil)
	e := keys.Func(func(req *http.Request) (string, bool, error) {
		if req.Method != http.MethodPost || req.URL.Path != "/search" {
			return "", false, nil
		}
		hash, err := keys.BodyHash(req)
		return hash, err == nil, err
	}, nil, http.MethodPost)
	_, err := cache.CreateRepository(t.Context(), h.cache, settings.RepositorySettings[string, string]{Name: "search", Endpoint: e})
	check(t, err)
	var hits []bool
	for _, body := range []string{"a", "a", "b"} {
		resp, _ := h.do(h.request(http.MethodPost, "/search", body))
		hits = append(hits, hit(resp))
	}
	wantHits(t, "a function's", hits, false, true, false)
}
