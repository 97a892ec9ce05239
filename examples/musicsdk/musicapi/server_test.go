package musicapi_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/endpointcache/endpointcache/examples/musicsdk/musicapi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// api is a server and a client of it.
type api struct {
	t      *testing.T
	server *musicapi.Server
	http   *httptest.Server
	token  string
}

func start(t *testing.T, opts *musicapi.Options) *api {
	t.Helper()
	server, err := musicapi.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	a := &api{t: t, server: server, http: httptest.NewServer(server)}
	t.Cleanup(a.http.Close)
	return a
}

// get returns the status of the answer, its headers and its body.
func (a *api) get(path string, headers ...string) (int, http.Header, string) {
	a.t.Helper()
	req, err := http.NewRequest("GET", a.http.URL+path, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := a.http.Client().Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(body)
}

// read decodes an answer of status 200.
func read[V any](a *api, path string) V {
	a.t.Helper()
	var v V
	status, _, body := a.get(path)
	if status != http.StatusOK {
		a.t.Fatalf("%s: status %d: %s", path, status, body)
	}
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		a.t.Fatalf("%s: %v: %s", path, err, body)
	}
	return v
}

func (a *api) wantStatus(want int, path string) {
	a.t.Helper()
	if status, _, body := a.get(path); status != want {
		a.t.Errorf("%s: status %d, want %d: %s", path, status, want, body)
	}
}

var (
	unknown    = musicapi.TrackID(1_000_000)
	unlicensed = 7 // not in AR, as musicapi counts
)

func TestItems(t *testing.T) {
	a := start(t, nil)
	if got, want := read[musicapi.Track](a, "/v1/tracks/"+musicapi.TrackID(42)), a.server.Track(42); !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
	if got, want := read[musicapi.Album](a, "/v1/albums/"+musicapi.AlbumID(999)+"?market=DE"), a.server.Album(999); !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
	if got, want := read[musicapi.Artist](a, "/v1/artists/"+musicapi.ArtistID(199)), a.server.Artist(199); !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
	other := start(t, nil)
	if !cmp.Equal(a.server.Track(9_999), other.server.Track(9_999)) {
		t.Error("two servers have different data")
	}
}

func TestRefusals(t *testing.T) {
	a := start(t, nil)
	for path, want := range map[string]int{
		"/v1/tracks/" + unknown:                                        404,
		"/v1/tracks/" + musicapi.TrackID(10_000):                       404,
		"/v1/tracks/malformed":                                         400,
		"/v1/tracks/" + musicapi.TrackID(unlicensed) + "?market=AR":    404,
		"/v1/tracks/" + musicapi.TrackID(unlicensed) + "?market=DE":    200,
		"/v1/tracks/" + musicapi.TrackID(0) + "?market=AQ":             403,
		"/v1/tracks/" + musicapi.TrackID(0) + "?market=de":             400,
		"/v1/tracks?ids=" + unknown + ",malformed":                     400,
		"/v1/tracks?ids=":                                              400,
		"/v1/albums?ids=" + ids(musicapi.AlbumID, 51):                  400,
		"/v1/albums?ids=" + ids(musicapi.AlbumID, 50):                  200,
		"/v1/albums/" + musicapi.AlbumID(0) + "/tracks?limit=51":       400,
		"/v1/albums/" + musicapi.AlbumID(0) + "/tracks?offset=-1":      400,
		"/v1/albums/" + unknown + "/tracks":                            404,
		"/v1/artists/" + musicapi.ArtistID(0) + "/albums?page=0":       400,
		"/v1/artists/" + musicapi.ArtistID(0) + "/albums?page=1000000": 200,
		"/v1/new-releases?cursor=x":                                    400,
		"/v1/nothing":                                                  404,
	} {
		a.wantStatus(want, path)
	}
	_, _, body := a.get("/v1/tracks/" + unknown)
	if want := `{"error":{"status":404,"code":"not_found","message":"no such id"}}`; strings.TrimSpace(body) != want {
		t.Errorf("a refusal is %s, want %s", body, want)
	}
}

func ids(id func(int) string, n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = id(i)
	}
	return strings.Join(all, ",")
}

