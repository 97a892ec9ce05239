package identity_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/identity"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/settings"
)

// Profile is what the API tells each user.
type Profile struct{ Name string }

// perUser sends each request with the token of the user that its context names.
type perUser struct {
	api    string // the host that gets the tokens
	tokens map[string]string
}

func (p perUser) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host != p.api { // a redirect has led elsewhere
		return http.DefaultTransport.RoundTrip(req)
	}
	user, _ := identity.Of(req.Context())
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+p.tokens[user])
	return http.DefaultTransport.RoundTrip(req)
}

// A server has one cache, one client and one fetcher for all users. Each call names its
// user, and the transport adds that user's token.
func ExampleWith() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "-")
		fmt.Println("the API is asked by", name)
		fmt.Fprintf(w, `{"name": %q}`, name)
	}))
	defer api.Close()
	ctx := context.Background()
	tokens := map[string]string{"alice": "alice-1", "bob": "bob-1"}
	store, err := memory.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	c, err := cache.New(store, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	client, err := fetch.NewClient(&fetch.Options{BaseURL: api.URL, Transport: perUser{strings.TrimPrefix(api.URL, "http://"), tokens}})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	profiles, err := fetch.Create(ctx, c, client, settings.RepositorySettings[string, Profile]{
		Name: "profiles", Pattern: "GET /v1/profiles/{id}", Scope: settings.PerIdentity,
	}, nil)
	if err != nil {
		log.Fatal(err)
	}

	for _, user := range []string{"alice", "bob", "alice"} {
		profile, err := profiles.Fetch(identity.With(ctx, user), "me")
		fmt.Println(user, "gets", profile.Name, err)
		tokens[user] = user + "-2" // another token changes nothing
	}
	_, err = profiles.Fetch(ctx, "me")
	fmt.Println(err)
	// Output:
	// the API is asked by alice
	// alice gets alice <nil>
	// the API is asked by bob
	// bob gets bob <nil>
	// alice gets alice <nil>
	// fetch: repository "profiles": no identity: name one with identity.With
}
