package musicsdk_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/endpointcache/endpointcache/examples/musicsdk"
	"github.com/endpointcache/endpointcache/examples/musicsdk/musicapi"
	"github.com/endpointcache/endpointcache/sqlite"
)

func Example() {
	api, err := musicapi.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(api)
	defer server.Close()
	url, id, album := server.URL, musicapi.TrackID(0), musicapi.AlbumID(0)

	ctx := context.Background()
	store, err := sqlite.OpenTemp(ctx, nil) // or sqlite.Open(ctx, "music.db", nil), or any other
	if err != nil {
		log.Fatal(err)
	}
	client, err := musicsdk.New(ctx, url, &musicsdk.Options{Store: store, Market: "DE"})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	track, err := client.Track(ctx, id)
	fmt.Println(track.Title, err)

	_, err = client.Track(ctx, musicapi.TrackID(1_000_000))
	fmt.Println("unknown:", errors.Is(err, musicsdk.ErrNotFound))

	for track, err := range client.AlbumTracks(ctx, album) {
		if err != nil {
			log.Fatal(err)
		}
		if track.Number < 3 {
			fmt.Println(track.Number, track.Title)
		}
	}
	// Output:
	// Harbour Quiet, no. 0 <nil>
	// unknown: true
	// 1 Harbour Quiet, no. 0
	// 2 Harbour Amber, no. 1
}