func TestBatches(t *testing.T) {
	a := start(t, nil)
	track := func(n int) *musicapi.Track { v := a.server.Track(n); return &v }

	tracks := read[struct{ Tracks []*musicapi.Track }](a,
		"/v1/tracks?market=AR&ids="+strings.Join([]string{musicapi.TrackID(3), unknown, musicapi.TrackID(3), musicapi.TrackID(unlicensed)}, ","))
	if want := []*musicapi.Track{track(3), nil, track(3), nil}; !cmp.Equal(tracks.Tracks, want) {
		t.Error(cmp.Diff(want, tracks.Tracks))
	}
	albums := read[struct{ Albums []musicapi.Album }](a,
		"/v1/albums?ids="+strings.Join([]string{musicapi.AlbumID(3), unknown, musicapi.AlbumID(1), musicapi.AlbumID(3)}, ","))
	if want := []musicapi.Album{a.server.Album(3), a.server.Album(1)}; !cmp.Equal(albums.Albums, want) {
		t.Error(cmp.Diff(want, albums.Albums))
	}
	artists := read[struct{ Artists map[string]musicapi.Artist }](a,
		"/v1/artists?ids="+strings.Join([]string{musicapi.ArtistID(3), unknown}, ","))
	if want := map[string]musicapi.Artist{musicapi.ArtistID(3): a.server.Artist(3)}; !cmp.Equal(artists.Artists, want) {
		t.Error(cmp.Diff(want, artists.Artists))
	}
}

func TestOffsetPages(t *testing.T) {
	a := start(t, &musicapi.Options{Albums: 3, TracksPerAlbum: 25, Artists: 1})
	type page struct {
		Items                []*musicapi.Track
		Limit, Offset, Total int
		Next, Previous       string
	}
	path := "/v1/albums/" + musicapi.AlbumID(1) + "/tracks?market=AR"
	var numbers []int
	for path != "" {
		p := read[page](a, path)
		if p.Total != 25 || p.Limit != 20 {
			t.Errorf("%s: total %d, limit %d", path, p.Total, p.Limit)
		}
		for i, track := range p.Items {
			if track != nil && track.Number != p.Offset+i+1 {
				t.Errorf("track %d is at %d", track.Number, p.Offset+i)
			}
			numbers = append(numbers, p.Offset+i)
		}
		if next, ok := strings.CutPrefix(p.Next, a.http.URL); ok || p.Next == "" {
			path = next
		} else {
			t.Fatalf("the next URL is %q", p.Next)
		}
	}
	if len(numbers) != 25 {
		t.Errorf("there are %d items: %v", len(numbers), numbers)
	}
}

func TestNumberedPages(t *testing.T) {
	a := start(t, &musicapi.Options{Albums: 25, Artists: 1})
	path := "/v1/artists/" + musicapi.ArtistID(0) + "/albums"
	_, headers, _ := a.get(path + "?limit=10&page=2")
	base := a.http.URL + path + "?limit=10&page="
	want := fmt.Sprintf(`<%s1>; rel="first", <%s1>; rel="prev", <%s3>; rel="next", <%s3>; rel="last"`, base, base, base, base)
	if got := headers.Get("Link"); got != want {
		t.Errorf("Link is\n%s\nwant\n%s", got, want)
	}
	if last := read[[]musicapi.Album](a, path+"?limit=10&page=3"); len(last) != 5 {
		t.Errorf("the last page has %d albums", len(last))
	}
	_, headers, body := a.get(path + "?limit=10&page=4")
	if strings.Contains(headers.Get("Link"), "next") || body != "[]" {
		t.Errorf("behind the last page there is %s and Link %s", body, headers.Get("Link"))
	}
}

func TestCursorPages(t *testing.T) {
	a := start(t, &musicapi.Options{Albums: 120})
	type page struct {
		Items   []musicapi.Album
		Cursors struct{ After string }
	}
	for market, want := range map[string]int{"": 120, "AR": 120 - 2*3} { // two of the twelve tens
		var albums, pages int
		for cursor := ""; ; {
			p := read[page](a, "/v1/new-releases?limit=50&market="+market+"&cursor="+url.QueryEscape(cursor))
			albums += len(p.Items)
			pages++
			if cursor = p.Cursors.After; cursor == "" {
				break
			}
		}
		if albums != want || pages != 3 {
			t.Errorf("market %q: %d albums on %d pages, want %d on 3", market, albums, pages, want)
		}
	}
}

