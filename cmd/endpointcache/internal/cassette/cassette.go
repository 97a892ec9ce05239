// Package cassette records what an API answers in a catch-all repository, and answers from that instead of the API.
//
// Requests are the same if their methods, URLs and bodies are, and the headers that [Settings] name. Of requests that are
// the same, each has its own take: the first is answered with the first answer that was recorded, the second with the
// second, and those behind the last with the last.
package cassette

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/internal/secret"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/redact"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

// Settings say what is recorded, and which requests are the same. They are kept beside the recording, so that who plays
// it need not repeat them.
type Settings struct {
	API          string       `json:"api"`                    // its URL, without a user, a query and a fragment
	Methods      []string     `json:"methods,omitempty"`      // of the requests that are recorded; none: all
	MatchHeaders []string     `json:"matchHeaders,omitempty"` // headers that make requests differ, besides Accept, conditions and ranges
	IgnoreQuery  []string     `json:"ignoreQuery,omitempty"`  // as request.AnyOptions has them, as the next two
	IgnoreBody   []string     `json:"ignoreBody,omitempty"`
	SortQuery    bool         `json:"sortQuery,omitempty"`
	Redact       redact.Rules `json:"redact,omitzero"` // what is not stored; the parameters of Query do not make requests differ
	Cookies      bool         `json:"cookies,omitempty"`
}

// Validate reports what is wrong with the settings.
func (s Settings) Validate() error {
	if _, err := apiOf(s.API); err != nil {
		return err
	}
	_, err := catchAll("cassette", s).Resolve()
	if cause := errors.Unwrap(err); cause != nil {
		return cause // without the name of the repository
	}
	return err
}

// ErrOther means that a recording was made with other settings than those given.
var ErrOther = errors.New("the recording was made with other settings")

// ErrNone means that there is no recording.
var ErrNone = errors.New("there is no recording")

// Cassette is a recording. Many goroutines may use it at once.
type Cassette struct {
	Settings

	api       *url.URL
	responses *repository.ResponseRepository[request.AnyKey, []byte]

	mu    sync.Mutex
	takes map[request.AnyKey]int // how many requests of a key have come
}

// MaxBody is the size of the largest body of a request or response that is recorded, in bytes.
const MaxBody = 64 << 20

// settingsKey is the key of what is kept beside the recordings.
type settingsKey struct {
	Cassette string `column:"cassette"`
}

func settingsOf(name string) settings.RepositorySettings[settingsKey, Settings] {
	return settings.RepositorySettings[settingsKey, Settings]{Name: name + "_settings", Expire: settings.NeverExpire, Scope: settings.Shared}
}

// Record opens a recording to add to it: one that exists, or a new one. The settings are those of the recording where
// none are given besides the API. The cache stays the caller's to close.
func Record(ctx context.Context, c *cache.ResponseCache, name string, s Settings) (*Cassette, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	s.API, _ = apiOf(s.API)
	kept, err := cache.CreateRepository(ctx, c, settingsOf(name))
	if err != nil {
		return nil, err
	}
	known, ok, err := kept.Get(ctx, settingsKey{name})
	switch {
	case err != nil:
		return nil, err
	case ok && known.API != s.API:
		return nil, fmt.Errorf("%w: it is of %s", ErrOther, known.API)
	case ok && !reflect.DeepEqual(s, Settings{API: s.API}) && !reflect.DeepEqual(s, known):
		return nil, ErrOther
	case ok:
		return newCassette(ctx, c, name, known)
	}
	cassette, err := newCassette(ctx, c, name, s)
	if err != nil {
		return nil, err
	}
	return cassette, kept.Save(ctx, settingsKey{name}, s)
}

// Open opens a recording to play it. The error is [ErrNone] where the cache has none of that name.
func Open(ctx context.Context, c *cache.ResponseCache, name string) (*Cassette, error) {
	tables, err := c.Tables(ctx)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(tables, func(t cache.Table) bool { return t.Repository == name+"_settings" }) {
		return nil, ErrNone
	}
	kept, err := cache.CreateRepository(ctx, c, settingsOf(name))
	if err != nil {
		return nil, err
	}
	known, ok, err := kept.Get(ctx, settingsKey{name}, repository.AllowExpired())
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, ErrNone
	}
	return newCassette(ctx, c, name, known)
}

// usualMethods are those of which a lookup explains what is not found.
var usualMethods = []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}

