// Package musicsdk is a client of a music API, small but whole: a model for packages
// of this kind, to be copied. The API is made up; package musicapi serves it.
//
//	client, err := musicsdk.New(ctx, "https://api.example.com", &musicsdk.Options{
//		Store: store, // a file, a database, memory; without one, nothing is kept
//		Token: musicsdk.ClientCredentials("https://api.example.com", id, secret, nil),
//	})
//	defer client.Close()
//
//	track, err := client.Track(ctx, id)
//	results, err := client.Tracks(ctx, ids)
//	for track, err := range client.AlbumTracks(ctx, album) { … }
//
// Its users see typed methods and errors to act on. What makes them is little more
// than the declarations in endpoints.go: from these, the library takes keys, tables,
// requests for one and for many, and the way back from the answers.
//
// The folder, by topic: endpoints.go has the declarations, types.go what the API
// answers, client.go the settings and what is put together of them, items.go and
// listings.go the methods, prefetch.go what fills the store ahead, errors.go and
// token.go what their names say. docs/sdk.md goes through it.
package musicsdk
