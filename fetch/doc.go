// Package fetch returns the values of an API: stored values if the policies allow it, and
// otherwise the origin's.
//
//	client, err := fetch.NewClient(&fetch.Options{BaseURL: "https://api.example.com"})
//	tracks, err := fetch.Create(ctx, c, client, trackSettings, nil)
//
//	track, err := tracks.Fetch(ctx, TrackKey{ID: "a"})
//	results, err := tracks.FetchMany(ctx, keys)
//	err = tracks.Fill(ctx, slices.Values(keys), nil, func(fetch.Filled[TrackKey]) {})
//
// A [Fetcher] asks the origin once for all callers that want the same key at the same time,
// including those of a transport over the same cache, and saves the response. Keys that the
// settings have a request.Batch for are asked for together.
//
// If the client sends credentials, the Scope of the settings has to say who may be given the
// responses: everybody, or only the identity that the context or the credentials name.
//
// A [Client] sends the requests of any number of fetchers, and retries those that fail
// temporarily. It checks what was really sent, so that no response is saved under the wrong
// key.
package fetch
