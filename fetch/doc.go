// Package fetch asks an API for what a repository lacks.
//
//	client, err := fetch.NewClient(&fetch.Options{BaseURL: "https://api.example.com"})
//	tracks, err := fetch.New(client, repo, nil)
//
//	track, err := tracks.Fetch(ctx, TrackKey{ID: "a"})
//	results, err := tracks.FetchMany(ctx, keys)
//
// An [Endpoint] answers from its repository where that has a live entry. Otherwise
// it asks the origin, once for all who want the same key at the same time, saves
// the answer and returns it. Keys that the settings have a request.Batch for are
// asked for together.
//
// A [Client] sends the requests of any number of endpoints, repeats those that
// fail for a while, and reads back what was sent, so that no answer is kept under
// a key that it is not for. A [Source] is an endpoint's way to the origin alone,
// without a store.
package fetch
