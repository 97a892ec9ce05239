package redact_test

import (
	"net/http"
	"testing"

	"github.com/endpointcache/endpointcache/redact"
)

func BenchmarkResponse(b *testing.B) {
	h := http.Header{
		"Content-Type": {"application/json; charset=utf-8"}, "Content-Length": {"1234"}, "Date": {"Mon, 02 Nov 2026 10:00:00 GMT"},
		"Etag": {`"a1b2c3"`}, "Cache-Control": {"max-age=60, public"}, "Vary": {"Accept-Encoding"}, "Server": {"nginx"},
		"X-Request-Id": {"0123456789abcdef"}, "X-Ratelimit-Remaining": {"59"}, "Strict-Transport-Security": {"max-age=31536000"},
	}
	body := []byte(`{"id":"6fW","name":"So What","artists":[{"id":"0kb","name":"Miles Davis"}],"user":{"email":"a@b"}}`)
	for name, rules := range map[string]redact.Rules{"Default": {}, "JSON": {JSON: []string{"/user/email"}}} {
		r := redactor(b, rules)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := r.Response(200, h, body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
