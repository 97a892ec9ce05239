package request_test

import (
	"net/http"
	"testing"

	"github.com/endpointcache/endpointcache/request"
)

func BenchmarkKey(b *testing.B) {
	tracks := request.Pattern[track]("GET api.example.com/v1/tracks/{id}")
	type many struct {
		ID     string `path:"id"`
		Market string `query:"market"`
		Limit  int    `query:"limit" default:"20"`
		Fields string `query:"fields,set"`
		User   string `header:"Authorization,hash"`
	}
	full := request.Pattern[many]("GET api.example.com/v1/users/{id}/tracks", request.IgnoreQuery("utm_*"))
	span := request.Pattern[string]("GET /v1/{path...}/end")

	b.Run("Path", benchKey(tracks, "https://api.example.com/v1/tracks/6fWoFduMpBem73DMLCOh1Z", true))
	b.Run("PathAndQuery", benchKey(tracks, "https://api.example.com/v1/tracks/6fWoFduMpBem73DMLCOh1Z?market=DE", true))
	b.Run("Escaped", benchKey(tracks, "https://api.example.com/v1/tracks/a%2Fb?market=a%20b", true))
	b.Run("Span", benchKey(span, "https://api.example.com/v1/a/b/c/d/end", true))
	b.Run("AllSources", benchKey(full, "https://api.example.com/v1/users/me/tracks?fields=b&limit=50&fields=a&market=DE&utm_source=x", true))
	b.Run("OtherPath", benchKey(tracks, "https://api.example.com/v1/albums/6fWoFduMpBem73DMLCOh1Z", false))
	b.Run("OtherHost", benchKey(tracks, "https://www.example.com/v1/tracks/6fWoFduMpBem73DMLCOh1Z", false))
}

func benchKey[K comparable](e request.Endpoint[K], rawURL string, want bool) func(b *testing.B) {
	return func(b *testing.B) {
		req := get(b, rawURL, "Authorization", "Bearer token", "Accept", "application/json", "User-Agent", "bench")
		b.ReportAllocs()
		for b.Loop() {
			if _, ok, err := e.Key(req); ok != want || err != nil {
				b.Fatal(ok, err)
			}
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	e := request.Pattern[track]("GET /v1/tracks/{id}")
	b.Run("PathAndQuery", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := e.Request(b.Context(), api, track{"6fWoFduMpBem73DMLCOh1Z", "DE"}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkAnyKey(b *testing.B) {
	e := request.Any(&request.AnyOptions{IgnoreQuery: []string{"utm_*"}})
	for name, rawURL := range map[string]string{
		"Path":   "https://api.example.com/v1/tracks/6fWoFduMpBem73DMLCOh1Z",
		"Query":  "https://api.example.com/v1/tracks?ids=6fWoFduMpBem73DMLCOh1Z&limit=50&market=DE",
		"Sorted": "https://api.example.com/v1/tracks?market=DE&limit=50&utm_source=x&ids=6fWoFduMpBem73DMLCOh1Z",
		"Secret": "https://api.example.com/v1/tracks?api_key=6fWoFduMpBem73DMLCOh1Z",
	} {
		req := get(b, rawURL, "Accept", "application/json", "User-Agent", "bench")
		signed := get(b, rawURL, "Authorization", "Bearer token", "Accept", "application/json", "User-Agent", "bench")
		b.Run(name, benchAny(e, req))
		b.Run(name+"Authorized", benchAny(e, signed))
	}
	post := again(b, `{"query":"blue train","limit":50}`)
	post.Header.Set("Content-Type", "application/json")
	b.Run("Body", benchAny(e, post))
}

func benchAny(e request.Endpoint[request.AnyKey], req *http.Request) func(b *testing.B) {
	return func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, ok, err := e.Key(req); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	}
}
