package privacy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/identity"
	"github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/pages"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/redact"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

// key has secrets, which its table has, too, since it is declared so.
type key struct {
	Kind  string `path:"kind"`
	ID    string `path:"id"`
	Token string `query:"access_token"`
	Key   string `header:"X-Api-Key"`
}

type value struct {
	ID       string `json:"id"`
	Password string `json:"password"`
	N        number `json:"n"`
}

// number has an error with the text that it could not read.
type number int

func (n *number) UnmarshalJSON(text []byte) error {
	if text[0] == '"' {
		return fmt.Errorf("parse %q: %w", text, errors.New(string(text)))
	}
	*n = 1
	return nil
}

var kinds = []string{"ok", "moved", "nowhere", "loop", "scheme", "fail", "refuse", "slow", "cut", "text", "type"}

func declared(scope settings.Scope) settings.RepositorySettings[key, value] {
	return settings.RepositorySettings[key, value]{
		Scope: scope, Name: "declared", Pattern: "GET /v1/{kind}/{id}", Redact: redact.Rules{JSON: []string{"password"}},
		NameOf: func(v value) string { return v.ID + v.Password },
	}
}

func TestFetch(t *testing.T) {
	for _, kind := range stores {
		for name, scope := range map[string]settings.Scope{"shared": settings.Shared, "per identity": settings.PerIdentity} {
			if testing.Short() && scope == settings.Shared {
				continue // the other has all that this has
			}
			t.Run(kind.name+" "+name, func(t *testing.T) {
				w, dir := newWatch(t), t.TempDir()
				w.scope = scope
				api := newAPI(t, w)
				c, err := cache.New(kind.open(t, dir, w), &cache.Options{Logger: w.logger()})
				check(t, err)
				base, err := url.Parse(api.URL)
				check(t, err)
				base.User = url.UserPassword("user", w.secret("the password of the base URL"))
				client := newClient(t, base.String(), nil)
				fetcher, err := fetch.Create(t.Context(), c, client, declared(scope), nil)
				check(t, err)
				w.fetches(fetcher)
				w.batches(c, client)
				w.walks(fetcher)
				w.failures(c, api)
				w.tell("Stats", fmt.Sprintf("%+v", c.Stats()))
				if n, err := fetcher.Repository().Count(t.Context(), repository.All); n < 4 || err != nil {
					t.Errorf("%d entries are stored, %v", n, err)
				}
				check(t, c.Close())
				w.check(dir)
				if kind.name == "filesystem" {
					damage(t, dir)
					w.damagedKeys(kind, dir)
					w.check("")
				}
			})
		}
	}
}

func newClient(t *testing.T, base string, o *origin.Options) *fetch.Client {
	t.Helper()
	client, err := fetch.NewClient(&fetch.Options{
		BaseURL: base, Origin: o, Timeout: 300 * time.Millisecond, Retry: &origin.RetryOptions{Retries: origin.NoRetries},
	})
	check(t, err)
	t.Cleanup(func() { client.Close() })
	return client
}

func (w *watch) keys(kinds ...string) []key {
	var keys []key
	for _, kind := range kinds {
		keys = append(keys, key{kind, "a", w.stored("a parameter of the key"), w.stored("a header of the key")})
	}
	return keys
}

func (w *watch) fetches(f *fetch.Fetcher[key, value]) {
	t, ctx := w.t, w.t.Context()
	for _, k := range w.keys(kinds...) {
		for range 2 {
			_, err := f.Fetch(ctx, k)
			w.tries("Fetch of "+k.Kind, err)
		}
		e, _, err := f.FetchEntry(ctx, k, fetch.Refresh())
		w.tries("FetchEntry of "+k.Kind, err)
		if header, err := e.Header(); err == nil {
			w.tell("the header of an entry", fmt.Sprint(header["X-Auth-Token"], header["Authorization"]))
		}
	}
	offline := fetch.With(policy.Policy{Use: policy.Offline})
	_, err := f.Fetch(ctx, w.keys("none")[0], offline)
	w.failed("Fetch offline", err)
	results, err := f.FetchMany(ctx, w.keys(kinds...))
	w.tries("FetchMany", err)
	for _, r := range results {
		w.tries("FetchMany of "+r.Key.Kind, r.Err)
	}
	run, err := prefetch.Run(ctx, f, slices.Values(w.keys(kinds...)), &prefetch.Options{
		Logger: w.logger(), LogEvery: time.Millisecond, MaxFailures: 5,
		Progress: func(p prefetch.Progress) { w.tell("progress", fmt.Sprintf("%+v %v", p, p.LogValue())) },
	})
	w.tries("prefetch", err)
	w.tell("a report", run.Report())
	for _, cause := range run.Causes {
		w.tell("a cause", cause.String())
	}
	repo, ctx := f.Repository(), identity.With(ctx, "one")
	k := w.keys("bad")[0]
	entry, err := repository.NewEntry(200, repository.Head{}, []byte(`{"n":"token=`+w.secret("a body that is saved")+`"}`))
	check(t, err)
	w.failed("SaveEntry", repo.SaveEntry(ctx, k, entry))
	resp, err := entry.Response(w.request(t, http.MethodGet, "http://h", "/v1/bad/a"))
	check(t, err)
	resp.Request.URL.RawQuery = ""
	_, err = repo.SaveResponse(ctx, resp)
	w.failed("SaveResponse", err)
	check(t, repo.Save(ctx, k, value{ID: "b", Password: w.secret("a member of a value")}))
}

