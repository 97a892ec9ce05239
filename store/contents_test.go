package store_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/internal/testserver/places"
	"github.com/endpointcache/endpointcache/internal/tracktest"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/store"
	"github.com/endpointcache/endpointcache/transport"
)

type marketKey struct {
	ID     string `path:"id"`
	Market string `query:"market" default:"DE"`
}

// What a program tells of a store that knows no more than where it is, is what one tells that has
// the repositories.
func TestContentsOnEveryStore(t *testing.T) {
	kinds := make(map[string]places.New, len(places.Lasting)+1)
	for kind, place := range places.Lasting {
		kinds[kind] = place
	}
	kinds["memory"] = nil // which no other program sees
	for kind, place := range kinds {
		t.Run(kind, func(t *testing.T) {
			name, url := tracktest.NewName(), "memory:"
			if place != nil {
				url = place(t, name)
			}
			now := time.Now().UTC().Truncate(time.Second)
			open := func(readOnly bool) *cache.ResponseCache {
				s, err := store.Open(t.Context(), url, &store.Options{Name: name, ReadOnly: readOnly})
				check(t, err)
				c, err := cache.New(s, &cache.Options{Now: func() time.Time { return now }, KeepExpired: -1})
				check(t, err)
				t.Cleanup(func() { check(t, c.Close()) })
				return c
			}
			owner := open(false)
			_, err := cache.CreateRepository(t.Context(), owner, settings.RepositorySettings[marketKey, []byte]{
				Name: "tracks", Pattern: "GET /v1/tracks/{id}", Payload: payload.Bytes(), ExpireAbsent: time.Hour, Expire: 4 * time.Hour,
				Tags: func(k marketKey, _ []byte) []string { return []string{k.Market} },
			})
			check(t, err)
			_, err = cache.CreateRepository(t.Context(), owner, settings.CatchAll("rest", &request.AnyOptions{IgnoreQuery: []string{"utm_*"}}))
			check(t, err)
			answer := roundTripper(func(req *http.Request) (*http.Response, error) {
				status, body := http.StatusOK, `{"title":"body"}`
				if strings.HasSuffix(req.URL.Path, "/gone") {
					status, body = http.StatusNotFound, ""
				}
				return &http.Response{
					StatusCode: status, Header: http.Header{"Etag": {`"1"`}, "Content-Type": {"application/json"}}, Request: req,
					Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
				}, nil
			})
			client := &http.Client{Transport: transport.New(owner, &transport.Options{Base: answer})}
			for _, path := range []string{"/v1/tracks/a", "/v1/tracks/a?market=SE", "/v1/tracks/gone", "/v1/tracks/c?market=US", "/v2/other?a=1"} {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.test"+path, nil)
				check(t, err)
				resp, err := client.Do(req)
				check(t, err)
				_, err = io.Copy(io.Discard, resp.Body)
				check(t, err)
				check(t, resp.Body.Close())
				now = now.Add(time.Second)
			}
			check(t, owner.InvalidateTags(t.Context(), "US"))
			now = now.Add(2 * time.Hour)

			told := tellAll(t, owner)
			if got := told["tracks"]; !slices.Equal(got, []string{
				"tracks: 2 live, 2 expired, 1 absent, of 3 seconds",
				`tracks [{id a} {market DE}]: serve: It is fresh for another 2h. GET https://api.test/v1/tracks/a?market=DE`,
				`tracks [{id a} {market SE}]: serve: It is fresh for another 2h. GET https://api.test/v1/tracks/a?market=SE`,
				`tracks [{id c} {market US}]: revalidate: An invalidation of the tag "US" made it old 2h ago, and it has an ETag: the origin is asked whether it still holds. GET https://api.test/v1/tracks/c?market=US`,
				`tracks [{id gone} {market DE}]: revalidate: It expired 1h ago, and it has an ETag: the origin is asked whether it still holds. GET https://api.test/v1/tracks/gone?market=DE`,
			}) {
				t.Errorf("what is told is\n%s", strings.Join(got, "\n"))
			}
			if place == nil {
				return
			}
			if d := cmp.Diff(told, tellAll(t, open(false))); d != "" {
				t.Errorf("a program without the repositories tells something else:\n%s", d)
			}
			other := open(true)
			if d := cmp.Diff(told, tellAll(t, other)); d != "" {
				t.Errorf("one that may only read tells something else:\n%s", d)
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.test/v1/tracks/a?market=US", nil)
			check(t, err)
			l, err := other.Contents().Lookup(t.Context(), req)
			check(t, err)
			if l.Found || len(l.Near) != 2 || l.Near[0].Key[0].Value != "a" {
				t.Errorf("the lookup is %+v", l)
			}
		})
	}
}

// tellAll is what a cache tells of all that is stored, by repository.
func tellAll(t *testing.T, c *cache.ResponseCache) map[string][]string {
	t.Helper()
	told := make(map[string][]string)
	var totals []string
	summaries, err := c.Contents().Summaries(t.Context())
	check(t, err)
	var bytes int64
	for _, s := range summaries {
		totals = append(totals, fmt.Sprintf("%s: %d live, %d expired, %d absent, of %.0f seconds", s.Name, s.Live, s.Expired, s.Absent, s.Newest.Sub(s.Oldest).Seconds()))
		bytes += s.Bytes
	}
	size, err := c.Contents().Size(t.Context())
	check(t, err)
	if size.Bytes != bytes {
		t.Errorf("the size is %d bytes, the summaries have %d", size.Bytes, bytes)
	}
	for e, err := range c.Contents().Entries(t.Context(), cache.Query{}) {
		check(t, err)
		x, err := c.Contents().Explain(t.Context(), e)
		check(t, err)
		req, err := c.Contents().Request(t.Context(), e)
		check(t, err)
		told[e.Repository] = append(told[e.Repository], fmt.Sprintf("%s %v: %v: %s %s %s", e.Repository, e.Key, x.Verdict, x.Reasons[0], req.Method, req.URL))
		l, err := c.Contents().Lookup(t.Context(), req)
		check(t, err)
		if !l.Found || l.Table != e.Table || !slices.Equal(l.Key, e.Key) || l.Explanation.Verdict != x.Verdict {
			t.Errorf("the lookup of the request for %v is %+v", e.Key, l)
		}
	}
	for f, err := range c.Contents().Verify(t.Context(), cache.Query{}, nil) {
		check(t, err)
		t.Errorf("%v: %v", f.Key, f.Err)
	}
	for _, total := range totals {
		repository, _, _ := strings.Cut(total, ":")
		slices.Sort(told[repository])
		told[repository] = slices.Insert(told[repository], 0, total)
	}
	return told
}

// Damage is told of as often as it is looked for, and stays until something is read.
func TestVerifyOnEveryStore(t *testing.T) {
	for kind := range places.Lasting {
		t.Run(kind, func(t *testing.T) {
			d := openDamaged(t, kind, same)
			for _, part := range places.Parts {
				id := strings.ReplaceAll(string(part), "_", "-")
				d.ask(t, id)
				places.Damage(t, d.kind, d.url, d.name, id, part)
			}
			d.ask(t, "right")
			for range 2 {
				read, damaged := 0, 0
				for f, err := range d.cache.Contents().Verify(t.Context(), cache.Query{}, func(cache.Stored) { read++ }) {
					check(t, err)
					if !f.Damage || f.Err == nil || f.Payload != nil || errors.Is(f.Err, cache.ErrRuined) {
						t.Errorf("%v: %v", f.Key, f.Err)
					}
					damaged++
				}
				if read != len(places.Parts)+1 || damaged != len(places.Parts) {
					t.Errorf("of %d, %d are damaged", read, damaged)
				}
			}
			if n := d.cache.Stats().Damaged; n != 0 {
				t.Errorf("%d are counted", n)
			}
			before := d.requests
			d.ask(t, "right")
			d.ask(t, "payload")
			if d.requests != before+1 {
				t.Errorf("%d requests were sent", d.requests-before)
			}
		})
	}
}
