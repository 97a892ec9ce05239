// Package prefetch fills a repository in bulk: it fetches those of many keys
// that are missing, and saves them as it goes.
//
//	result, err := prefetch.Run(ctx, tracks, slices.Values(keys), &prefetch.Options{
//		BaseURL: "https://api.example.com",
//		Rate:    10,
//	})
//
// Looking keys up, fetching and saving go on at the same time, on goroutines
// that have all ended when [Run] returns. A run that was interrupted has saved
// what it had fetched, so the next one with the same keys fetches the rest.
package prefetch