// batches fail as a whole.
func (w *watch) batches(c *cache.ResponseCache, client *fetch.Client) {
	s := declared(w.scope)
	s.Name, s.Pattern = "batches", "GET /v1/{kind}/one/{id}"
	s.Batch = request.BatchPattern[key]("GET /v1/{kind}/batch?ids={id}", 10, payload.SplitArray("items"), nil)
	f, err := fetch.Create(w.t.Context(), c, client, s, nil)
	check(w.t, err)
	keys := w.keys("batch", "batch", "fail")
	keys[1].Token, keys[1].Key, keys[1].ID = keys[0].Token, keys[0].Key, "b"
	results, err := f.FetchMany(w.t.Context(), keys)
	w.tries("a batch", err)
	for _, r := range results {
		w.failed("a key of a batch", r.Err)
	}
	_, err = s.Batch.Request(w.t.Context(), nil, w.keys("batch", "batch"))
	w.failed("a batch of different keys", err)
}

func (w *watch) walks(f *fetch.Fetcher[key, value]) {
	for name, next := range map[string]pages.Next[key, value]{
		"Link": pages.Link[key, value],
		"URL": pages.URL[key](func(value) string {
			return "http://%zz/?token=" + w.secret("the URL of a page")
		}),
		"foreign": pages.URL[key](func(value) string {
			return "http://user:" + w.secret("the user of a page's URL") + "@elsewhere.test/?token=" + w.secret("a page elsewhere")
		}),
		"loop": func(page *pages.Page[key, value]) (key, bool, error) { return w.keys("ok")[0], true, nil },
		"fail": func(page *pages.Page[key, value]) (key, bool, error) { return w.keys("fail")[0], true, nil },
	} {
		n := 0
		for _, err := range pages.Walk(w.t.Context(), f, w.keys("ok")[0], next, nil) {
			w.tries("a walk by "+name, err)
			if n++; n > 3 {
				break
			}
		}
	}
}

// failures are those of the credentials and of the network.
func (w *watch) failures(c *cache.ResponseCache, api *api) {
	ctx := w.t.Context()
	old := w.secret("a token")
	for name, token := range map[string]func(context.Context, string) (origin.Token, error){
		"static":  origin.Static(w.secret("a static token")),
		"refused": func(context.Context, string) (origin.Token, error) { return origin.Token{Value: old}, nil },
		"URL": func(context.Context, string) (origin.Token, error) {
			_, err := http.Get("http://127.0.0.1:1/token?client_secret=" + w.secret("a parameter of the request for a token"))
			return origin.Token{}, fmt.Errorf("authorize: %w", err)
		},
		"body": func(context.Context, string) (origin.Token, error) {
			return origin.Token{}, errors.New(`the answer is {"refresh_token":"` + w.secret("the answer to a request for a token") + `"}`)
		},
		"panic": func(context.Context, string) (origin.Token, error) {
			panic("refresh_token=" + w.secret("a token in a panic"))
		},
	} {
		for what, base := range map[string]string{"answers": api.URL, "refuses": "http://127.0.0.1:1"} {
			client := newClient(w.t, base, &origin.Options{Credentials: &origin.Credentials{
				Hosts: []string{"127.0.0.1"}, Token: token, Cleartext: true,
				OnRefresh: func(err error) { w.tries("OnRefresh", err) },
			}})
			s := declared(w.scope)
			s.Name = "of " + name + " that " + what
			c.Remove("declared") // of the same requests
			f, err := fetch.Create(ctx, c, client, s, nil)
			check(w.t, err)
			for _, k := range w.keys("ok", "refuse") {
				_, err := f.Fetch(ctx, k)
				w.tries("Fetch with credentials", err)
			}
			c.Remove(s.Name)
		}
	}
}

func (w *watch) damagedKeys(kind store, dir string) {
	opened, err := reopen(kind, w.t, dir, w)
	check(w.t, err)
	c, err := cache.New(opened, &cache.Options{Logger: w.logger()})
	check(w.t, err)
	defer c.Close()
	repo, err := cache.CreateRepository(w.t.Context(), c, declared(w.scope))
	check(w.t, err)
	before := w.lines()
	for _, err := range repo.All(w.t.Context()) {
		w.tries("Iterate", err)
	}
	if w.lines() == before {
		w.t.Error("damaged files are not reported")
	}
}
