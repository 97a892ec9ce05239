package head

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Of is the head of resp, without cookies. It shares the values of its headers. The body
// of resp has been read where its trailer is to be kept.
func Of(resp *http.Response) Head {
	h := Whole(resp)
	h.Header, h.Trailer = WithoutCookies(h.Header), WithoutCookies(h.Trailer)
	return h
}

// Whole is [Of] with cookies.
func Whole(resp *http.Response) Head {
	return Head{Header: resp.Header, Trailer: resp.Trailer, Proto: resp.Proto, Reason: reason(resp)}
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
// may be nil. It takes the header over. The trailer has its names at once and its values
// at the end of the body, as that of net/http. It belongs to the whole of the response:
// where that is not sent, it is left out.
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
	if len(h.Trailer) > 0 && sendsAll(status, req) {
		resp.Trailer = Announced(h.Trailer)
		resp.Body = &trailedReader{*body, h.Trailer, resp.Trailer}
	}
	return resp, nil
}

// Announced is a trailer as it is before the end of the body: its names.
func Announced(trailer http.Header) http.Header {
	if trailer == nil {
		return nil
	}
	names := make(http.Header, len(trailer))
	for name := range trailer {
		names[name] = nil
	}
	return names
}

// sendsAll reports whether a response of that status has all of a body.
func sendsAll(status int, req *http.Request) bool {
	return status != http.StatusNotModified && status != http.StatusPartialContent &&
		(req == nil || req.Method != http.MethodHead)
}

// payloadReader is a body that is in memory.
type payloadReader struct{ bytes.Reader }

// Close implements io.Closer.
func (*payloadReader) Close() error { return nil }

// trailedReader is one that has a trailer, which is given to its response at the end.
type trailedReader struct {
	payloadReader
	trailer, given http.Header
}

// Read implements io.Reader.
func (r *trailedReader) Read(p []byte) (int, error) {
	n, err := r.payloadReader.Read(p)
	if err != nil {
		r.give()
	}
	return n, err
}

// WriteTo implements io.WriterTo.
func (r *trailedReader) WriteTo(w io.Writer) (int64, error) {
	n, err := r.payloadReader.WriteTo(w)
	if err == nil {
		r.give()
	}
	return n, err
}

func (r *trailedReader) give() {
	for name, values := range r.trailer {
		r.given[name] = slices.Clone(values)
	}
	r.trailer = nil
}
