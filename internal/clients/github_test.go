package clients_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-github/v89/github"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/identity"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

// githubAPI is a little of GitHub's API. The user of a token is its part before the dash.
type githubAPI struct {
	mu     sync.Mutex
	used   int
	repos  map[string][]string // by user
	issues []map[string]any
}

func newGitHub() http.Handler {
	api := &githubAPI{repos: map[string][]string{}}
	for i, user := range []string{"alice", "bob", "carol"} {
		for n := range 5 + i {
			api.repos[user] = append(api.repos[user], fmt.Sprintf("%s-%d", user, n))
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /user", func(w http.ResponseWriter, r *http.Request) {
		api.answer(w, r, map[string]any{"login": userOf(r), "id": 7})
	})
	mux.HandleFunc("GET /user/repos", func(w http.ResponseWriter, r *http.Request) {
		api.answer(w, r, api.page(w, r, api.repos[userOf(r)]))
	})
	mux.HandleFunc("POST /user/repos", func(w http.ResponseWriter, r *http.Request) {
		var repo struct{ Name string }
		if err := json.NewDecoder(r.Body).Decode(&repo); err != nil {
			http.Error(w, `{"message":"Problems parsing JSON"}`, http.StatusBadRequest)
			return
		}
		user := userOf(r)
		api.repos[user] = append(api.repos[user], repo.Name)
		w.Header().Set("Location", "http://"+r.Host+"/repos/"+user+"/"+repo.Name)
		w.WriteHeader(http.StatusCreated)
		json.NewEncoder(w).Encode(repository(user, repo.Name))
	})
	mux.HandleFunc("GET /repos/{owner}/{repo}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("owner") != userOf(r) {
			w.Header().Del("Cache-Control")
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"message":"Not Found"}`)
			return
		}
		api.answer(w, r, repository(r.PathValue("owner"), r.PathValue("repo")))
	})
	mux.HandleFunc("GET /repos/{owner}/{repo}/issues", func(w http.ResponseWriter, r *http.Request) {
		api.answer(w, r, append([]map[string]any{}, api.issues...))
	})
	mux.HandleFunc("POST /repos/{owner}/{repo}/issues", func(w http.ResponseWriter, r *http.Request) {
		issue := map[string]any{"number": len(api.issues) + 1, "state": "open"}
		if err := json.NewDecoder(r.Body).Decode(&issue); err != nil {
			http.Error(w, `{"message":"Problems parsing JSON"}`, http.StatusBadRequest)
			return
		}
		api.issues = append(api.issues, issue)
		w.Header().Set("Location", fmt.Sprintf("http://%s%s/%d", r.Host, r.URL.Path, len(api.issues)))
		w.WriteHeader(http.StatusCreated)
		json.NewEncoder(w).Encode(issue)
	})
	mux.HandleFunc("GET /repos/{owner}/{repo}/issues/{number}", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.PathValue("number"))
		api.answer(w, r, api.issues[n-1])
	})
	mux.HandleFunc("PATCH /repos/{owner}/{repo}/issues/{number}", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.PathValue("number"))
		if err := json.NewDecoder(r.Body).Decode(&api.issues[n-1]); err != nil {
			http.Error(w, `{"message":"Problems parsing JSON"}`, http.StatusBadRequest)
			return
		}
		json.NewEncoder(w).Encode(api.issues[n-1])
	})
	mux.HandleFunc("GET /repos/{owner}/{repo}/commits/{ref}", func(w http.ResponseWriter, r *http.Request) {
		sha := fmt.Sprintf("%x", sha256.Sum256([]byte(r.PathValue("ref"))))[:40]
		switch accept := r.Header.Get("Accept"); {
		case strings.Contains(accept, ".sha"):
			api.answer(w, r, sha)
		case strings.Contains(accept, ".diff"):
			api.answer(w, r, "diff --git a/file b/file\n")
		default:
			api.answer(w, r, map[string]any{"sha": sha})
		}
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		api.mu.Lock()
		defer api.mu.Unlock()
		api.used++
		h := w.Header()
		h.Set("Content-Type", "application/json; charset=utf-8")
		h.Set("Cache-Control", "private, max-age=60, s-maxage=60")
		h.Set("Vary", "Accept, Authorization, Cookie, X-GitHub-OTP")
		h.Set("X-Ratelimit-Limit", "5000")
		h.Set("X-Ratelimit-Remaining", strconv.Itoa(5000-api.used))
		h.Set("X-Ratelimit-Used", strconv.Itoa(api.used))
		h.Set("X-Ratelimit-Reset", "1893456000")
		h.Set("X-Github-Request-Id", strconv.Itoa(api.used))
		if userOf(r) == "" {
			h.Del("Cache-Control")
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"message":"Bad credentials"}`)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func userOf(r *http.Request) string {
	user, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "-")
	if user == "mallory" {
		return ""
	}
	return user
}

