package request

import (
	"context"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/credential"
	"github.com/endpointcache/endpointcache/internal/endpoint"
	"github.com/endpointcache/endpointcache/internal/keytype"
)

type recipeKey struct {
	Name  string    `path:"name" json:"x"`
	Page  int16     `query:"page" default:"1"`
	Tags  string    `query:"tags,set,required" column:"labels"`
	At    time.Time `query:"at"`
	Lang  string    `header:"accept-language"`
	Token string    `header:"Authorization,hash"`
	Live  bool      `query:"li\"ve"`
}

type bodyKey struct {
	Sector string `body:"a\\.b.sector,required"`
	Sizes  string `body:"sizes,list,number"`
	Method string `method:""`
}

// remade is the endpoint that a store remembers of another one.
func remade[K comparable](t *testing.T, e Endpoint[K], byIdentity bool) (endpoint.Untyped, *keytype.Type) {
	t.Helper()
	kt, err := keytype.Of[K]()
	if err != nil {
		t.Fatal(err)
	}
	again, err := endpoint.Remembered(endpoint.Text(e), endpoint.Recipe(e), kt.Columns(), byIdentity)
	if err != nil {
		t.Fatalf("%q: %v", endpoint.Recipe(e), err)
	}
	return again, kt
}

func TestARecipeMakesTheSameEndpoint(t *testing.T) {
	e := Pattern[recipeKey]("GET|HEAD api.test/v1/{name}.json?fixed=a", IgnoreQuery("utm_*", "x y"), ShareMethods())
	want := []string{
		`field string path:"name"`, `field int16 query:"page" default:"1"`, `field string query:"tags,set,required"`,
		`field text query:"at" absent:"0001-01-01T00:00:00Z"`, `field string header:"accept-language"`, `field string header:"Authorization,hash"`,
		`field bool query:"li\"ve"`, "ignore-query utm_*", "ignore-query x y", "share-methods",
	}
	if d := cmp.Diff(want, endpoint.Recipe(e)); d != "" {
		t.Error(d)
	}
	again, _ := remade(t, e, false)
	if endpoint.SpecificityOf(again) != endpoint.SpecificityOf(e) || !slices.Equal(endpoint.MethodsOf(again), endpoint.MethodsOf(e)) ||
		endpoint.Text(again) != endpoint.Text(e) || !slices.Equal(endpoint.BesideURL(again), endpoint.BesideURL(e)) ||
		!endpoint.Separates(again, credential.Header, "Authorization") || endpoint.Separates(again, credential.Header, "Cookie") {
		t.Errorf("it is another endpoint: %+v", again)
	}
	for _, u := range []string{
		"https://api.test/v1/a%2Fb.json?fixed=a&tags=b&tags=a&utm_source=1", "https://api.test/v1/a.json?fixed=a&tags=&page=2&at=2026-01-02T03:04:05Z&x+y=1&li%22ve=true",
		"https://api.test/v1/a.json?fixed=b&tags=a", "https://api.test/v1/a.json?fixed=a", "https://api.test/v1/a.json?fixed=a&tags=a&page=01",
		"https://api.test/v1/a.json?fixed=a&tags=a&page=40000", "https://api.test/v1/a.json?fixed=a&tags=a&other=1", "https://other.test/v1/a.json?fixed=a&tags=a",
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
			req, err := http.NewRequestWithContext(t.Context(), method, u, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Accept-Language", "de")
			req.Header.Set("Authorization", "Bearer x")
			sameKey(t, e, again, req)
		}
	}
}

// sameKey fails the test unless both endpoints take the same key from a request.
func sameKey[K comparable](t *testing.T, e Endpoint[K], again endpoint.Untyped, req *http.Request) driver.Key {
	t.Helper()
	typed, ok, err := e.Key(req)
	key, againOK, againErr := again.KeyValues(req)
	if ok != againOK || (err == nil) != (againErr == nil) {
		t.Fatalf("%s %s: %v, %v, and %v, %v as it is remembered", req.Method, req.URL, ok, err, againOK, againErr)
	}
	if !ok {
		return nil
	}
	kt, err := keytype.Of[K]()
	if err != nil {
		t.Fatal(err)
	}
	want, err := kt.AppendValues(nil, reflect.ValueOf(typed))
	if err != nil || !slices.Equal(want, key) {
		t.Errorf("%s %s: the key is %v, %v, and %v as it is remembered", req.Method, req.URL, want, err, key)
	}
	return key
}

