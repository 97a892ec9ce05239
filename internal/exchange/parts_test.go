package exchange

import (
	"net/http"
	"testing"

	"github.com/endpointcache/endpointcache/internal/rfc9111"
	"github.com/endpointcache/endpointcache/policy"
)

// part is a part of ten bytes that expires an hour after noon.
func part(t *testing.T, text string, length int64, headers ...string) *Stored {
	t.Helper()
	s := had(hour, headers...)
	var ok bool
	if s.parts, ok = rfc9111.ParseParts(text, length); !ok {
		t.Fatal(text)
	}
	s.Entry.Status, s.Entry.Payload = http.StatusPartialContent, make([]byte, length)
	return s
}

func TestWhatIsDoneWithAStoredPart(t *testing.T) {
	const ranged, whole, head = "ranged", "whole", "head"
	for _, test := range []struct {
		name    string
		ask     string
		header  []string // of a request for a range
		use     policy.Use
		asked   string
		parts   string
		stored  []string
		expired bool
		want    verdict
	}{
		{name: "it has the range", ask: ranged, header: []string{"Range", "bytes=1-2"}, want: serveIt},
		{name: "and the condition holds", ask: ranged, header: []string{"Range", "bytes=1-2", "If-Range", `"1"`}, stored: []string{"Etag", `"1"`}, want: serveIt},
		{name: "and it does not", ask: ranged, header: []string{"Range", "bytes=1-2", "If-Range", `"2"`}, stored: []string{"Etag", `"1"`}, want: fetchIt},
		{name: "it has a part of the range", ask: ranged, header: []string{"Range", "bytes=1-6"}, want: fetchIt},
		{name: "it has one of two ranges", ask: ranged, header: []string{"Range", "bytes=1-1,6-6"}, want: fetchIt},
		{name: "another unit", ask: ranged, header: []string{"Range", "lines=1-2"}, want: fetchIt},
		{name: "a range that is none", ask: ranged, header: []string{"Range", "bytes=x"}, want: fetchIt},
		{name: "a range that is not there", ask: ranged, header: []string{"Range", "bytes=10-"}, want: serveIt},
		{name: "expired", ask: ranged, header: []string{"Range", "bytes=1-2"}, expired: true, want: fetchIt},
		{name: "expired, with a validator", ask: ranged, header: []string{"Range", "bytes=1-2"}, stored: []string{"Etag", `W/"1"`}, expired: true, want: revalidateIt},
		{name: "expired, to be renewed while it is served", ask: ranged, header: []string{"Range", "bytes=1-2"}, stored: []string{"Cache-Control", "stale-while-revalidate=9999999", "Etag", `"1"`}, expired: true, want: revalidateIt},
		{name: "offline", ask: ranged, header: []string{"Range", "bytes=1-2"}, use: policy.Offline, expired: true, want: serveIt},
		{name: "offline, and it has it not", ask: ranged, header: []string{"Range", "bytes=6-7"}, use: policy.Offline, want: unanswered},

		{name: "all is wanted", ask: whole, stored: []string{"Etag", `"1"`}, want: completeIt},
		{name: "expired, with a strong validator", ask: whole, stored: []string{"Etag", `"1"`}, expired: true, want: completeIt},
		{name: "expired, with a weak one", ask: whole, stored: []string{"Etag", `W/"1"`}, expired: true, want: fetchIt},
		{name: "fresh, without one", ask: whole, want: completeIt},
		{name: "expired, without one", ask: whole, expired: true, want: fetchIt},
		{name: "only-if-cached", ask: whole, asked: "only-if-cached", stored: []string{"Etag", `"1"`}, want: unanswered},
		{name: "no-cache", ask: whole, asked: "no-cache", stored: []string{"Etag", `"1"`}, want: fetchIt},
		{name: "Reload", ask: whole, use: policy.Reload, stored: []string{"Etag", `"1"`}, want: fetchIt},
		{name: "Revalidate", ask: whole, use: policy.Revalidate, stored: []string{"Etag", `"1"`}, want: fetchIt},
		{name: "a middle", ask: whole, parts: "2-6/10", stored: []string{"Etag", `"1"`}, want: fetchIt},
		{name: "a size that is not known", ask: whole, parts: "0-4/*", stored: []string{"Etag", `"1"`}, want: fetchIt},
		{name: "not to be completed", ask: head, stored: []string{"Etag", `"1"`}, want: fetchIt},
	} {
		t.Run(test.name, func(t *testing.T) {
			terms := termsOf(t, policy.Policy{CacheControl: policy.On, Use: test.use}, test.asked)
			terms.Completes = test.ask == whole
			if test.ask == ranged {
				terms.Range = make(http.Header)
				for i := 0; i+1 < len(test.header); i += 2 {
					terms.Range.Set(test.header[i], test.header[i+1])
				}
			}
			if test.parts == "" {
				test.parts = "0-4/10"
			}
			s := part(t, test.parts, 5, test.stored...)
			if test.expired {
				s.Entry.ExpiresAt = noon.Add(-minute)
			}
			if got, _ := judge(s, terms, noon, 0); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}