func TestConditionalRequests(t *testing.T) {
	a := start(t, nil)
	path := "/v1/tracks/" + musicapi.TrackID(1)
	_, headers, _ := a.get(path)
	if got := headers.Get("Cache-Control"); got != "private, max-age=3600" {
		t.Errorf("Cache-Control is %q", got)
	}
	etag := headers.Get("ETag")
	for header, want := range map[string]int{etag: 304, "W/" + etag: 304, `"x", ` + etag: 304, "*": 304, `"x"`: 200} {
		if status, _, _ := a.get(path, "If-None-Match", header); status != want {
			t.Errorf("If-None-Match %s: status %d, want %d", header, status, want)
		}
	}
}

// clock is a time that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// login takes a token.
func (a *api) login(id, secret string) (status int) {
	a.t.Helper()
	resp, err := a.http.Client().PostForm(a.http.URL+"/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret},
	})
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	var token struct {
		Text string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&token); err != nil {
		a.t.Fatal(err)
	}
	a.token = token.Text
	return resp.StatusCode
}

func TestTokens(t *testing.T) {
	now := newClock()
	a := start(t, &musicapi.Options{ClientID: "id", ClientSecret: "secret", TokenLifetime: time.Minute, Now: now.Now})
	path := "/v1/artists/" + musicapi.ArtistID(0)
	a.wantStatus(401, path)
	if status := a.login("id", "wrong"); status != 401 {
		t.Errorf("a wrong secret: status %d", status)
	}
	if status := a.login("id", "secret"); status != 200 {
		t.Fatalf("the right secret: status %d", status)
	}
	a.wantStatus(200, path)
	now.add(time.Minute - time.Nanosecond)
	a.wantStatus(200, path)
	now.add(time.Nanosecond)
	a.wantStatus(401, path)
	a.login("id", "secret")
	a.wantStatus(200, path)
	a.server.RevokeTokens()
	a.wantStatus(401, path)
	_, headers, _ := a.get(path)
	if got := headers.Get("WWW-Authenticate"); got != `Bearer error="invalid_token"` {
		t.Errorf("WWW-Authenticate is %q", got)
	}
}

func TestRate(t *testing.T) {
	now := newClock()
	a := start(t, &musicapi.Options{ClientID: "id", ClientSecret: "secret", Rate: 0.5, Burst: 2, Now: now.Now})
	a.login("id", "secret")
	path := "/v1/artists/" + musicapi.ArtistID(0)
	a.wantStatus(200, path)
	a.wantStatus(200, path)
	status, headers, _ := a.get(path)
	if status != 429 || headers.Get("Retry-After") != "2" {
		t.Errorf("beyond the burst: status %d, Retry-After %q", status, headers.Get("Retry-After"))
	}
	first := a.token
	a.login("id", "secret")
	a.wantStatus(200, path) // another token, another budget
	a.token = first
	now.add(2 * time.Second)
	a.wantStatus(200, path)
	a.wantStatus(429, path)
}

func TestDownNowAndThen(t *testing.T) {
	a := start(t, &musicapi.Options{FailEvery: 3})
	path := "/v1/artists/" + musicapi.ArtistID(0)
	for _, want := range []int{200, 200, 503, 200, 200, 503} {
		a.wantStatus(want, path)
	}
}

func TestDelay(t *testing.T) {
	const delay = 20 * time.Millisecond
	a := start(t, &musicapi.Options{Delay: delay})
	begin := time.Now()
	a.wantStatus(200, "/v1/new-releases")
	if took := time.Since(begin); took < delay {
		t.Errorf("an answer took %v", took)
	}
}

func TestStats(t *testing.T) {
	a := start(t, nil)
	a.get("/v1/tracks/" + musicapi.TrackID(0))
	a.get("/v1/tracks/" + unknown)
	a.get("/v1/tracks?ids=" + unknown)
	want := musicapi.Stats{
		Total:       3,
		Requests:    map[string]int{"GET /v1/tracks/{id}": 2, "GET /v1/tracks": 1},
		Statuses:    map[int]int{200: 2, 404: 1},
		MaxInFlight: 1,
	}
	if got := a.server.Stats(); !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
}

func TestOptions(t *testing.T) {
	for name, opts := range map[string]*musicapi.Options{
		"Albums":        {Albums: -1},
		"Rate":          {Rate: -1},
		"Delay":         {Delay: -1},
		"TokenLifetime": {TokenLifetime: -1},
		"FailEvery":     {FailEvery: -1},
	} {
		if _, err := musicapi.New(opts); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}
