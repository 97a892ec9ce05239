package request_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"strings"

	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/request"
)

type TrackKey struct {
	ID     string `path:"id"`
	Market string `query:"market"`
}

func ExamplePattern() {
	tracks := request.Pattern[TrackKey]("GET /v1/tracks/{id}")
	base := &url.URL{Scheme: "https", Host: "api.example.com"}

	req, err := tracks.Request(context.Background(), base, TrackKey{ID: "AC/DC", Market: "DE"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(req.Method, req.URL)

	key, ok, err := tracks.Key(req)
	fmt.Printf("%+v %t %v\n", key, ok, err)
	// Output:
	// GET https://api.example.com/v1/tracks/AC%2FDC?market=DE
	// {ID:AC/DC Market:DE} true <nil>
}

func ExamplePattern_mistake() {
	tracks := request.Pattern[TrackKey]("GET /v1/tracks/{track}")
	fmt.Println(tracks.Validate())
	// Output:
	// request: pattern "GET /v1/tracks/{track}": field ID: the pattern has no wildcard {id}
}

// A search whose question is in the JSON body of a POST.
func ExamplePattern_body() {
	type SearchKey struct {
		Query  string `body:"q,required"`
		Sector string `body:"filter.sector"`
		Page   int    `body:"page" default:"1"`
	}
	search := request.Pattern[SearchKey]("POST /v1/search")
	base := &url.URL{Scheme: "https", Host: "api.example.com"}

	req, err := search.Request(context.Background(), base, SearchKey{Query: "blue train", Sector: "jazz", Page: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	body, err := request.Body(req, 0)
	fmt.Printf("%s %s %s %v\n", req.Method, req.URL, body, err)

	key, ok, err := search.Key(req)
	fmt.Printf("%+v %t %v\n", key, ok, err)
	// Output:
	// POST https://api.example.com/v1/search {"q":"blue train","filter":{"sector":"jazz"},"page":1} <nil>
	// {Query:blue train Sector:jazz Page:1} true <nil>
}

// Where the body is too rich for a key, its hash tells searches apart.
func ExampleBodyHash() {
	type SearchKey struct{ Body string }

	search := request.Func(func(req *http.Request) (key SearchKey, ok bool, err error) {
		if req.Method != http.MethodPost || req.URL.Path != "/v1/search" || req.URL.RawQuery != "" {
			return key, false, nil
		}
		key.Body, err = request.BodyHash(req)
		return key, err == nil, err
	}, nil, http.MethodPost)

	for _, body := range []string{`{"q":"a"}`, `{"q":"b"}`} {
		req, err := http.NewRequest(http.MethodPost, "https://api.example.com/v1/search", strings.NewReader(body))
		if err != nil {
			fmt.Println(err)
			return
		}
		key, ok, err := search.Key(req)
		fmt.Println(key.Body[:8], ok, err)
	}
	// Output:
	// 29a9829b true <nil>
	// d235bf2e true <nil>
}

func ExampleAny() {
	rest := request.Any(&request.AnyOptions{IgnoreQuery: []string{"utm_*"}})

	req, err := http.NewRequest(http.MethodGet, "https://API.example.com:443/v1/tracks?market=DE&ids=b&ids=a&utm_source=x", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	req.Header.Set("Accept", "application/json")
	key, ok, err := rest.Key(req)
	fmt.Println(key.Method, key.URL, ok, err)
	fmt.Println(key.Headers)
	// Output:
	// GET https://api.example.com/v1/tracks?market=DE&ids=b&ids=a true <nil>
	// Accept: application/json
}

func ExampleJoinList() {
	text := request.JoinList("jazz", "rock, pop")
	values, err := request.SplitList(text)
	fmt.Printf("%s %q %v\n", text, values, err)
	// Output:
	// jazz,rock\, pop ["jazz" "rock, pop"] <nil>
}

func ExampleBatchPattern() {
	batch := request.BatchPattern[TrackKey]("GET api.example.com/v1/tracks?ids={id}", 50, payload.SplitArray("tracks"), nil)

	keys := []TrackKey{{ID: "6fW", Market: "DE"}, {ID: "0k1", Market: "DE"}}
	req, err := batch.Request(context.Background(), nil, keys)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(req.Method, req.URL)

	bodies, err := batch.Split([]byte(`{"tracks": [{"title": "Blue"}, null]}`), keys)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s, absent: %t\n", bodies[0], bodies[1] == nil)
	// Output:
	// GET https://api.example.com/v1/tracks?ids=6fW,0k1&market=DE
	// {"title": "Blue"}, absent: true
}

// A batch by POST, whose answer is an object with a member for each id.
func ExampleBatchFunc() {
	batch := request.BatchFunc(request.BatchFuncs[string]{
		MaxKeys: 100,
		Build: func(ctx context.Context, base *url.URL, ids []string) (*http.Request, error) {
			body, err := json.Marshal(map[string]any{"ids": ids})
			if err != nil {
				return nil, err
			}
			location := base.JoinPath("v1/tracks:batchGet").String()
			return http.NewRequestWithContext(ctx, http.MethodPost, location, bytes.NewReader(body))
		},
		Take: payload.SplitObject("tracks"),
	})
	base := &url.URL{Scheme: "https", Host: "api.example.com"}
	req, err := batch.Request(context.Background(), base, []string{"6fW", "0k1"})
	if err != nil {
		log.Fatal(err)
	}
	body, err := request.Body(req, 0)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s %s %s\n", req.Method, req.URL, body)
	// Output: POST https://api.example.com/v1/tracks:batchGet {"ids":["6fW","0k1"]}
}
