package doccheck_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/dynamodb"
	"github.com/endpointcache/endpointcache/filesystem"
	"github.com/endpointcache/endpointcache/identity"
	"github.com/endpointcache/endpointcache/internal/doccheck"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/postgres"
	"github.com/endpointcache/endpointcache/redis"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// trackKey and track are of the table that the pages' commands look into.
type trackKey struct {
	ID     string `path:"id"`
	Market string `query:"market"`
	Page   int    `query:"page" default:"0"`
}

type track struct {
	ID         string   `json:"id"`
	Title      string   `json:"title"`
	Popularity int      `json:"popularity"`
	Artists    []artist `json:"artists"`
}

type artist struct {
	Name string `json:"name"`
}

var (
	savedAt = time.Date(2020, time.March, 1, 12, 0, 0, 123456000, time.UTC)
	longAgo = time.Date(2020, time.March, 8, 12, 0, 0, 123456000, time.UTC)
	notSoon = time.Date(2099, time.March, 8, 12, 0, 0, 123456000, time.UTC)
)

var saved = []struct {
	key        trackKey
	title      string
	artist     string
	popularity int
	status     int
	expires    time.Time
}{
	{trackKey{}, "One More Time", "Nina", 74, http.StatusOK, notSoon},
	{trackKey{"0k1", "DE", 1}, "Two Times", "Nina", 50, http.StatusOK, notSoon},
	{trackKey{"7qR", "DE", 1}, "Three Times", "Can", 40, http.StatusOK, notSoon},
	{trackKey{"0k1", "US", 1}, "Two Times", "Can", 90, http.StatusOK, notSoon},
	{trackKey{"1xY", "DE", 1}, "", "", 0, http.StatusNotFound, notSoon},
	{trackKey{"2zA", "DE", 1}, "Old Times", "Can", 99, http.StatusOK, longAgo},
	{trackKey{"3bB", "DE", 1}, "Older Times", "Can", 98, http.StatusOK, longAgo.AddDate(0, 0, 1)},
}

// fill saves the tracks in a store, and closes it. The first has the key given, as the page
// shows it.
func fill(t *testing.T, first trackKey, store driver.Store, err error) {
	t.Helper()
	must(t, err)
	c, err := cache.New(store, &cache.Options{Now: func() time.Time { return savedAt }})
	must(t, err)
	repo, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[trackKey, track]{
		Name: "tracks", NameOf: func(t track) string { return t.Title },
	})
	must(t, err)
	_, err = cache.CreateRepository(t.Context(), c, settings.RepositorySettings[trackKey, track]{Name: "albums"})
	must(t, err)
	for i, s := range saved {
		if i == 0 {
			s.key = first
		}
		body := fmt.Sprintf(`{"id": %q, "title": %q, "popularity": %d, "artists": [{"name": %q}]}`, s.key.ID, s.title, s.popularity, s.artist)
		entry, err := repository.NewEntry(s.status, repository.Head{Header: http.Header{"Content-Type": {"application/json"}}}, []byte(body))
		must(t, err)
		must(t, repo.SaveEntry(t.Context(), s.key, entry, repository.ExpireAt(s.expires)))
	}
	must(t, c.Close())
}

// fillRest saves a response in a catch-all, and one for each of two users.
func fillRest(t *testing.T, store driver.Store, err error) {
	t.Helper()
	must(t, err)
	c, err := cache.New(store, nil)
	must(t, err)
	rest, err := cache.CreateRepository(t.Context(), c, settings.CatchAll("rest", nil))
	must(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.example.com/v1/tracks/6fW?fields=title", nil)
	must(t, err)
	key, _, err := rest.Key(req)
	must(t, err)
	must(t, rest.Save(t.Context(), key, []byte(`{"title": "One More Time"}`)))
	playlists, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[string, track]{
		Name: "playlists", Scope: settings.PerIdentity, BaseURL: "https://api.example.com",
	})
	must(t, err)
	for user, id := range map[string]string{"alice": "37i", "bob": "9kq"} {
		must(t, playlists.Save(identity.With(t.Context(), user), id, track{Title: "Songs of " + user}))
	}
	must(t, c.Close())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newScratch returns a folder with the project's go.mod, a database with a catch-all, and
// the tracks in files.
func newScratch(t *testing.T) *doccheck.Scratch {
	t.Helper()
	project, err := filepath.Abs(root)
	must(t, err)
	shims, err := filepath.Abs("testdata/bin")
	must(t, err)
	s := &doccheck.Scratch{Root: project, Dir: t.TempDir(), Shims: shims, Env: goEnv(t)}
	modules, err := os.ReadFile(filepath.Join(root, "go.mod"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(s.Dir, "go.mod"), modules, 0o600))
	store, err := sqlite.Open(t.Context(), filepath.Join(s.Dir, "music.db"), nil)
	fillRest(t, store, err)
	folder := filepath.Join(s.Dir, ".cache", "music")
	must(t, os.MkdirAll(filepath.Dir(folder), 0o700))
	files, err := filesystem.Open(t.Context(), folder, nil)
	fill(t, trackKey{"4cOdK2wGLETKBW3PvgPWqT", "DE", 1}, files, err)
	return s
}

// goEnv are the variables that Go would otherwise look for in the user's home. Nothing is
// downloaded.
func goEnv(t *testing.T) []string {
	t.Helper()
	names := []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOENV"}
	out, err := exec.CommandContext(t.Context(), "go", append([]string{"env"}, names...)...).Output()
	must(t, err)
	env := []string{"GOPROXY=off"}
	for i, value := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		env = append(env, names[i]+"="+value)
	}
	return env
}

