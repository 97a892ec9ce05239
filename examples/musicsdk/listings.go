package musicsdk

import (
	"context"
	"iter"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/pages"
	"github.com/endpointcache/endpointcache/payload"
)

// AlbumTracks returns the tracks of an album in their order, those that are licensed
// in the client's market. Pages are fetched as the loop gets to them, and their tracks
// are stored for [Client.Track], too.
//
// An error, which comes without a track, is the last element, unless it is about a
// track that cannot be decoded.
func (c *Client) AlbumTracks(ctx context.Context, album string, opts ...fetch.Option) iter.Seq2[Track, error] {
	first := AlbumTracksKey{Album: album, Market: c.market, Limit: maxPage}
	walk := pages.Walk(ctx, c.albumTracks, first, nextTracks, &pages.Options{Fetch: opts})
	items := pages.Items(ctx, walk, c.tracks, payload.Array("items"), func(page AlbumTracksKey, t Track) (TrackKey, bool) {
		return TrackKey{ID: t.ID, Market: page.Market}, true
	})
	return values(items, "tracks of album "+album)
}

// nextTracks counts the tracks, as the page tells how many there are.
var nextTracks = pages.Offset(
	func(k *AlbumTracksKey) *int { return &k.Offset },
	func(p TrackPage) pages.Extent { return pages.Extent{Items: len(p.Items), Total: p.Total} },
)

// ArtistAlbums returns the albums of an artist, the newest first, as
// [Client.AlbumTracks] returns tracks.
func (c *Client) ArtistAlbums(ctx context.Context, artist string, opts ...fetch.Option) iter.Seq2[Album, error] {
	first := ArtistAlbumsKey{Artist: artist, Market: c.market, Limit: maxPage, Page: 1}
	walk := pages.Walk(ctx, c.artistAlbums, first, pages.Link, &pages.Options{Fetch: opts})
	items := pages.Items(ctx, walk, c.albums, payload.Array(""), func(page ArtistAlbumsKey, a Album) (AlbumKey, bool) {
		return AlbumKey{ID: a.ID, Market: page.Market}, true
	})
	return values(items, "albums of artist "+artist)
}

// NewReleases returns all albums, the newest first, as [Client.AlbumTracks] returns
// tracks. What has come out lately is found after an hour.
func (c *Client) NewReleases(ctx context.Context, opts ...fetch.Option) iter.Seq2[Album, error] {
	first := NewReleasesKey{Market: c.market, Limit: maxPage}
	walk := pages.Walk(ctx, c.newReleases, first, nextReleases, &pages.Options{Fetch: opts})
	items := pages.Items(ctx, walk, c.albums, payload.Array("items"), func(page NewReleasesKey, a Album) (AlbumKey, bool) {
		return AlbumKey{ID: a.ID, Market: page.Market}, true
	})
	return values(items, "new releases")
}

// nextReleases copies the cursor.
var nextReleases = pages.Cursor(
	func(k *NewReleasesKey) *string { return &k.Cursor },
	func(p ReleasePage) string { return p.Cursors.After },
)

// values are those of items.
func values[K comparable, V any](items iter.Seq2[pages.Item[K, V], error], what string) iter.Seq2[V, error] {
	return func(yield func(V, error) bool) {
		for item, err := range items {
			if !yield(item.Value, describe(err, what)) {
				return
			}
		}
	}
}
