package prove_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/internal/gendocs/prove"
	"github.com/endpointcache/endpointcache/pages"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

type (
	thingKey struct {
		ID string `path:"id"`
		Q  string `query:"q,required"`
	}
	listKey struct {
		Page int `query:"page" default:"1"`
	}
	thing = json.RawMessage
)

var (
	things = settings.RepositorySettings[thingKey, thing]{Name: "things", Pattern: "GET /api/things/{id}"}
	list   = settings.RepositorySettings[listKey, thing]{Name: "list", Pattern: "GET /api/things"}
)

func run(t *testing.T, endpoints []*prove.Endpoint, some []prove.Typed) (*prove.Figures, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "document.json")
	data, err := json.Marshal(prove.Document{Base: "/api", Operations: []prove.Operation{
		{Path: "/things/{id}", Query: []string{"q"}, Required: []string{"q"}, Status: 200, ContentType: "application/json", Body: []byte(`{"a": 1}`)},
		{Path: "/things", Query: []string{"page"}, Status: 200, ContentType: "application/json", Body: []byte(`[1]`), Full: []byte(`[1]`), Last: []byte(`[]`)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := prove.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	return prove.Run(t.Context(), d, create, endpoints, some)
}

func create(ctx context.Context, c *cache.ResponseCache) error {
	if _, err := cache.CreateRepository(ctx, c, things); err != nil {
		return err
	}
	_, err := cache.CreateRepository(ctx, c, list)
	return err
}

func TestGoodDeclarations(t *testing.T) {
	figures, err := run(t, []*prove.Endpoint{
		prove.Of("/things/{id}", things), prove.Of("/things", list),
	}, []prove.Typed{prove.With("/things/{id}", things, nil), prove.With("/things", list, pages.Link[listKey, thing])})
	if err != nil {
		t.Fatal(err)
	}
	if figures.Endpoints != 2 || figures.Keys < 5 || figures.Requests < 2*figures.Keys || figures.Typed != 2 || figures.Listings != 1 {
		t.Errorf("so little was tried: %+v", figures)
	}
}

// Each of these declarations has a fault, which is found.
func TestFaultyDeclarations(t *testing.T) {
	type other struct {
		ID string `path:"id"`
		Q  string `query:"query,required"`
	}
	type short struct {
		ID string `path:"id"`
	}
	type deaf struct {
		ID string `path:"id"`
		Q  string `query:"q,required"`
	}
	last := func(*pages.Page[listKey, thing]) (k listKey, ok bool, err error) { return k, false, nil }
	back := func(p *pages.Page[listKey, thing]) (listKey, bool, error) { return p.Key, true, nil }
	none := func(*http.Request) (deaf, bool, error) { return deaf{}, false, nil }
	for name, c := range map[string]struct {
		endpoint *prove.Endpoint
		typed    []prove.Typed
		says     string
	}{
		"another parameter": {prove.Of("/things/{id}", settings.RepositorySettings[other, thing]{Name: "things", Pattern: "GET /api/things/{id}"}), nil, "no parameter query"},
		"another path":      {prove.Of("/things/{id}", settings.RepositorySettings[thingKey, thing]{Name: "things", Pattern: "GET /things/{id}"}), nil, "the path is not one of"},
		"a missing one":     {prove.Of("/things/{id}", settings.RepositorySettings[short, thing]{Name: "things", Pattern: "GET /api/things/{id}"}), nil, "it has no q"},
		"no pattern":        {prove.Of("/things/{id}", settings.RepositorySettings[thingKey, thing]{Name: "things", Pattern: "GET things"}), nil, "pattern"},
		"no operation":      {prove.Of("/nothings", things), nil, "the document has no GET"},
		"no requests":       {prove.Of("/things/{id}", settings.RepositorySettings[deaf, thing]{Name: "things", Endpoint: request.Func(none, nil)}), nil, "no request"},
		"another's table":   {prove.Of("/things", settings.RepositorySettings[listKey, thing]{Name: "things", Pattern: "GET /api/things"}), nil, "is not in its repository"},
		"a missing table":   {prove.Of("/things", settings.RepositorySettings[listKey, thing]{Name: "missing", Pattern: "GET /api/things"}), nil, "lacks the repository"},
		"no next page":      {prove.Of("/things", list), []prove.Typed{prove.With("/things", list, last)}, "1 pages, not 2"},
		"a page of itself":  {prove.Of("/things", list), []prove.Typed{prove.With("/things", list, back)}, "leads back"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := run(t, []*prove.Endpoint{c.endpoint}, c.typed)
			switch {
			case err == nil:
				t.Error("it was not found")
			case !strings.Contains(err.Error(), c.says):
				t.Errorf("the error does not say %q: %v", c.says, err)
			}
		})
	}
}
