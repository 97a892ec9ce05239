package head

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Of is the head of resp, without cookies. It shares the values of its headers.
func Of(resp *http.Response) Head {
	return Head{Header: WithoutCookies(resp.Header), Proto: resp.Proto, Reason: reason(resp)}
}

// reason is the text after the status code where it is not the usual one.
func reason(resp *http.Response) string {
	text := strings.TrimPrefix(resp.Status, strconv.Itoa(resp.StatusCode))
	text = strings.TrimPrefix(text, " ")
	if text == http.StatusText(resp.StatusCode) {
		return ""
	}
	return text
}

// Response returns the response of that status and body in answer to req, which
// may be nil. It takes the header over.
func (h Head) Response(status int, payload []byte, req *http.Request) (*http.Response, error) {
	body := &payloadReader{}
	body.Reset(payload)
	resp := &http.Response{
		StatusCode:    status,
		Header:        h.Header,
		ContentLength: int64(len(payload)),
		Body:          body,
		Request:       req,
		Proto:         h.Proto,
	}
	if resp.Proto == "" {
		resp.Proto = usualProto
	}
	var ok bool
	if resp.ProtoMajor, resp.ProtoMinor, ok = http.ParseHTTPVersion(resp.Proto); !ok {
		return nil, fmt.Errorf("protocol %q is none of HTTP", resp.Proto)
	}
	if h.Reason == "" {
		h.Reason = http.StatusText(status)
	}
	resp.Status = strings.TrimSuffix(strconv.Itoa(status)+" "+h.Reason, " ")
	return resp, nil
}

// payloadReader is a body that is in memory.
type payloadReader struct{ bytes.Reader }

// Close implements io.Closer.
func (*payloadReader) Close() error { return nil }