func repository(owner, name string) map[string]any {
	return map[string]any{"name": name, "full_name": owner + "/" + name, "private": true}
}

// page is the part of a user's repositories that is asked for, with links to the others.
func (api *githubAPI) page(w http.ResponseWriter, r *http.Request, all []string) []map[string]any {
	query := r.URL.Query()
	n, _ := strconv.Atoi(query.Get("page"))
	n = max(n, 1)
	size, _ := strconv.Atoi(query.Get("per_page"))
	if size == 0 {
		size = 30
	}
	link := func(page int, rel string) string {
		query.Set("page", strconv.Itoa(page))
		return fmt.Sprintf(`<http://%s%s?%s>; rel="%s"`, r.Host, r.URL.Path, query.Encode(), rel)
	}
	last := (len(all) + size - 1) / size
	var links []string
	if n > 1 {
		links = append(links, link(n-1, "prev"), link(1, "first"))
	}
	if n < last {
		links = append(links, link(n+1, "next"), link(last, "last"))
	}
	if len(links) > 0 {
		w.Header().Set("Link", strings.Join(links, ", "))
	}
	list := []map[string]any{}
	for _, name := range all[min((n-1)*size, len(all)):min(n*size, len(all))] {
		list = append(list, repository(userOf(r), name))
	}
	return list
}

// answer answers with a 304 what the client has already.
func (*githubAPI) answer(w http.ResponseWriter, r *http.Request, value any) {
	var body []byte
	if text, ok := value.(string); ok {
		body = []byte(text)
	} else {
		body, _ = json.Marshal(value)
	}
	tag := fmt.Sprintf(`W/"%x"`, sha256.Sum256(append(body, r.Header.Get("Accept")...)))
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Write(body)
}

// counted are the headers of GitHub that tell of the exchange.
var counted = []string{"X-Ratelimit-Remaining", "X-Ratelimit-Used", "X-Github-Request-Id"}

func githubClient(t testing.TB, via http.RoundTripper, token string) *github.Client {
	t.Helper()
	base := "http://" + host + "/"
	opts := []github.ClientOptionsFunc{github.WithTransport(via), github.WithURLs(&base, &base)}
	if token != "" {
		opts = append(opts, github.WithAuthToken(token))
	}
	client, err := github.NewClient(opts...)
	check(t, err)
	return client
}

// browse reads what a user may read, and something that the user may not.
func browse(ctx context.Context, client *github.Client) (read []any) {
	user, _, err := client.Users.Get(ctx, "")
	read = append(read, user, said(err))
	opts := &github.RepositoryListByAuthenticatedUserOptions{ListOptions: github.ListOptions{PerPage: 2}}
	for {
		repos, resp, err := client.Repositories.ListByAuthenticatedUser(ctx, opts)
		if read = append(read, repos, said(err)); err != nil {
			return read
		}
		read = append(read, resp.NextPage, resp.LastPage)
		if resp.NextPage == 0 {
			break
		}
		opts.Page = resp.NextPage
	}
	repo, _, err := client.Repositories.Get(ctx, "alice", "alice-0")
	read = append(read, repo, said(err))
	commit, _, err := client.Repositories.GetCommit(ctx, "alice", "alice-0", "main", nil)
	read = append(read, commit, said(err))
	sha, _, err := client.Repositories.GetCommitSHA1(ctx, "alice", "alice-0", "main", "")
	read = append(read, sha, said(err))
	diff, _, err := client.Repositories.GetCommitRaw(ctx, "alice", "alice-0", "main", github.RawOptions{Type: github.Diff})
	return append(read, diff, said(err))
}

