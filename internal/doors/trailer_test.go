package doors

import (
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What a door has saved has its trailer for requests, and as an entry.
func TestATrailerIsKeptWhicheverDoorSavedIt(t *testing.T) {
	for _, d := range doors {
		t.Run(d.name, func(t *testing.T) {
			h := newHouse(t, option{})
			h.api.answer = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Trailer", "X-Sum")
				io.WriteString(w, `{"id":"a","version":1}`)
				w.Header().Set("X-Sum", "22")
			}
			want(t, d.name, d.ask(t.Context(), h, "a"), version(1))
			trailer := http.Header{"X-Sum": {"22"}}
			resp, err := h.http.Get(h.api.URL + "/tracks/a")
			check(t, err)
			defer resp.Body.Close()
			if values, ok := resp.Trailer["X-Sum"]; !ok || values != nil || resp.Header.Get("X-From-Cache") == "" {
				t.Errorf("before the end: %v", resp.Trailer)
			}
			_, err = io.Copy(io.Discard, resp.Body)
			if check(t, err); !cmp.Equal(resp.Trailer, trailer) {
				t.Error(cmp.Diff(trailer, resp.Trailer))
			}
			entry, ok, err := h.fetcher.Repository().GetEntry(t.Context(), "a")
			if check(t, err); !ok {
				t.Fatal("there is no entry")
			}
			head, err := entry.Head()
			if check(t, err); !cmp.Equal(head.Trailer, trailer) {
				t.Error(cmp.Diff(trailer, head.Trailer))
			}
			again, err := entry.Response(nil)
			check(t, err)
			defer again.Body.Close()
			_, err = io.ReadAll(again.Body)
			if check(t, err); !cmp.Equal(again.Trailer, trailer) {
				t.Error(cmp.Diff(trailer, again.Trailer))
			}
		})
	}
}
