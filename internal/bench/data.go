package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	json "github.com/go-json-experiment/json/v1"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// Key is the key of a row: four columns.
type Key struct {
	ID     string `path:"id"`
	Market string `query:"market"`
	Disc   int    `query:"disc"`
	Number int    `query:"number"`
}

// Track is what a payload holds.
type Track struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	URI         string            `json:"uri"`
	Explicit    bool              `json:"explicit"`
	Popularity  int               `json:"popularity"`
	DurationMS  int               `json:"duration_ms"`
	DiscNumber  int               `json:"disc_number"`
	TrackNumber int               `json:"track_number"`
	Markets     []string          `json:"available_markets"`
	ExternalIDs map[string]string `json:"external_ids"`
	Artists     []Artist          `json:"artists"`
	Album       Album             `json:"album"`
	Features    Features          `json:"audio_features"`
	Description string            `json:"description"`
}

// Artist is one of a track's.
type Artist struct {
	ID     string   `json:"id"`
	Name   string   `json:"name"`
	URI    string   `json:"uri"`
	Genres []string `json:"genres"`
}

// Album is a track's.
type Album struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	ReleaseDate string   `json:"release_date"`
	TotalTracks int      `json:"total_tracks"`
	Images      []Image  `json:"images"`
	Artists     []Artist `json:"artists"`
}

