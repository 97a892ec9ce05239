package repository_test

import (
	"net/http"
	"testing"

	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

// Where Vary is obeyed, Accept-Encoding is in the key of a catch-all only if it is named.
func TestACatchAllLeavesAcceptEncodingToVary(t *testing.T) {
	for _, test := range []struct {
		name    string
		control policy.Switch
		options *request.AnyOptions
		same    bool
	}{
		{"by policy", policy.Off, nil, false},
		{"Cache-Control mode", policy.On, nil, true},
		{"Cache-Control mode, named", policy.On, &request.AnyOptions{Headers: []string{"Accept-Encoding"}}, false},
		{"Cache-Control mode, not named", policy.On, &request.AnyOptions{Headers: []string{"Accept"}}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			store, err := memory.New(nil)
			check(t, err)
			s := settings.CatchAll("all", test.options)
			s.Policy.CacheControl = test.control
			r, err := repository.New(t.Context(), store, s, nil)
			check(t, err)
			keys := make(map[request.AnyKey]bool)
			for _, coding := range []string{"gzip", "identity"} {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.test/a", nil)
				check(t, err)
				req.Header.Set("Accept-Encoding", coding)
				key, ok, err := r.Key(req)
				if !ok || err != nil {
					t.Fatal(ok, err)
				}
				keys[key] = true
			}
			if (len(keys) == 1) != test.same {
				t.Errorf("keys: %v", keys)
			}
		})
	}
}
