package preambles

import (
	"fmt"

	"github.com/endpointcache/endpointcache"
	"github.com/endpointcache/endpointcache/observe"
	"github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/pages"
	"github.com/endpointcache/endpointcache/seal"
)

type AlbumKey struct {
	ID     string `path:"id"`
	Offset int    `query:"offset"`
}

type Album struct{ Items []Track }

var Playlists settings.RepositorySettings[string, Album]

var (
	refresh     func(ctx context.Context, old string) (origin.Token, error)
	seq         iter.Seq[TrackKey]
	each        func(fetch.Filled[TrackKey])
	albumTracks *fetch.Fetcher[AlbumKey, Album]
	first       AlbumKey
	next        pages.Next[AlbumKey, Album]
	playlists   *fetch.Fetcher[TrackKey, Album]
	user        struct{ ID string }
	secrets     *seal.Keys
	observer    *observe.Observer
)
