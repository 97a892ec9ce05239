package restyfetch_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/go-resty/resty/v2"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/fetch/restyfetch"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

// The client has the URL, the token and the retries.
func Example() {
	attempts := 0
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if attempts++; attempts == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, r.URL.Path, " with ", r.Header.Get("Authorization"))
	}))
	defer api.Close()

	own := resty.New().SetBaseURL(api.URL).SetAuthToken("secret").
		SetRetryCount(3).SetRetryWaitTime(time.Millisecond).
		AddRetryCondition(func(resp *resty.Response, err error) bool {
			return err != nil || resp.StatusCode() == http.StatusServiceUnavailable
		})
	defer own.GetClient().CloseIdleConnections()

	client, err := fetch.NewClient(restyfetch.Options(own))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	tracks, err := fetch.Uncached(client, settings.RepositorySettings[string, string]{
		Name:     "tracks",
		Endpoint: request.Pattern[string]("GET /v1/tracks/{id}"),
		Payload:  payload.String(),
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(tracks.Fetch(context.Background(), "a"))
	fmt.Println(attempts, "attempts")
	// Output:
	// /v1/tracks/a with Bearer secret <nil>
	// 2 attempts
}