// declared is an endpoint of one repository.
func declared(scope settings.Scope) func(testing.TB, *cache.ResponseCache) {
	return func(t testing.TB, c *cache.ResponseCache) {
		t.Helper()
		type key struct {
			Owner string `path:"owner"`
			Repo  string `path:"repo"`
		}
		_, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[key, map[string]any]{
			Name: "repositories", Pattern: "GET /repos/{owner}/{repo}", Scope: scope,
		})
		check(t, err)
	}
}

// Each of three users gets their own answers from one cache, and somebody whose token is
// refused gets none.
func TestGitHubUsers(t *testing.T) {
	want := asked{cold: reached{27, 0}, warm: reached{4, 0}, expired: reached{27, 23}}
	bypassed := want // one answer that is no 404 is not kept
	bypassed.warm.requests++
	bypassed.expired.unchanged--
	for _, test := range []struct {
		name    string
		scope   settings.Scope
		declare func(testing.TB, *cache.ResponseCache)
		want    asked
	}{
		{"by the key", settings.Undeclared, nil, want},
		{"by the scope", settings.PerIdentity, nil, want},
		{"an endpoint by its scope", settings.Undeclared, declared(settings.PerIdentity), want},
		{"an endpoint without a scope", settings.Undeclared, declared(settings.Undeclared), bypassed},
	} {
		t.Run(test.name, func(t *testing.T) {
			(&scene{
				origin: newGitHub, varies: counted, scope: test.scope, declare: test.declare,
				client: func(t testing.TB, _ int, via http.RoundTripper) any {
					read := map[string]any{}
					for _, token := range []string{"alice-1", "bob-1", "carol-1", "mallory-1"} {
						read[token] = browse(t.Context(), githubClient(t, via, token))
					}
					return read
				},
				policy: test.want, control: test.want,
			}).compare(t)
		})
	}
}

// authorizing adds the token of whom the call is for.
type authorizing struct {
	base http.RoundTripper
	n    int
}

func (a authorizing) RoundTrip(req *http.Request) (*http.Response, error) {
	user, _ := identity.Of(req.Context())
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", fmt.Sprintf("Bearer %s-%d", user, a.n))
	return a.base.RoundTrip(req)
}

// The users are named to the cache, so what they have read stays theirs after their tokens
// have changed: they do with each pass.
func TestGitHubNamedUsers(t *testing.T) {
	kept := asked{cold: reached{25, 0}, warm: reached{2, 0}, expired: reached{25, 23}}
	anew := asked{cold: reached{25, 0}, warm: reached{25, 0}, expired: reached{25, 0}}
	read := func(client func(user string, n int, via http.RoundTripper) *github.Client) func(testing.TB, int, http.RoundTripper) any {
		return func(t testing.TB, n int, via http.RoundTripper) any {
			read := map[string]any{}
			for _, user := range []string{"alice", "bob", "carol"} {
				read[user] = browse(identity.With(t.Context(), user), client(user, n, via))
			}
			return read
		}
	}
	t.Run("tokens above the cache", func(t *testing.T) {
		(&scene{
			origin: newGitHub, varies: counted, scope: settings.PerIdentity,
			keys: &request.AnyOptions{IgnoreHeaders: []string{"Authorization"}},
			client: read(func(user string, n int, via http.RoundTripper) *github.Client {
				return githubClient(t, via, fmt.Sprintf("%s-%d", user, n))
			}),
			policy: kept,
			// GitHub says that its answers vary by the token, so that a new one asks for all anew.
			control: anew,
		}).compare(t)
	})
	t.Run("tokens below the cache", func(t *testing.T) {
		(&scene{
			origin: newGitHub, varies: counted, scope: settings.PerIdentity,
			below: func(n int, network http.RoundTripper) http.RoundTripper { return authorizing{network, n} },
			client: read(func(_ string, _ int, via http.RoundTripper) *github.Client {
				return githubClient(t, via, "")
			}),
			policy: kept, control: kept,
		}).compare(t)
	})
}