func TestARecipeWithABody(t *testing.T) {
	e := Pattern[bodyKey]("POST|QUERY /search", IgnoreMembers("trace", "a.*"))
	again, _ := remade(t, e, false)
	for _, body := range []string{`{"a.b":{"sector":"x"},"trace":1,"sizes":[1.50,2]}`, `{"a.b":{"sector":"x"},"other":1}`, `{}`, `[]`, ``} {
		req, err := http.NewRequestWithContext(t.Context(), "QUERY", "https://api.test/search", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		key := sameKey(t, e, again, req)
		if key == nil {
			continue
		}
		typed, _, _ := e.Key(req)
		want, err := e.Request(t.Context(), &url.URL{Scheme: "https", Host: "api.test"}, typed)
		if err != nil {
			t.Fatal(err)
		}
		got, err := again.RequestFor(t.Context(), &url.URL{Scheme: "https", Host: "api.test"}, key)
		if err != nil || got.Method != want.Method || got.URL.String() != want.URL.String() || got.ContentLength != want.ContentLength {
			t.Errorf("the request is %v, %v, want %v", got, err, want)
		}
	}
}

func TestARecipeOfACatchAll(t *testing.T) {
	for name, opts := range map[string]*AnyOptions{
		"plain": nil, "headers": {Headers: []string{"X-*", "Accept"}}, "no headers": {Headers: []string{}, IgnoreHeaders: []string{"Authorization"}},
		"sorted":  {SortQuery: true, IgnoreQuery: []string{"utm_*"}, IgnoreBody: []string{"now", "/a/b"}, Secret: []string{"pin"}, MaxBody: 20},
		"no body": {IgnoreBody: []string{"*"}},
	} {
		for _, byIdentity := range []bool{false, true} {
			e := Any(opts).(*anyEndpoint)
			compared := Endpoint[AnyKey](e)
			if byIdentity {
				compared = endpoint.ByIdentity(compared)
			}
			compared = endpoint.ByVary(compared)
			lines := append(endpoint.Recipe(e), endpoint.ByVaryLine)
			kt, err := keytype.Of[AnyKey]()
			if err != nil {
				t.Fatal(err)
			}
			again, err := endpoint.Remembered(endpoint.Text(e), lines, kt.Columns(), byIdentity)
			if err != nil {
				t.Fatalf("%s: %q: %v", name, lines, err)
			}
			key := []byte("0123456789abcdef")
			compared = endpoint.WithDigestKey(compared, key).(Endpoint[AnyKey])
			again = endpoint.WithDigestKey(again, key).(endpoint.Untyped)
			for _, body := range []string{"", `{"now":1,"a":{"b":2},"c":3}`, "a body that is longer than the limit of one"} {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://api.test/x?b=1&a=2&utm_source=x&pin=1&token=2", strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				for _, header := range []string{"Accept", "X-Custom", "Authorization", "Accept-Encoding", "User-Agent"} {
					req.Header.Set(header, "value")
				}
				req.Header.Set("Content-Type", "application/json")
				sameKey(t, compared, again, req)
			}
		}
	}
}

func TestADigestKeyOfItsOwnIsNotRemembered(t *testing.T) {
	again, _ := remade(t, Any(&AnyOptions{DigestKey: []byte("0123456789abcdef")}), false)
	again = endpoint.WithDigestKey(again, []byte("fedcba9876543210")).(endpoint.Untyped)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.test/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, err := again.KeyValues(req); !ok || err != nil {
		t.Errorf("a key without a digest: %v, %v", ok, err)
	}
	req.Header.Set("Authorization", "x")
	if _, ok, err := again.KeyValues(req); ok || err == nil {
		t.Error("a digest is made with another key")
	}
}

