package request_test

import (
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