func catchAll(name string, s Settings) settings.RepositorySettings[request.AnyKey, []byte] {
	all := settings.CatchAll(name, &request.AnyOptions{
		Headers: slices.Concat(alwaysMatched, s.MatchHeaders), IgnoreQuery: s.IgnoreQuery, IgnoreBody: s.IgnoreBody, SortQuery: s.SortQuery,
		Secret: s.Redact.Query, MaxBody: MaxBody,
	})
	all.Expire, all.Scope, all.Redact = settings.NeverExpire, settings.Shared, s.Redact
	all.Policy.Methods = s.Methods
	if len(s.Methods) == 0 {
		all.Policy.Methods = usualMethods
	}
	if s.Cookies {
		all.Policy.Cookies = policy.On
	}
	return all
}

func newCassette(ctx context.Context, c *cache.ResponseCache, name string, s Settings) (*Cassette, error) {
	api, err := url.Parse(s.API)
	if err != nil {
		return nil, err
	}
	responses, err := cache.CreateRepository(ctx, c, catchAll(name, s))
	if err != nil {
		return nil, err
	}
	return &Cassette{Settings: s, api: api, responses: responses, takes: map[request.AnyKey]int{}}, nil
}

// apiOf is the URL of an API as it is kept.
func apiOf(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "", err
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return "", fmt.Errorf("%q is no URL of an API, such as https://api.example.com/v1", secret.Mask(text))
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return "", fmt.Errorf("%q has a user, a query or a fragment: an API's URL has none here", secret.Mask(text))
	}
	return strings.TrimRight(strings.ToLower(u.Scheme+"://"+u.Host)+u.EscapedPath(), "/"), nil
}

// alwaysMatched are headers that make another request of one: what the answer is to be, and whether there is to be a whole one.
var alwaysMatched = []string{"Accept", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range"}

// keyed is the request as the recording knows it: to the API, with nothing but what makes requests differ. It reads the body of
// req, and leaves it with an equal one.
func (c *Cassette) keyed(req *http.Request) *http.Request {
	u := *req.URL
	u.Scheme, u.Host, u.User = c.api.Scheme, c.api.Host, nil
	u.RawQuery = c.withoutRedacted(u.RawQuery)
	k := &http.Request{Method: req.Method, URL: &u, Host: u.Host, Header: http.Header{}, Body: req.Body, GetBody: req.GetBody, ContentLength: req.ContentLength}
	for _, name := range slices.Concat(alwaysMatched, []string{"Range", "Content-Type", "Content-Encoding"}, c.MatchHeaders) {
		name = http.CanonicalHeaderKey(name)
		if values := req.Header[name]; len(values) > 0 && !(name == "Accept" && len(values) == 1 && values[0] == "*/*") {
			k.Header[name] = values
		}
	}
	return k.WithContext(req.Context())
}

// withoutRedacted is a query without the parameters that are not stored.
func (c *Cassette) withoutRedacted(query string) string {
	if len(c.Redact.Query) == 0 || query == "" {
		return query
	}
	pairs := slices.DeleteFunc(strings.Split(query, "&"), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		return slices.ContainsFunc(c.Redact.Query, func(redacted string) bool {
			prefix, all := strings.CutSuffix(redacted, "*")
			folded, prefix := secret.Fold(name), secret.Fold(prefix)
			return folded == prefix || all && strings.HasPrefix(folded, prefix)
		})
	})
	return strings.Join(pairs, "&")
}

// key takes the key from a request, false where it has none: its body is too large.
func (c *Cassette) key(req *http.Request) (request.AnyKey, bool, error) {
	k := c.keyed(req)
	key, ok, err := c.responses.Key(k)
	req.Body, req.GetBody = k.Body, k.GetBody
	return key, ok, err
}

// records reports whether responses to requests of a method are recorded.
func (c *Cassette) records(method string) bool {
	return len(c.Methods) == 0 || slices.Contains(c.Methods, method)
}

// next counts a request, and returns which one of its key it is, from 1.
func (c *Cassette) next(key request.AnyKey) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.takes[key]++
	return c.takes[key]
}

// back takes back a count.
func (c *Cassette) back(key request.AnyKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.takes[key]--
}

// ofTake is the key of a take. The first has that of the request, so that it is found without this package, too.
func ofTake(key request.AnyKey, take int) request.AnyKey {
	if take > 1 {
		if key.Headers != "" {
			key.Headers += " | "
		}
		key.Headers += takeHeader + ": " + strconv.Itoa(take)
	}
	return key
}

// takeHeader is the name under which the number of a take stands in its key.
const takeHeader = "Take"
