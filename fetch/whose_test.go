package fetch_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/memory"
	polite "github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/settings"
)

type tokenKey struct{}

// asUser is a context whose requests get that user's token from the client below.
func asUser(ctx context.Context, user string) context.Context {
	return context.WithValue(ctx, tokenKey{}, user)
}

// signing is a client that adds the token of the call's context, as one of oauth2 does.
func signing() *http.Client {
	return &http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
		if user, _ := req.Context().Value(tokenKey{}).(string); user != "" {
			req = req.Clone(req.Context())
			req.Header.Set("Authorization", "Bearer "+user)
		}
		return http.DefaultTransport.RoundTrip(req)
	})}
}

// whoAsks answers with the token of the request as the title.
func whoAsks(w http.ResponseWriter, r *http.Request) {
	user := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if user == "expired" {
		http.Error(w, "the token has expired", http.StatusUnauthorized)
		return
	}
	ids := strings.Split(r.URL.Query().Get("ids"), ",")
	if ids[0] == "" {
		fmt.Fprintf(w, `{"id":%q,"title":%q}`, strings.TrimPrefix(r.URL.Path, "/tracks/"), user)
		return
	}
	var items []string
	for _, id := range ids {
		items = append(items, fmt.Sprintf(`{"id":%q,"title":%q}`, id, user))
	}
	fmt.Fprintf(w, `{"tracks":[%s]}`, strings.Join(items, ","))
}

// Keys of several users that were gathered for one request are not answered with the
// credentials of one of them, where the client adds these below the cache.
func TestAGatheredBatchIsNotAnsweredForAnotherUser(t *testing.T) {
	for _, scope := range []settings.Scope{settings.Undeclared, settings.Shared} {
		t.Run(scope.String(), func(t *testing.T) {
			o := newOrigin(t, whoAsks)
			store, err := memory.New(nil)
			if err != nil {
				t.Fatal(err)
			}
			s := settingsOf(byID, batchOf(10))
			s.Scope = scope
			c := cacheOf(t, store, cache.Options{})
			f, err := fetch.Create(t.Context(), c, clientOf(t, fetch.Options{BaseURL: o.URL, Client: signing()}), s, &fetch.FetcherOptions{Gather: 50 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			var group sync.WaitGroup
			for _, user := range []string{"expired", "alice", "bob", "carol"} {
				group.Go(func() {
					got, err := f.Fetch(asUser(t.Context(), user), "of-"+user)
					if scope == settings.Shared {
						return
					}
					if (err != nil) != (user == "expired") || err == nil && got.Title != user {
						t.Errorf("%s got %q, %v", user, got.Title, err)
					}
				})
			}
			group.Wait()
		})
	}
}

// That an answer to one user's batch has left a key out says nothing to another, nor is it
// remembered.
func TestAnAbsenceOfOneUserIsNotAnothers(t *testing.T) {
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if user := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "); user == "alice" {
			fmt.Fprint(w, `{"tracks":[]}`)
			return
		}
		whoAsks(w, r)
	})
	store, err := memory.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := settingsOf(byID, batchOf(10))
	s.ExpireAbsent = time.Hour
	f, err := fetch.Create(t.Context(), cacheOf(t, store, cache.Options{}), clientOf(t, fetch.Options{BaseURL: o.URL, Client: signing()}), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"alice", "bob"} {
		results, err := f.FetchMany(asUser(t.Context(), user), []string{"a", "b"})
		if want := map[string]string{"alice": "AB AB", "bob": "FE FE"}[user]; err != nil || statuses(results) != want {
			t.Errorf("%s: %v, %s", user, err, statuses(results))
		}
	}
}

// A caller that joins a request is not told that another's token has expired.
func TestAFailureOfOneUsersTokenIsNotAnothers(t *testing.T) {
	for name, batch := range map[string]bool{"alone": false, "in a batch": true} {
		t.Run(name, func(t *testing.T) {
			arrived, release := make(chan bool, 9), make(chan bool)
			o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
				arrived <- true
				<-release
				whoAsks(w, r)
			})
			store, err := memory.New(nil)
			if err != nil {
				t.Fatal(err)
			}
			s := settingsOf(byID, nil)
			if batch {
				s = settingsOf(nil, batchOf(10))
			}
			c := cacheOf(t, store, cache.Options{})
			f, err := fetch.Create(t.Context(), c, clientOf(t, fetch.Options{BaseURL: o.URL, Client: signing()}), s, nil)
			if err != nil {
				t.Fatal(err)
			}
			var group sync.WaitGroup
			ask := func(user string) {
				results, err := f.FetchMany(asUser(t.Context(), user), []string{"a", "b"})
				if err != nil {
					t.Error(err)
				}
				for _, r := range results {
					if (r.Err != nil) != (user == "expired") || r.Err == nil && r.Value.Title != user {
						t.Errorf("%s got %q, %v", user, r.Value.Title, r.Err)
					}
				}
			}
			group.Go(func() { ask("expired") })
			<-arrived
			group.Go(func() { ask("bob") })
			time.Sleep(20 * time.Millisecond) // the other has time to join it, if it would
			close(release)
			group.Wait()
		})
	}
}

// Credentials that a transport adds are seen below the limits of package origin, too.
func TestCredentialsAreSeenBelowLimits(t *testing.T) {
	o := newOrigin(t, whoAsks)
	repo := repositoryOf(t, settingsOf(byID, nil))
	for _, user := range []string{"alice", "bob"} {
		c := clientOf(t, fetch.Options{
			BaseURL: o.URL, Client: &http.Client{Transport: polite.New(signing().Transport, &polite.Options{Limits: polite.Limits{InFlight: 2}})},
		})
		f, err := fetch.New(c, repo, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := f.Fetch(asUser(t.Context(), user), "a"); err != nil || got.Title != user {
			t.Errorf("%s got %q, %v", user, got.Title, err)
		}
	}
}
