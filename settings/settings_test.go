package settings_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

type track struct{ Title string }

type trackSettings = settings.RepositorySettings[string, track]

func TestSettingsStandForAPatternAndJSON(t *testing.T) {
	s := trackSettings{Name: "tracks", Pattern: "GET /v1/tracks/{id}"}
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		resolved, err := s.Resolve()
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequest("GET", "https://api.example.com/v1/tracks/a", nil)
		if err != nil {
			t.Fatal(err)
		}
		if key, ok, err := resolved.Endpoint.Key(req); err != nil || !ok || key != "a" {
			t.Errorf("Key = %q, %t, %v", key, ok, err)
		}
		if value, err := resolved.Payload.Decode([]byte(`{"title": "Blue"}`)); err != nil || value.Title != "Blue" {
			t.Errorf("Decode = %+v, %v", value, err)
		}
		s = resolved
	}
	own := trackSettings{Name: "tracks", Payload: payload.Codec[track]("text/x", nil, nil)}
	resolved, err := own.Resolve()
	if err != nil || resolved.Endpoint != nil || resolved.Payload.ContentType() != "text/x" {
		t.Errorf("Resolve = %+v, %v", resolved, err)
	}
}

func TestSettingsThatCannotWorkAreRefused(t *testing.T) {
	for want, s := range map[string]trackSettings{
		"both Pattern and Endpoint": {Pattern: "/{id}", Endpoint: request.Pattern[string]("/{id}")},
		`pattern "/{id": segment`:   {Pattern: "/{id"},
		"path begins with a slash":  {Pattern: "GET v1/tracks/{id}"},
		"expiry -1s is negative":    {Expire: -time.Second},
		"ExpireAbsent: expiry -2ns": {ExpireAbsent: -2},
	} {
		s.Name = "tracks"
		_, err := s.Resolve()
		if err == nil || !strings.HasPrefix(err.Error(), `settings: repository "tracks": `) || !strings.Contains(err.Error(), want) {
			t.Errorf("Resolve: %v, want an error with %q", err, want)
		}
		if other := s.Validate(); other == nil || other.Error() != err.Error() {
			t.Errorf("Validate: %v, want %v", other, err)
		}
	}
	forever := trackSettings{Name: "tracks", Expire: settings.NeverExpire, ExpireAbsent: settings.NeverExpire}
	if err := forever.Validate(); err != nil {
		t.Error(err)
	}
}
