package fetch

import (
	"cmp"
	"net/http"

	"github.com/endpointcache/endpointcache/origin"
)

// answer is what came of asking for a key: a response of any status with its body read,
// or why there is none.
type answer struct {
	resp *http.Response // that err is about, nil for none; or whose body is read and closed, and whose headers describe body; parts of a batch share one
	body []byte         // may share memory with those of its batch
	err  error
}

// statusError is the error of a response that holds no value.
func statusError(resp *http.Response) *StatusError {
	sent := asSent(resp)
	e := &StatusError{Code: resp.StatusCode, Method: cmp.Or(sent.Method, http.MethodGet), URL: withoutSecrets(sent.URL)}
	e.RetryAfter, _ = origin.RetryAfter(resp)
	return e
}

// partOf is the response that parts of a batch's have. Its headers are those that are
// about no more than a part: an ETag or a Link is the whole's.
func partOf(resp *http.Response) *http.Response {
	header := make(http.Header)
	for _, name := range []string{"Content-Type", "Date", "Age", "Cache-Control", "Expires"} {
		if values := resp.Header.Values(name); len(values) > 0 {
			header[name] = values
		}
	}
	status := resp.StatusCode
	if status == http.StatusMultiStatus {
		status = http.StatusOK // of several, which are in the body
	}
	return &http.Response{
		StatusCode: status, Header: header, Body: http.NoBody, ContentLength: -1,
		Proto: resp.Proto, ProtoMajor: resp.ProtoMajor, ProtoMinor: resp.ProtoMinor, Request: resp.Request,
	}
}