// Image is one of an album's.
type Image struct {
	URL    string `json:"url"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
}

// Features are numbers about a track.
type Features struct {
	Danceability float64 `json:"danceability"`
	Energy       float64 `json:"energy"`
	Key          int     `json:"key"`
	Loudness     float64 `json:"loudness"`
	Tempo        float64 `json:"tempo"`
	Valence      float64 `json:"valence"`
}

// row is a row of the table. Its status is 200.
type row struct {
	number  int64 // SQLite's
	key     Key
	name    string
	headers string
	payload []byte
	expired bool
}

const payloadSize = 2048

// jsonHeaders is what the library stores for the one header Content-Type.
const jsonHeaders = `{"Content-Type":["application/json"]}`

// newRow makes the i-th row of a table: always the same one. Another version has
// another payload.
func newRow(i, version int) row {
	r := rand.New(rand.NewPCG(uint64(i), uint64(version)))
	t := newTrack(r)
	// The key is the same in all versions.
	r = rand.New(rand.NewPCG(uint64(i), 1<<32))
	key := Key{ID: id(r), Market: markets[r.IntN(len(markets))], Disc: 1 + r.IntN(2), Number: 1 + r.IntN(20)}
	t.ID, t.DiscNumber, t.TrackNumber = key.ID, key.Disc, key.Number
	short := len(encode(t))
	t.Description = words(r, max(0, payloadSize-short))
	return row{number: int64(i) + 1, key: key, name: t.Name, headers: jsonHeaders, payload: encode(t)}
}

func newTrack(r *rand.Rand) Track {
	artist := func() Artist {
		a := Artist{ID: id(r), Name: words(r, 14), Genres: []string{words(r, 8), words(r, 10)}}
		a.URI = "spotify:artist:" + a.ID
		return a
	}
	album := Album{
		ID: id(r), Name: words(r, 20), TotalTracks: 1 + r.IntN(20), Artists: []Artist{artist()},
		ReleaseDate: fmt.Sprintf("%d-%02d-%02d", 1960+r.IntN(65), 1+r.IntN(12), 1+r.IntN(28)),
	}
	for _, size := range []int{640, 300, 64} {
		album.Images = append(album.Images, Image{URL: "https://i.scdn.co/image/" + id(r) + id(r), Width: size, Height: size})
	}
	number := func() float64 { return float64(r.IntN(1000)) / 1000 }
	return Track{
		ID: id(r), Name: words(r, 24), URI: "spotify:track:" + id(r), Explicit: r.IntN(4) == 0,
		Popularity: r.IntN(100), DurationMS: 100_000 + r.IntN(200_000), Markets: markets,
		ExternalIDs: map[string]string{"isrc": id(r)[:12]},
		Artists:     []Artist{artist(), artist()}, Album: album,
		Features: Features{number(), number(), r.IntN(12), -60 * number(), 200 * number(), number()},
	}
}

var markets = strings.Fields("AT AU BE BR CA CH DE DK ES FI FR GB IE IT JP MX NL NO NZ PL PT SE US ZA")

func id(r *rand.Rand) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	b := make([]byte, 22)
	for i := range b {
		b[i] = digits[r.IntN(len(digits))]
	}
	return string(b)
}

// words is text of a length.
func words(r *rand.Rand, length int) string {
	b := make([]byte, length)
	for i := range b {
		b[i] = byte('a' + r.IntN(26))
		if r.IntN(6) == 0 {
			b[i] = ' '
		}
	}
	return string(b)
}

func encode(t Track) []byte {
	b, err := json.Marshal(t)
	if err != nil {
		panic(err) // it holds nothing that could fail
	}
	return b
}

// dataset is the table that lines begin with, in a file of a temporary folder.
type dataset struct {
	folder  string
	keys    []Key // of the live rows, in random order
	places  []int // of the keys in the table
	rows    int
	latency time.Duration // of the server of the prefetch
	server  *server       // nil until a line needs it
}

func (d *dataset) path() string { return filepath.Join(d.folder, "table.db") }

func newDataset(ctx context.Context, rows int, latency time.Duration) (*dataset, error) {
	folder, err := os.MkdirTemp("", "endpointcache-bench-")
	if err != nil {
		return nil, err
	}
	d := &dataset{folder: folder, rows: rows, latency: latency}
	if err := d.fill(ctx); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// fill lets the library make the table and writes the rows by hand.
func (d *dataset) fill(ctx context.Context) (err error) {
	if err := makeTable(ctx, d.path()); err != nil {
		return err
	}
	w, err := openWriter(d.path())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	err = w.transaction(func() error {
		for i := range d.rows {
			r := d.row(i)
			if err := w.restore(&r); err != nil {
				return err
			}
			if !r.expired {
				d.keys, d.places = append(d.keys, r.key), append(d.places, i)
			}
		}
		return nil
	})
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(d.keys), func(i, j int) {
		d.keys[i], d.keys[j] = d.keys[j], d.keys[i]
		d.places[i], d.places[j] = d.places[j], d.places[i]
	})
	return errors.Join(err, w.checkpoint())
}

// makeTable lets the library make the table.
func makeTable(ctx context.Context, path string) error {
	store, err := sqlite.Open(ctx, path, nil)
	if err != nil {
		return err
	}
	_, err = newRepository(ctx, store, payload.Bytes())
	return errors.Join(err, store.Close())
}

// row is the i-th row of the table.
func (d *dataset) row(i int) row {
	r := newRow(i, 0)
	r.expired = slices.Contains(d.expired(), i)
	return r
}

// expired are the places of the rows that have expired, all over the table.
func (d *dataset) expired() []int {
	places := make([]int, 10)
	for i := range places {
		places[i] = (2*i + 1) * d.rows / 20
	}
	return places
}

// rowsAt are the rows at places of the table.
func (d *dataset) rowsAt(places []int) []row {
	rows := make([]row, len(places))
	for i, place := range places {
		rows[i] = d.row(place)
	}
	return rows
}

// some are n keys of live rows, others in each round.
func (d *dataset) some(n, round int) []Key {
	n = min(n, len(d.keys))
	from := round * n % (len(d.keys) - n + 1)
	return d.keys[from : from+n]
}

func (d *dataset) close() error {
	var err error
	if d.server != nil {
		err = d.server.close()
	}
	return errors.Join(err, os.RemoveAll(d.folder))
}

// newRepository is the library's on the dataset's table.
func newRepository[V any](ctx context.Context, store driver.Store, handler payload.Handler[V]) (*repository.ResponseRepository[Key, V], error) {
	return repository.New(ctx, store, trackSettings(handler), nil)
}

func trackSettings[V any](handler payload.Handler[V]) settings.RepositorySettings[Key, V] {
	return settings.RepositorySettings[Key, V]{
		Version:  1, // lines read one table as values of several types
		Name:     "tracks",
		Endpoint: request.Pattern[Key]("GET " + trackPath + "{id}"),
		Payload:  handler,
		BaseURL:  settings.AnyBaseURL, // one file is for the servers of several lines
	}
}

// expiry is when what is saved now expires, by the library's default.
func expiry(now time.Time) time.Time { return now.Add(settings.DefaultExpire) }
