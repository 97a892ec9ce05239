// Package prefetch fills a repository in bulk: of many keys, it fetches the missing ones,
// and saves them as it goes.
//
//	tracks, err := fetch.Create(ctx, c, client, settings, nil)
//	result, err := prefetch.Run(ctx, tracks, slices.Values(keys), nil)
//	fmt.Print(result.Report())
//
// Where the repository's settings have a request.Batch, missing keys share requests.
// [Each] is [Run] for more keys than are to be held in memory.
//
// Looking keys up, fetching and saving go on at the same time, on goroutines
// that have all ended when [Run] returns. A run that was interrupted has saved
// what it had fetched, so the next one with the same keys fetches the rest.
package prefetch
