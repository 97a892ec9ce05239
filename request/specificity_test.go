package request_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/internal/endpoint"
	"github.com/endpointcache/endpointcache/request"
)

type ranked struct {
	name string
	spec endpoint.Specificity
}

func rank[K comparable](t *testing.T, pattern string, opts ...request.PatternOption) ranked {
	t.Helper()
	return ranked{pattern, endpoint.SpecificityOf(parse[K](t, pattern, opts...))}
}

func TestNarrowerPatternIsMoreSpecific(t *testing.T) {
	type (
		method struct {
			M string `method:""`
		}
		required struct {
			Q string `query:"q,required"`
		}
		requiredHeader struct {
			Q string `header:"q,required"`
		}
		optional struct {
			Q string `query:"q"`
		}
		xy struct {
			X string `path:"x"`
			Y string `path:"y"`
		}
	)
	pairs := [][2]ranked{
		{rank[optional](t, "/v1/tracks/top"), rank[string](t, "/v1/tracks/{id}")},
		{rank[string](t, "/v1/tracks/{id}"), rank[string](t, "/v1/{path...}")},
		{rank[string](t, "/v1/{path...}"), rank[string](t, "/{path...}")},
		{rank[string](t, "/v1/{id}.json"), rank[string](t, "/v1/{id}")},
		{rank[string](t, "/v1/a{id}.json"), rank[string](t, "/v1/{id}.json")},
		{rank[int](t, "/v1/{id}"), rank[string](t, "/v1/{id}")},
		{rank[string](t, "h./{path...}"), rank[string](t, "/v1/tracks/{id}")},
		{rank[string](t, "h:8080/{path...}"), rank[string](t, "h./{path...}")},
		{rank[string](t, "/{p...}/b"), rank[xy](t, "/{x}/{y...}")},
		{rank[xy](t, "/{x...}/{y}/c"), rank[string](t, "/{p...}/c")},
		{rank[xy](t, "/{x}/{y}"), rank[string](t, "/{p...}")},
		{rank[xy](t, "/{x}/{y...}"), rank[string](t, "/{p...}")},
		{rank[optional](t, "GET /a"), rank[method](t, "/a")},
		{rank[method](t, "GET|HEAD /a"), rank[method](t, "/a")},
		{rank[method](t, "GET /a"), rank[method](t, "GET|HEAD /a")},
		{rank[optional](t, "/a?x=1"), rank[optional](t, "/a")},
		{rank[optional](t, "/a?x=1&y=1"), rank[optional](t, "/a?x=1")},
		{rank[required](t, "/a"), rank[optional](t, "/a")},
		{rank[requiredHeader](t, "/a"), rank[optional](t, "/a")},
		{rank[optional](t, "/a"), rank[optional](t, "/a", request.IgnoreQuery("x"))},
		{rank[optional](t, "/a", request.IgnoreQuery("x")), rank[optional](t, "/a", request.IgnoreAnyQuery())},
	}
	var all []ranked
	for _, pair := range pairs {
		narrow, wide := pair[0], pair[1]
		all = append(all, narrow, wide)
		if narrow.spec.Compare(wide.spec) <= 0 || wide.spec.Compare(narrow.spec) >= 0 {
			t.Errorf("%s is not more specific than %s", narrow.name, wide.name)
		}
	}
	function := endpoint.SpecificityOf(request.Func(func(*http.Request) (string, bool, error) { return "", false, nil }, nil))
	for _, a := range all {
		if a.spec.Compare(function) <= 0 {
			t.Errorf("%s is not more specific than a Func", a.name)
		}
		if a.spec.Compare(a.spec) != 0 {
			t.Errorf("%s is not as specific as itself", a.name)
		}
	}
}

func TestPatternsThatAreAsSpecificKeepTheirOrder(t *testing.T) {
	list := []ranked{
		rank[string](t, "/v1/{path...}"),
		rank[string](t, "/a/{id}"),
		rank[string](t, "/{id}/b"),
		rank[string](t, "GET /v1/{id}"),
	}
	slices.SortStableFunc(list, func(a, b ranked) int { return b.spec.Compare(a.spec) })
	want := []string{"/a/{id}", "/{id}/b", "GET /v1/{id}", "/v1/{path...}"}
	for i := range want {
		if list[i].name != want[i] {
			t.Errorf("pattern %d is %s, want %s", i, list[i].name, want[i])
		}
	}
}

// Of all patterns of up to three segments, one that matches only some of the
// paths of another is the more specific.
func TestSpecificityFollowsWhatPatternsMatch(t *testing.T) {
	paths := upTo(4, "/a", "/b", "/ax")
	type matcher struct {
		ranked
		matches []bool // by path
	}
	var all []matcher
	for _, pattern := range upTo(3, "/a", "/{w}", "/{w...}", "/a{w}") {
		if strings.Count(pattern, "...") > 1 {
			continue
		}
		m := matcher{matches: make([]bool, len(paths))}
		m.name, m.spec = pattern, matchPaths(t, pattern, paths, m.matches)
		all = append(all, m)
	}
	for _, a := range all {
		for _, b := range all {
			within, same := true, true
			for i := range paths {
				within = within && (!a.matches[i] || b.matches[i])
				same = same && a.matches[i] == b.matches[i]
			}
			if within && !same && a.spec.Compare(b.spec) <= 0 {
				t.Errorf("%s is not more specific than %s", a.name, b.name)
			}
		}
	}
}

// upTo returns all sequences of one to n parts.
func upTo(n int, parts ...string) []string {
	var all []string
	last := []string{""}
	for range n {
		var next []string
		for _, before := range last {
			for _, part := range parts {
				next = append(next, before+part)
			}
		}
		all = append(all, next...)
		last = next
	}
	return all
}

// matchPaths notes which paths match a pattern whose wildcards have all one
// name, {w}.
func matchPaths(t *testing.T, pattern string, paths []string, matches []bool) endpoint.Specificity {
	t.Helper()
	type (
		none struct {
			Q string `query:"q"`
		}
		two struct {
			A string `path:"w"`
			B string `path:"x"`
		}
		three struct {
			A string `path:"w"`
			B string `path:"x"`
			C string `path:"y"`
		}
	)
	parts := strings.Split(pattern, "{w")
	switch len(parts) {
	case 1:
		return match(t, parse[none](t, pattern), paths, matches)
	case 2:
		return match(t, parse[string](t, pattern), paths, matches)
	case 3:
		return match(t, parse[two](t, parts[0]+"{w"+parts[1]+"{x"+parts[2]), paths, matches)
	default:
		return match(t, parse[three](t, parts[0]+"{w"+parts[1]+"{x"+parts[2]+"{y"+parts[3]), paths, matches)
	}
}

func match[K comparable](t *testing.T, e request.Endpoint[K], paths []string, matches []bool) endpoint.Specificity {
	t.Helper()
	for i, path := range paths {
		_, ok, err := e.Key(get(t, path))
		if err != nil {
			t.Fatal(err)
		}
		matches[i] = ok
	}
	return endpoint.SpecificityOf(e)
}
