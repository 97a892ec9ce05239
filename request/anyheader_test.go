package request_test

import (
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/request"
)

// Headers with which two users differ, or two answers.
const tellingHeaders = `
	Authorization Proxy-Authorization Cookie Cookie2 X-Api-Key X-Auth-Token X-Csrf-Token X-Access-Token DPoP Signature
	X-Amz-Security-Token X-Amz-Date From Referer Origin Forwarded X-Forwarded-For X-Forwarded-User X-Real-Ip
	Remote-User X-Webauth-User X-User X-User-Id X-Account X-Tenant X-Tenant-Id X-Org-Id X-Workspace X-Device-Id
	X-Client-Id X-Session-Id Mcp-Session-Id X-Impersonate Impersonate-User X-On-Behalf-Of X-Client-Cert
	Accept Accept-Language Accept-Encoding Accept-Charset Accept-Datetime Prefer Range If-Range X-Requested-With
	X-Api-Version X-Http-Method-Override X-Original-Url Upgrade-Insecure-Requests Save-Data Dnt Sec-Gpc Sec-Ch-Ua
	Sec-Ch-Ua-Mobile Viewport-Width Last-Event-Id Baggage X-Datadog-Tags X-Datadog-Origin Ot-Baggage-User
	Uberctx-User X-Feature-Flags X-Experiment X-Currency X-Country X-Time-Zone Depth Destination
`

// Headers that say nothing about the answer, see neutralHeaders for the reasons.
const neutralHeaders = `
	Connection Keep-Alive Proxy-Connection Te Upgrade Expect Max-Forwards Via Priority Early-Data
	Cache-Control Pragma If-Match If-None-Match If-Modified-Since If-Unmodified-Since User-Agent Date
	Idempotency-Key Request-Id X-Request-Id X-Correlation-Id Traceparent Tracestate B3 X-B3-Traceid X-B3-Spanid
	X-B3-Parentspanid X-B3-Sampled X-B3-Flags Uber-Trace-Id X-Amzn-Trace-Id X-Cloud-Trace-Context
	X-Datadog-Trace-Id X-Datadog-Parent-Id X-Datadog-Sampling-Priority Sentry-Trace Elastic-Apm-Traceparent Newrelic
`

func TestHeadersOfAnyThatTellUsersApart(t *testing.T) {
	e := request.Any(nil)
	differ := func(name string) bool {
		return anyKey(t, e, get(t, "https://h/", name, "alice")) != anyKey(t, e, get(t, "https://h/", name, "bob"))
	}
	for name := range strings.FieldsSeq(tellingHeaders) {
		if !differ(name) {
			t.Errorf("two requests share a key that differ in %s", name)
		}
	}
	for name := range strings.FieldsSeq(neutralHeaders) {
		if differ(name) {
			t.Errorf("two requests have two keys that differ in %s alone", name)
		}
	}
}

// Where the headers that count are named, credentials count besides.
func TestCredentialsOfAnyCountInAnyCase(t *testing.T) {
	e := request.Any(&request.AnyOptions{Headers: []string{}})
	for name := range strings.FieldsSeq(`
		Authorization Proxy-Authorization Cookie X-Api-Key Apikey X-Auth-User X-Csrf-Token Private-Token Job-Token DPoP
		X-Amz-Security-Token X-Forwarded-User Signature X-Session-Id X-Client-Secret Range
	`) {
		one, two := anyKey(t, e, get(t, "https://h/", name, "alice")), anyKey(t, e, get(t, "https://h/", name, "bob"))
		if one == two || name != "Range" && strings.Contains(one.Headers, "alice") {
			t.Errorf("%s: the keys are %+v and %+v", name, one, two)
		}
	}
	if key := anyKey(t, e, get(t, "https://h/", "Accept", "a", "Surrogate-Key", "b", "X-Rate-Limit-Class", "c")); key.Headers != "" {
		t.Errorf("the headers are %s, want none", key.Headers)
	}
}