func TestRecipesThatAreNone(t *testing.T) {
	id := []driver.Column{{Name: "id", Kind: driver.String}}
	two := append(slices.Clone(id), driver.Column{Name: "market", Kind: driver.String})
	for name, r := range map[string]struct {
		text  string
		lines []string
		key   []driver.Column
	}{
		"of an endpoint that does not tell": {"functions", endpoint.Recipe(Func(func(*http.Request) (string, bool, error) { return "", true, nil }, nil)), id},
		"without lines":                     {"functions", nil, id},
		"with a column that is no wildcard": {"/{id}", nil, two},
		"of a newer version":                {"/{id}", []string{`field string path:"id"`, "shiny"}, id},
		"with a type of a newer version":    {"/{id}", []string{`field decimal path:"id"`}, id},
		"with too few fields":               {"/{id}", []string{`field string path:"id"`}, two},
		"of another pattern":                {"/{name}", []string{`field string path:"id"`}, id},
		"of no pattern":                     {"whatever", []string{`field string path:"id"`}, id},
		"with a tag that is none":           {"/{id}", []string{`field string nothing`}, id},
		"of a catch-all with other columns": {"any request", []string{}, id},
		"with a limit that is none":         {"any request", []string{"max-body x"}, []driver.Column{{Name: "method", Kind: driver.String}, {Name: "url", Kind: driver.String}, {Name: "request_headers", Kind: driver.String}, {Name: "request_body", Kind: driver.String}}},
	} {
		if e, err := endpoint.Remembered(r.text, r.lines, r.key, false); err == nil {
			t.Errorf("%s: it is %v", name, e)
		}
	}
	e, err := endpoint.Remembered("/{id}", nil, []driver.Column{{Name: "key", Kind: driver.Int}}, false)
	if err != nil {
		t.Fatal(err)
	}
	if req, err := e.RequestFor(context.Background(), &url.URL{Scheme: "http", Host: "a"}, driver.Key{int64(5)}); err != nil || req.URL.String() != "http://a/5" {
		t.Errorf("%v, %v", req, err)
	}
	if _, err := e.RequestFor(context.Background(), nil, driver.Key{"5"}); err == nil {
		t.Error("there is a request for a key of another kind")
	}
}

func TestARecipeOfAKeyWithoutFields(t *testing.T) {
	e := Pattern[struct{}]("GET /v1/meta")
	again, _ := remade(t, e, false)
	base := &url.URL{Scheme: "https", Host: "api.test"}
	want, err := e.Request(t.Context(), base, struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	key := sameKey(t, e, again, want)
	got, err := again.RequestFor(t.Context(), base, key)
	if len(key) != 1 || err != nil || got.URL.String() != want.URL.String() {
		t.Errorf("the key is %v, its request %v, %v, want %v", key, got, err, want)
	}
}

func TestARecipeOfWhatIsOptional(t *testing.T) {
	type key struct {
		Archived Optional[bool] `query:"archived"`
		Page     Optional[int]  `query:"page"`
	}
	e := Pattern[key]("GET /v1/projects")
	again, _ := remade(t, e, false)
	base := &url.URL{Scheme: "https", Host: "api.test"}
	for _, k := range []key{{}, {Archived: Some(false)}, {Archived: Some(true), Page: Some(0)}, {Page: Some(7)}} {
		want, err := e.Request(t.Context(), base, k)
		if err != nil {
			t.Fatal(err)
		}
		got, err := again.RequestFor(t.Context(), base, sameKey(t, e, again, want))
		if err != nil || got.URL.String() != want.URL.String() {
			t.Errorf("the request is %v, %v, want %v", got, err, want)
		}
	}
}

// A store tells how a list is one text, in a path as well.
func TestARecipeWithLists(t *testing.T) {
	type key struct {
		In    string `path:"in,set,comma"`
		Pipe  string `query:"pipe,list,pipe"`
		State string `query:"state,list,space" default:"open,new"`
		Plain string `query:"plain"`
	}
	e := Pattern[key]("/v/{in}")
	again, _ := remade(t, e, false)
	for text, want := range map[string]driver.Key{
		"/v/b,a%2Cc,b?pipe=a%7cb&plain=a,b": {`a\,c,b`, "a,b", "open,new", "a,b"},
		"/v/a?pipe=a|b&state=x%20y+z":       {"a", "a|b", "x,y z", ""},
		"/v/a?pipe=":                        {"a", `\e`, "open,new", ""},
		"/v/,":                              nil,
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.test"+text, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := sameKey(t, e, again, req); !slices.Equal(got, want) {
			t.Errorf("%s has the key %q, not %q", text, got, want)
		}
	}
}
