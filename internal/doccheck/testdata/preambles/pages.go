package preambles

import "github.com/endpointcache/endpointcache/pages"

type AlbumTracks struct {
	Items []Track
	Total int
}

var (
	albumTracks *fetch.Fetcher[AlbumTracksKey, AlbumTracks]
	walk        iter.Seq2[*pages.Page[AlbumTracksKey, AlbumTracks], error]
	keyOf       func(AlbumTracksKey, Track) (TrackKey, bool)
)
