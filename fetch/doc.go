// Package fetch returns the values of an API: stored ones where the policies let them be
// used, and the origin's otherwise.
//
//	client, err := fetch.NewClient(&fetch.Options{BaseURL: "https://api.example.com"})
//	tracks, err := fetch.Create(ctx, c, client, trackSettings, nil)
//
//	track, err := tracks.Fetch(ctx, TrackKey{ID: "a"})
//	results, err := tracks.FetchMany(ctx, keys)
//	err = tracks.Fill(ctx, slices.Values(keys), nil, func(fetch.Filled[TrackKey]) {})
//
// A [Fetcher] asks the origin once for all callers that want the same key at the same
// time, also those of a transport in front of the same cache, and saves the answer. Keys
// that the settings have a request.Batch for are asked for together.
//
// A [Client] sends the requests of any number of fetchers, repeats those that fail for a
// while, and reads back what was sent, so that no answer is kept under a key that it is
// not for.
package fetch
