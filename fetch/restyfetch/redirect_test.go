package restyfetch_test

import (
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/go-resty/resty/v2"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/fetch/restyfetch"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
)

// secretNames are the headers that the clients of these tests set.
var secretNames = []string{"Authorization", "Cookie", "X-Api-Key", "X-Session-Token", "Referer"}

func withSecrets(client *resty.Client) *resty.Client {
	return client.SetAuthToken("secret").SetCookie(&http.Cookie{Name: "session", Value: "secret"}).
		SetHeader("X-Api-Key", "secret").SetHeader("X-Session-Token", "secret").SetQueryParam("token", "secret")
}

func sentSecrets(r *http.Request) (names []string) {
	for _, name := range secretNames {
		if r.Header.Get(name) != "" {
			names = append(names, name)
		}
	}
	return names
}

func TestNoSecretFollowsARedirectToAnotherHost(t *testing.T) {
	var got []string
	other := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		got = append(got, fmt.Sprint("another host: ", sentSecrets(r)))
		serve(w, r)
	})
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if path.Base(r.URL.Path) == "moved" {
			http.Redirect(w, r, other.URL+"/tracks/a", http.StatusFound)
			return
		}
		http.Redirect(w, r, strings.Replace(other.URL, "127.0.0.1", "localhost", 1)+"/tracks/a", http.StatusFound)
	})
	asked := 0
	for name, client := range map[string]*resty.Client{
		"as it is": quick(t),
		// Its policies put back all headers where only the port differs.
		"with policies": quick(t).SetRedirectPolicy(resty.FlexibleRedirectPolicy(3)),
		"with a policy of its own": quick(t).SetRedirectPolicy(resty.RedirectPolicyFunc(func(*http.Request, []*http.Request) error {
			asked++
			return nil
		})),
	} {
		t.Run(name, func(t *testing.T) {
			got = nil
			client = withSecrets(client)
			own := *client.GetClient()
			for _, id := range []string{"moved", "elsewhere"} {
				endpoint := request.Pattern[string]("/tracks/{id}", request.IgnoreQuery("token"))
				s := bodies(endpoint, nil)
				s.RedirectHosts = []string{"*"} // whatever is kept
				if a := ask(t, sourceOf(t, at(server.URL, client), s), id)[0]; a.Err != nil || string(a.Entry.Payload) != trackBody("a") {
					t.Errorf("%s: %q, %v", id, a.Entry.Payload, a.Err)
				}
			}
			if !slices.Equal(got, []string{"another host: []", "another host: []"}) {
				t.Errorf("%q", got)
			}
			if now := client.GetClient(); (now.CheckRedirect == nil) != (own.CheckRedirect == nil) || now.Transport != own.Transport || now.Jar != own.Jar {
				t.Error("the client was changed")
			}
		})
	}
	if asked != 2 {
		t.Errorf("the client's own policy was asked %d times, want 2", asked)
	}
}

func TestAnswersOfOtherHostsAreNotKept(t *testing.T) {
	other := newServer(t, nil)
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if path.Base(r.URL.Path) == "here" {
			http.Redirect(w, r, "/tracks/there", http.StatusFound)
			return
		}
		if path.Base(r.URL.Path) == "there" {
			serve(w, r)
			return
		}
		http.Redirect(w, r, other.URL+r.RequestURI, http.StatusFound)
	})
	for name, client := range map[string]*resty.Client{"plain": quick(t), "digest": quick(t).SetDigestAuth("me", "secret")} {
		for _, named := range [][]string{nil, {"127.0.0.1" + other.URL[strings.LastIndex(other.URL, ":"):]}} {
			store, err := memory.New(nil)
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			s := bodies(byID, batchOf(2))
			s.RedirectHosts = named
			repo, err := repository.New(t.Context(), store, s, nil)
			if err != nil {
				t.Fatal(err)
			}
			opts := restyfetch.Options(client)
			opts.BaseURL = server.URL
			c, err := fetch.NewClient(opts)
			if err != nil {
				t.Fatal(err)
			}
			f, err := fetch.New(c, repo, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range []string{"a", "here"} {
				if _, err := f.Fetch(t.Context(), id); err != nil {
					t.Errorf("%s: %s: %v", name, id, err)
				}
			}
			if results, err := f.FetchMany(t.Context(), []string{"b", "c"}); err != nil || results[0].Err != nil || results[1].Err != nil {
				t.Errorf("%s: a batch: %v, %v", name, results, err)
			}
			want := 1
			if named != nil {
				want = 4
			}
			if n, err := repo.Count(t.Context(), repository.All); err != nil || n != want {
				t.Errorf("%s: with RedirectHosts %q %d answers are kept, want %d", name, named, n, want)
			}
			c.Close()
		}
	}
}
