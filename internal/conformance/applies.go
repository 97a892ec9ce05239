package main

import (
	"fmt"
	"maps"
	"os"
)

// excluded are the tests that are not for a private cache in a client, with the
// reason. Those for a CDN-Cache-Control field the suite marks itself.
var excluded = map[string]string{
	"freshness-s-maxage-shared":                         shared,
	"freshness-max-age-s-maxage-shared-longer":          shared,
	"freshness-max-age-s-maxage-shared-longer-reversed": shared,
	"freshness-max-age-s-maxage-shared-longer-multiple": shared,
	"freshness-max-age-s-maxage-shared-shorter":         shared,
	"freshness-max-age-s-maxage-shared-shorter-expires": shared,
	"cc-resp-private-shared":                            shared,
	"stale-close-proxy-revalidate":                      shared,
	"stale-close-s-maxage=2":                            shared,
	"other-authorization":                               shared,
	"other-authorization-public":                        shared,
	"other-authorization-must-revalidate":               shared,
	"other-authorization-smaxage":                       shared,
	"cc-resp-immutable-fresh":                           reload,
	"cc-resp-immutable-stale":                           reload,
	"headers-store-Transfer-Encoding":                   refused,
}

const (
	cdn     = "for CDN-Cache-Control, which is not a client's"
	shared  = "for shared caches only"
	reload  = "for a browser's reload mode"
	refused = "net/http's own transport refuses the response"
	later   = "withdrawn by the suite later"
)

// withdrawn are the tests of the npm release that the suite's repository has
// taken back since: all of its tests that were required and are not any more, or
// that ask for something else now. What the library makes of them has no part in
// it: most it passes. Tests that are left out for another reason are not repeated,
// and no test that is optional was taken back.
var withdrawn = map[string]string{
	"age-parse-nonnumeric":        invalidAge,
	"age-parse-negative":          invalidAge,
	"age-parse-float":             invalidAge,
	"age-parse-prefix-twoline":    firstAge,
	"age-parse-dup-0":             firstAge,
	"age-parse-dup-0-twoline":     firstAge,
	"age-parse-dup-old":           firstAge,
	"age-parse-parameter":         parameter,
	"age-parse-numeric-parameter": parameter,

	"freshness-max-age-ignore-quoted-all":     quoted,
	"freshness-max-age-ignore-quoted-all-rev": quoted,

	// The response is to be the origin's own, by a field that only the origin
	// sets, and the origin hangs up without one. The error that the RFC demands
	// fails, as a broken connection does. Nothing that is no forgery passes.
	"stale-close-must-revalidate": mustRevalidate,
	"stale-close-no-cache":        noCache,

	"304-etag-update-response-Clear-Site-Data":         updated,
	"304-etag-update-response-Content-Encoding":        notUpdated,
	"304-etag-update-response-Content-Location":        updated,
	"304-etag-update-response-Content-MD5":             notUpdated,
	"304-etag-update-response-Content-Range":           notUpdated,
	"304-etag-update-response-Content-Security-Policy": updated,
	"304-etag-update-response-Content-Type":            updated,
	"304-etag-update-response-ETag":                    notUpdated,
	"304-etag-update-response-Expires":                 updated,
	"304-etag-update-response-Public-Key-Pins":         updated,
	"304-etag-update-response-Set-Cookie":              updated,
	"304-etag-update-response-Set-Cookie2":             updated,
	"304-etag-update-response-X-Frame-Options":         updated,
	"304-etag-update-response-X-XSS-Protection":        updated,

	"invalidate-POST-location":     location,
	"invalidate-PUT-location":      location,
	"invalidate-DELETE-location":   location,
	"invalidate-M-SEARCH-location": location,
	"invalidate-POST-cl":           location,
	"invalidate-PUT-cl":            location,
	"invalidate-DELETE-cl":         location,
	"invalidate-M-SEARCH-cl":       location,
}

const (
	invalidAge     = "reversed: an Age that is no number is ignored, and does not make a response stale (RFC 9111, section 5.1)"
	firstAge       = "reversed: the first of several Age values counts (RFC 9111, section 5.1)"
	parameter      = "made a check: an invalid Age should be ignored, and need not be (RFC 9111, section 5.1)"
	quoted         = "dropped: about a quoted max-age, which must not be sent (RFC 9111, section 5.2.2.1)"
	mustRevalidate = "reversed: the answer is to be an error, not the origin's response, as there is none (RFC 9111, section 5.2.2.2)"
	noCache        = "reversed: the answer is to be an error, not the origin's response, as there is none (RFC 9111, section 5.2.2.4)"
	updated        = "made a check: a cache may have cause not to update the field (RFC 9111, section 3.2)"
	notUpdated     = "made a check, of the reverse: a 304 response updates all fields but Content-Length, where a cache has no cause not to (RFC 9111, section 3.2)"
	location       = "made a check: a cache may invalidate what Location and Content-Location name, and need not (RFC 9111, section 4.4)"
)

// A tally counts tests by kind.
type tally map[string]int

// judge names the kinds as the library does, marks the tests that do not apply,
// and counts those required that are not passed.
func judge(results []*result, e edition) outcome {
	o := outcome{applies: tally{}}
	for _, r := range results {
		if r.Kind == "optimal" {
			r.Kind = "optional"
		}
		r.Excluded = excluded[r.ID]
		if r.CDN {
			r.Excluded = cdn
		}
		if detail, ok := e.withdrawn[r.ID]; ok {
			r.Excluded, r.Detail = later, detail
		}
		if !r.counts() {
			continue
		}
		o.applies[r.Kind]++
		if r.Kind == "optional" && r.Verdict == pass {
			o.optional++
		}
		if r.Verdict != pass {
			r.Declined = declined[r.ID]
		}
		if r.Kind == "required" && r.Verdict != pass {
			o.missed++
		}
	}
	return o
}

// An outcome is what the exit code depends on.
type outcome struct {
	applies  tally
	missed   int // required tests that apply and are not passed
	optional int // optional ones that are passed
}

// check returns errNotConforming where the outcome is not good. A part of the
// suite has no number of tests to hold to, and only the library, with a key of that name,
// one of optional tests.
func (o outcome) check(e edition, key string, part bool) error {
	if !part && !maps.Equal(o.applies, e.applies) {
		fmt.Fprintf(os.Stderr, "conformance: %v tests of the %s apply, not %v\n", o.applies, e.name, e.applies)
		return errNotConforming
	}
	if want, ok := e.optional[key]; ok && !part && o.optional != want {
		fmt.Fprintf(os.Stderr, "conformance: %d optional tests of the %s are passed with the key %q, not %d\n", o.optional, e.name, key, want)
		return errNotConforming
	}
	if o.missed > 0 {
		return errNotConforming
	}
	return nil
}
