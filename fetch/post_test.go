package fetch_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/settings"
)

type searchKey struct {
	Sector string    `body:"filter.sector"`
	Since  time.Time `body:"since,required"`
	Tags   string    `query:"tags,set"`
}

// searches have a pattern alone, which is by POST.
var searches = settings.RepositorySettings[searchKey, string]{Name: "searches", Pattern: "POST /search"}

func TestAKeyInABodyIsFetchedAndFoundAgain(t *testing.T) {
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		io.WriteString(w, `"`+strings.ReplaceAll(string(body)+r.URL.RawQuery, `"`, "'")+`"`)
	})
	client := clientOf(t, fetch.Options{BaseURL: server.URL})
	repo := repositoryOf(t, searches)
	e, err := fetch.New(client, repo, nil)
	if err != nil {
		t.Fatal(err)
	}
	since := time.Date(2024, 2, 1, 0, 0, 0, 0, time.FixedZone("", 3600))
	const want = `{'filter':{'sector':'tech'},'since':'2024-02-01T00:00:00+01:00'}tags=a&tags=b`
	for range 2 {
		// The tags of the key are in no order.
		if got, err := e.Fetch(t.Context(), searchKey{"tech", since, "b,a"}); err != nil || got != want {
			t.Errorf("%q, %v", got, err)
		}
	}
	if n := server.total(); n != 1 {
		t.Errorf("the origin was asked %d times", n)
	}
	uncached, err := fetch.Uncached(client, searches, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := uncached.Fetch(t.Context(), searchKey{"tech", since, "a,b"}); err != nil || got != want {
		t.Errorf("without a repository: %q, %v", got, err)
	}
}
