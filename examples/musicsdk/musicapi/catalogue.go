package musicapi

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"time"
)

// Track is a track as the API answers it.
type Track struct {
	ID         string `json:"id"`
	Title      string `json:"title"`
	Number     int    `json:"number"` // on its album, from 1
	DurationMS int    `json:"duration_ms"`
	Album      Ref    `json:"album"`
	Artists    []Ref  `json:"artists"`
}

// Album is an album as the API answers it. Its tracks are a listing of their own.
type Album struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Released    string `json:"released"` // a date, as in 2026-01-31
	TotalTracks int    `json:"total_tracks"`
	Artists     []Ref  `json:"artists"`
}

// Artist is an artist as the API answers it.
type Artist struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Followers int      `json:"followers"`
	Genres    []string `json:"genres"`
}

// Ref refers to an album or artist.
type Ref struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// The words that names are made of.
var (
	adjectives = []string{"Quiet", "Amber", "Borrowed", "Distant", "Electric", "Folded", "Golden", "Hollow", "Idle", "Late", "Narrow", "Paper"}
	nouns      = []string{"Harbour", "Lantern", "Meadow", "Orchard", "Railway", "Signal", "Station", "Tide", "Window", "Winter", "Yard"}
	genres     = []string{"ambient", "chamber pop", "dub", "folk", "house", "jazz", "post-rock"}
)

// markets are those in which the API's tracks are licensed.
var markets = []string{"AR", "DE", "FR", "GB", "JP", "US"}

// catalogue is all that the API knows. It is made of numbers, from 0, so each
// server with as many albums has the same, and little is kept of it.
type catalogue struct {
	albums, tracksPerAlbum, artists int

	trackNumbers, albumNumbers, artistNumbers map[string]int // by id
}

func newCatalogue(o Options) *catalogue {
	c := &catalogue{albums: o.Albums, tracksPerAlbum: o.TracksPerAlbum, artists: o.Artists}
	c.trackNumbers = numbers(c.albums*c.tracksPerAlbum, TrackID)
	c.albumNumbers = numbers(c.albums, AlbumID)
	c.artistNumbers = numbers(c.artists, ArtistID)
	return c
}

func numbers(count int, id func(int) string) map[string]int {
	byID := make(map[string]int, count)
	for n := range count {
		byID[id(n)] = n
	}
	return byID
}

// TrackID is the id of the track with that number, from 0: those of the first
// album come first.
func TrackID(n int) string { return id("track", n) }

// AlbumID is the id of the album with that number, from 0: the newest comes first.
func AlbumID(n int) string { return id("album", n) }

// ArtistID is the id of the artist with that number, from 0.
func ArtistID(n int) string { return id("artist", n) }

// idBytes are those that an id encodes.
const idBytes = 9

// id says nothing of what it stands for, as ids do.
func id(kind string, n int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", kind, n))
	return base64.RawURLEncoding.EncodeToString(sum[:idBytes])
}

// isID reports whether text could be an id. One that could not is a mistake of the
// client, one that could may stand for nothing.
func isID(text string) bool {
	decoded, err := base64.RawURLEncoding.DecodeString(text)
	return err == nil && len(decoded) == idBytes
}

func (c *catalogue) track(n int) Track {
	album := n / c.tracksPerAlbum
	return Track{
		ID:         TrackID(n),
		Title:      fmt.Sprintf("%s %s, no. %d", pick(nouns, n/5), pick(adjectives, n), n),
		Number:     n%c.tracksPerAlbum + 1,
		DurationMS: 90_000 + n*7919%300_000,
		Album:      Ref{AlbumID(album), albumName(album)},
		Artists:    c.artistsOf(album),
	}
}

func (c *catalogue) album(n int) Album {
	newest := time.Date(2026, time.January, 31, 0, 0, 0, 0, time.UTC)
	return Album{
		ID:          AlbumID(n),
		Name:        albumName(n),
		Released:    newest.AddDate(0, 0, -n).Format(time.DateOnly),
		TotalTracks: c.tracksPerAlbum,
		Artists:     c.artistsOf(n),
	}
}

func (c *catalogue) artist(n int) Artist {
	return Artist{
		ID:        ArtistID(n),
		Name:      artistName(n),
		Followers: n * 7907 % 100_000,
		Genres:    []string{pick(genres, n), pick(genres, n+1+n%3)},
	}
}

// artistsOf is who has made the album with that number.
func (c *catalogue) artistsOf(album int) []Ref {
	n := album % c.artists
	return []Ref{{ArtistID(n), artistName(n)}}
}

// albumsOf are the numbers of the albums of an artist, the newest first.
func (c *catalogue) albumsOf(artist int) []int {
	var albums []int
	for n := artist; n < c.albums; n += c.artists {
		albums = append(albums, n)
	}
	return albums
}

func albumName(n int) string { return fmt.Sprintf("%s %s", pick(adjectives, n/7), pick(nouns, n)) }

func artistName(n int) string {
	return fmt.Sprintf("The %s %ss", pick(adjectives, n), pick(nouns, n/len(adjectives)))
}

func pick(words []string, n int) string { return words[n%len(words)] }

// licensed reports whether the track or album with that number may be heard in
// market, or anywhere where market is empty. Three of ten may not in one market.
func licensed(n int, market string) bool {
	return market == "" || n%10 < 7 || pick(markets, n/10) != market
}

// served reports whether the API is there at all for a market.
func served(market string) bool { return market == "" || slices.Contains(markets, market) }
