package musicsdk

import (
	"context"
	"fmt"

	"github.com/endpointcache/endpointcache/fetch"
)

// Track returns the track with that id. opts are such as [fetch.Refresh].
func (c *Client) Track(ctx context.Context, id string, opts ...fetch.Option) (Track, error) {
	return one(ctx, c.tracks, c.trackKey(id), "track "+id, opts)
}

// Tracks returns what there is for each id, in their order. It asks for those that
// are not stored, with a request for each 50. That one of them fails is no error of the
// call.
func (c *Client) Tracks(ctx context.Context, ids []string, opts ...fetch.Option) ([]Result[Track], error) {
	return many(ctx, c.tracks, ids, c.trackKey, "track", opts)
}

// Album returns the album with that id.
func (c *Client) Album(ctx context.Context, id string, opts ...fetch.Option) (Album, error) {
	return one(ctx, c.albums, c.albumKey(id), "album "+id, opts)
}

// Albums is [Client.Tracks] for albums.
func (c *Client) Albums(ctx context.Context, ids []string, opts ...fetch.Option) ([]Result[Album], error) {
	return many(ctx, c.albums, ids, c.albumKey, "album", opts)
}

// Artist returns the artist with that id.
func (c *Client) Artist(ctx context.Context, id string, opts ...fetch.Option) (Artist, error) {
	return one(ctx, c.artists, ArtistKey{id}, "artist "+id, opts)
}

// Artists is [Client.Tracks] for artists.
func (c *Client) Artists(ctx context.Context, ids []string, opts ...fetch.Option) ([]Result[Artist], error) {
	return many(ctx, c.artists, ids, func(id string) ArtistKey { return ArtistKey{id} }, "artist", opts)
}

// Result is what there is for one of many ids.
type Result[V any] struct {
	ID     string
	Value  V
	Cached bool  // the value was stored, and no request made for it
	Err    error // why there is no value, such as [ErrNotFound]
}

func (c *Client) trackKey(id string) TrackKey { return TrackKey{ID: id, Market: c.market} }
func (c *Client) albumKey(id string) AlbumKey { return AlbumKey{ID: id, Market: c.market} }

func one[K comparable, V any](ctx context.Context, f *fetch.Fetcher[K, V], key K, what string, opts []fetch.Option) (V, error) {
	value, err := f.Fetch(ctx, key, opts...)
	return value, describe(err, what)
}

func many[K comparable, V any](ctx context.Context, f *fetch.Fetcher[K, V], ids []string, key func(string) K, what string, opts []fetch.Option) ([]Result[V], error) {
	keys := make([]K, len(ids))
	for i, id := range ids {
		keys[i] = key(id)
	}
	found, err := f.FetchMany(ctx, keys, opts...)
	results := make([]Result[V], len(found))
	for i, r := range found {
		results[i] = Result[V]{ID: ids[i], Value: r.Value}
		switch r.Status {
		case fetch.Cached, fetch.Stale:
			results[i].Cached = true
		case fetch.Fetched, fetch.Confirmed:
		default:
			results[i].Err = describe(r.Err, what+" "+ids[i])
		}
	}
	return results, describe(err, fmt.Sprintf("%d %ss", len(ids), what))
}
