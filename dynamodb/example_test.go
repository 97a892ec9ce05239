package dynamodb_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/dynamodb"
)

// The responses of a program stand in the table "music", and expired ones can be
// revalidated for a day.
func ExampleOpen() {
	ctx := context.Background()
	store, err := dynamodb.Open(ctx, "dynamodb:///music?region=eu-central-1", &dynamodb.Options{
		Grace:        24 * time.Hour,
		CompressFrom: 1024,
	})
	if err != nil {
		log.Fatal(err)
	}
	c, err := cache.New(store, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Println(store.Traits().Kind)
}
