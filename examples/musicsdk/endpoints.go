package musicsdk

import (
	"time"

	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

// The endpoints of the API, each with the table that keeps its responses. A field
// of a key says where it stands in the request, and is a column of the table. The
// catalogue is the same for all users, so they share what is stored.

// maxBatch and maxPage are the API's own limits.
const (
	maxBatch = 50
	maxPage  = 50
)

// TrackKey and AlbumKey have a market, as what is licensed in one is not in
// another. ArtistKey has none: artists are the same everywhere.
type (
	TrackKey struct {
		ID     string `path:"id"`
		Market string `query:"market"`
	}
	AlbumKey struct {
		ID     string `path:"id"`
		Market string `query:"market"`
	}
	ArtistKey struct {
		ID string `path:"id"`
	}
)

// Tracks change rarely. A batch answers {"tracks": [...]} in the order of the ids,
// with null for one that is unknown, which is remembered for a day.
var Tracks = settings.RepositorySettings[TrackKey, Track]{
	Name:         "tracks",
	Scope:        settings.Shared,
	Pattern:      "GET /v1/tracks/{id}",
	Batch:        request.BatchPattern[TrackKey]("GET /v1/tracks?ids={id}", maxBatch, payload.SplitArray("tracks"), nil),
	NameOf:       func(t Track) string { return t.Title },
	Expire:       14 * day,
	ExpireAbsent: day,
}

// Albums are as tracks are, but for batches, which leave unknown ids out: the album
// itself tells which one it is.
var Albums = settings.RepositorySettings[AlbumKey, Album]{
	Name:         "albums",
	Scope:        settings.Shared,
	Pattern:      "GET /v1/albums/{id}",
	Batch:        request.BatchPattern[AlbumKey]("GET /v1/albums?ids={id}", maxBatch, payload.SplitArrayBy("albums", "id"), nil),
	NameOf:       func(a Album) string { return a.Name },
	Expire:       14 * day,
	ExpireAbsent: day,
}

// Artists gain followers every day. A batch answers an object: {"artists": {id: …}}.
var Artists = settings.RepositorySettings[ArtistKey, Artist]{
	Name:         "artists",
	Scope:        settings.Shared,
	Pattern:      "GET /v1/artists/{id}",
	Batch:        request.BatchPattern[ArtistKey]("GET /v1/artists?ids={id}", maxBatch, payload.SplitObject("artists"), nil),
	NameOf:       func(a Artist) string { return a.Name },
	Expire:       day,
	ExpireAbsent: day,
}

// AlbumTracks has a page of an album's tracks for each key, by offset. The tracks
// in it are whole, so they are kept in the table of tracks, too.
var AlbumTracks = settings.RepositorySettings[AlbumTracksKey, TrackPage]{
	Name:    "album_tracks",
	Scope:   settings.Shared,
	Pattern: "GET /v1/albums/{id}/tracks",
	Expire:  14 * day,
}

// AlbumTracksKey is the key of a page.
type AlbumTracksKey struct {
	Album  string `path:"id" column:"album_id"`
	Market string `query:"market"`
	Limit  int    `query:"limit"`
	Offset int    `query:"offset"`
}

// ArtistAlbums has a page of an artist's albums for each key. It is a bare list; the
// Link header tells whether there is another page. Its albums are whole, too.
var ArtistAlbums = settings.RepositorySettings[ArtistAlbumsKey, []Album]{
	Name:    "artist_albums",
	Scope:   settings.Shared,
	Pattern: "GET /v1/artists/{id}/albums",
	Expire:  day,
}

// ArtistAlbumsKey is the key of a page.
type ArtistAlbumsKey struct {
	Artist string `path:"id" column:"artist_id"`
	Market string `query:"market"`
	Limit  int    `query:"limit"`
	Page   int    `query:"page" default:"1"`
}

// NewReleases has a page of all albums for each key, the newest first, by cursor:
// that of the first page is empty.
var NewReleases = settings.RepositorySettings[NewReleasesKey, ReleasePage]{
	Name:    "new_releases",
	Scope:   settings.Shared,
	Pattern: "GET /v1/new-releases",
	Expire:  time.Hour,
}

// NewReleasesKey is the key of a page.
type NewReleasesKey struct {
	Market string `query:"market"`
	Limit  int    `query:"limit"`
	Cursor string `query:"cursor"`
}

const day = 24 * time.Hour
