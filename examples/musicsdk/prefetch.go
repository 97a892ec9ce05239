package musicsdk

import (
	"context"
	"iter"

	"github.com/endpointcache/endpointcache/prefetch"
)

// PrefetchTracks stores the tracks with these ids that are not stored yet, with as few
// requests as can be, so that [Client.Track] and [Client.Tracks] have them. The result tells
// what became of each. It is for thousands of them: it can be interrupted and goes on the
// next time.
//
// opts may be nil. Without a store, the error is [ErrNoStore].
func (c *Client) PrefetchTracks(ctx context.Context, ids iter.Seq[string], opts *prefetch.Options) (*prefetch.Result[TrackKey], error) {
	if c.cache == nil {
		return nil, describe(ErrNoStore, "prefetch")
	}
	keys := func(yield func(TrackKey) bool) {
		for id := range ids {
			if !yield(c.trackKey(id)) {
				return
			}
		}
	}
	result, err := prefetch.Run(ctx, c.tracks, keys, opts)
	return result, describe(err, "prefetch")
}