// tools are the programs that not every machine has, with the server that they ask.
var tools = map[string]struct {
	inCI    bool   // .ci/run, or the servers of the tests, bring it
	server  string // the variable that leads to it
	prepare func(t *testing.T, s *doccheck.Scratch, address string)
	ours    bool // prepare builds it
}{
	"sqlite3":   {inCI: true},
	"curl":      {},
	"jq":        {inCI: true},
	"zstd":      {inCI: true, prepare: prepareCompressed},
	"redis-cli": {inCI: true, server: "REDIS_TEST_URL", prepare: prepareRedis},
	"psql":      {inCI: true, server: "POSTGRES_TEST_URL", prepare: preparePostgres},
	"aws":       {server: "DYNAMODB_TEST_URL", prepare: prepareDynamoDB},

	"endpointcache": {ours: true, prepare: prepareTool},
}

// issueKey and issue are of a table that is kept compressed.
type issueKey struct {
	ID int `path:"id"`
}

type issue struct {
	ID     int      `json:"id"`
	Title  string   `json:"title"`
	State  string   `json:"state"`
	Labels []string `json:"labels"`
}

// prepareCompressed saves issues until they are kept with a dictionary.
func prepareCompressed(t *testing.T, s *doccheck.Scratch, _ string) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(s.Dir, "music.db"), nil)
	must(t, err)
	c, err := cache.New(store, nil)
	must(t, err)
	issues, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[issueKey, issue]{Name: "issues", Compression: settings.Zstd})
	must(t, err)
	values := make(map[issueKey]issue)
	for i := range 600 {
		values[issueKey{i}] = issue{i, fmt.Sprintf("Playlist %d is empty after an update", i), "open", []string{"bug", "playlists"}}
	}
	must(t, issues.SaveMany(t.Context(), values))
	dictionaries, err := store.OpenTable(t.Context(), driver.TableSpec{Name: "endpointcache_dictionaries", Key: []driver.Column{
		{Name: "repository", Kind: driver.String}, {Name: "dictionary", Kind: driver.Int},
	}})
	must(t, err)
	waitfor.True(t, "a dictionary", func() bool {
		made := false
		for e, err := range dictionaries.Entries(t.Context(), driver.Selection{}) {
			must(t, err)
			made = made || e.Key[1] != int64(0)
		}
		return made
	})
	must(t, c.Close())
	store, err = sqlite.Open(t.Context(), filepath.Join(s.Dir, "music.db"), nil)
	must(t, err)
	c, err = cache.New(store, nil)
	must(t, err)
	issues, err = cache.CreateRepository(t.Context(), c, issues.Settings())
	must(t, err)
	must(t, issues.SaveMany(t.Context(), values))
	must(t, c.Close())
}

// The servers' stores are filled, and emptied when the page's test ends.

func prepareRedis(t *testing.T, s *doccheck.Scratch, address string) {
	t.Helper()
	u, err := url.Parse(address)
	must(t, err)
	password, _ := u.User.Password()
	s.Env = append(s.Env, "REDIS_HOST="+u.Hostname(), "REDIS_PORT="+u.Port(), "REDISCLI_AUTH="+password)
	t.Cleanup(func() { run(t, s, "redis-cli --scan --pattern 'music:*' | xargs -r redis-cli UNLINK") })
	store, err := redis.Open(t.Context(), address, &redis.Options{Prefix: "music", KeepExpired: 100 * 365 * 24 * time.Hour})
	fill(t, trackKey{"6fW", "DE", 1}, store, err)
}

func preparePostgres(t *testing.T, s *doccheck.Scratch, address string) {
	t.Helper()
	u, err := url.Parse(address)
	must(t, err)
	schema := fmt.Sprintf("doccheck_%d", os.Getpid())
	password, _ := u.User.Password()
	s.Env = append(s.Env, "PGHOST="+u.Hostname(), "PGPORT="+u.Port(), "PGUSER="+u.User.Username(), "PGPASSWORD="+password,
		"PGDATABASE="+strings.TrimPrefix(u.Path, "/"), "PGSSLMODE="+u.Query().Get("sslmode"), "PGOPTIONS=-c search_path="+schema)
	t.Cleanup(func() { run(t, s, "PGOPTIONS=--client-min-messages=warning psql -qc 'DROP SCHEMA "+schema+" CASCADE'") })
	store, err := postgres.Open(t.Context(), address, &postgres.Options{
		Schema: schema, Tables: map[string]postgres.TableOptions{"tracks": {Payload: postgres.JSONB}},
	})
	fill(t, trackKey{"6fW", "DE", 1}, store, err)
}

func prepareDynamoDB(t *testing.T, s *doccheck.Scratch, address string) {
	t.Helper()
	u, err := url.Parse(address)
	must(t, err)
	secret, _ := u.User.Password()
	s.Env = append(s.Env, "AWS_ENDPOINT_URL=http://"+u.Host, "AWS_ACCESS_KEY_ID="+u.User.Username(), "AWS_SECRET_ACCESS_KEY="+secret,
		"AWS_DEFAULT_REGION="+u.Query().Get("region"), "AWS_PAGER=")
	t.Cleanup(func() { run(t, s, "aws dynamodb delete-table --table-name music") })
	store, err := dynamodb.Open(t.Context(), u.String(), &dynamodb.Options{Table: "music", NoTTL: true})
	fill(t, trackKey{"4uLU6hMC", "DE", 0}, store, err)
}

// run clears up after a page.
func run(t *testing.T, s *doccheck.Scratch, command string) {
	t.Helper()
	_, problems := s.Run(context.Background(), &doccheck.Block{Lang: "sh", Text: command}, "")
	for _, p := range problems {
		t.Error(p)
	}
}
