// Package pages walks through the pages of a listing.
//
//	next := pages.Offset(
//		func(k *AlbumTracksKey) *int { return &k.Offset },
//		func(p AlbumTracks) pages.Extent { return pages.Extent{Items: len(p.Items), Total: p.Total} })
//
//	for page, err := range pages.Walk(ctx, albumTracks, AlbumTracksKey{ID: "a", Limit: 50}, next, nil) {
//		…
//	}
//
// Each page has a key and is fetched through its fetcher, so it is cached under that
// key, and a walk that was interrupted goes on from the cache. A [Next] tells the key
// of the page after one: [Offset], [Number] and [Cursor] count or copy it, [Link] and
// [URL] take it out of the URL that the server tells.
//
// [Into] saves the items of the pages in a repository of their own as they pass, and
// [Items] goes through them one by one.
package pages