// listCreateList lists, creates and lists again, with Accept headers that differ.
func listCreateList(ctx context.Context, t testing.TB, client *github.Client, n int) (read []any) {
	t.Helper()
	list := func() {
		issues, _, err := client.Issues.ListByRepo(ctx, "alice", "alice-0", nil)
		check(t, err)
		repos, _, err := client.Repositories.ListByAuthenticatedUser(ctx, nil)
		check(t, err)
		read = append(read, issues, repos)
	}
	list()
	for i := range 2 {
		title := fmt.Sprintf("issue %d of pass %d", i, n)
		issue, _, err := client.Issues.Create(ctx, "alice", "alice-0", &github.IssueRequest{Title: &title})
		check(t, err)
		repo, _, err := client.Repositories.Create(ctx, "", &github.Repository{Name: &title})
		check(t, err)
		read = append(read, issue, repo)
		list()
		list()
	}
	return read
}

// readEditRead reads an issue, edits it and reads it again.
func readEditRead(ctx context.Context, t testing.TB, client *github.Client, n int) (read []any) {
	t.Helper()
	title := "an issue"
	issue, _, err := client.Issues.Create(ctx, "alice", "alice-0", &github.IssueRequest{Title: &title})
	check(t, err)
	for i := range 3 {
		for range 2 {
			issue, _, err = client.Issues.Get(ctx, "alice", "alice-0", issue.GetNumber())
			check(t, err)
			read = append(read, issue)
		}
		title := fmt.Sprintf("edited %d times in pass %d", i+1, n)
		_, _, err = client.Issues.Edit(ctx, "alice", "alice-0", issue.GetNumber(), &github.IssueRequest{Title: &title})
		check(t, err)
	}
	return read
}

// pageCreatePage reads all pages, creates a repository and reads them again.
func pageCreatePage(ctx context.Context, t testing.TB, client *github.Client, n int) (read []any) {
	t.Helper()
	for i := range 2 {
		for range 2 {
			opts := &github.RepositoryListByAuthenticatedUserOptions{ListOptions: github.ListOptions{PerPage: 4}}
			for repos, err := range client.Repositories.ListByAuthenticatedUserIter(ctx, opts) {
				check(t, err)
				read = append(read, repos)
			}
		}
		name := fmt.Sprintf("repository %d of pass %d", i, n)
		_, _, err := client.Repositories.Create(ctx, "", &github.Repository{Name: &name})
		check(t, err)
	}
	return read
}

// declaredWrites says what a new repository changes: its URL is not that of a page.
func declaredWrites(t testing.TB, c *cache.ResponseCache) {
	t.Helper()
	_, err := cache.AddWrite(c, settings.WriteSettings[struct{}]{Pattern: "POST /user/repos", InvalidatesAll: []string{"all"}})
	check(t, err)
}

func TestGitHubWrites(t *testing.T) {
	named := &scene{
		scope: settings.PerIdentity,
		keys:  &request.AnyOptions{Headers: []string{}, IgnoreHeaders: []string{"Authorization"}},
	}
	for _, test := range []struct {
		name  string
		scene *scene
		work  func(context.Context, testing.TB, *github.Client, int) []any
		want  asked
	}{
		{"list", &scene{}, listCreateList, listed},
		{"edit", &scene{}, readEditRead, edited},
		{"pages", &scene{declare: declaredWrites}, pageCreatePage, paged},
		{"list of a named user", named, listCreateList, listed},
		{"edit of a named user", named, readEditRead, edited},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := *test.scene
			s.origin, s.varies, s.policy, s.control = newGitHub, counted, test.want, test.want
			s.client = func(t testing.TB, n int, via http.RoundTripper) any {
				client := githubClient(t, via, "alice-1")
				return test.work(identity.With(t.Context(), "alice"), t, client, n)
			}
			s.compare(t)
		})
	}
}

// Of two listings after each write, one is asked for.
var (
	listed = asked{cold: reached{10, 0}, warm: reached{8, 0}, expired: reached{10, 2}}
	paged  = asked{cold: reached{6, 0}, warm: reached{6, 0}, expired: reached{8, 0}}
	edited = asked{cold: reached{7, 0}, warm: reached{7, 0}, expired: reached{7, 0}}
)
