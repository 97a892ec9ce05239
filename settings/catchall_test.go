package settings_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/keytype"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

func TestCatchAll(t *testing.T) {
	s := settings.CatchAll("rest", &request.AnyOptions{IgnoreQuery: []string{"utm_*"}})
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest("GET", "https://api.example.com/v1/tracks?utm_source=x", nil)
	if err != nil {
		t.Fatal(err)
	}
	key, ok, err := s.Endpoint.Key(req)
	if want := (request.AnyKey{Method: "GET", URL: "https://api.example.com/v1/tracks"}); err != nil || !ok || key != want {
		t.Errorf("Key = %+v, %t, %v, want %+v", key, ok, err, want)
	}
	if err := settings.CatchAll("rest", &request.AnyOptions{MaxBody: -1}).Validate(); err == nil {
		t.Error("options that cannot work are no error")
	}
}

func TestColumnsOfCatchAll(t *testing.T) {
	kt, err := keytype.Of[request.AnyKey]()
	if err != nil {
		t.Fatal(err)
	}
	want := []driver.Column{
		{Name: "method", Kind: driver.String},
		{Name: "url", Kind: driver.String},
		{Name: "request_headers", Kind: driver.String},
		{Name: "request_body", Kind: driver.String},
	}
	if diff := cmp.Diff(want, kt.Columns()); diff != "" {
		t.Error(diff)
	}
}
