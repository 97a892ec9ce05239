package restyfetch

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"

	"github.com/go-resty/resty/v2"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/internal/credential"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/origin"
)

// maxBody is the default of package fetch.
const maxBody = 64 << 20

// doer sends with a resty client.
type doer struct {
	client  *resty.Client
	getBody *resty.Client // for the body of a GET, which client does not send
	invalid error         // of all requests
}

func newDoer(own *resty.Client) *doer {
	client := own.Clone()
	invalid := guardRedirects(client)
	client.ResponseBodyLimit = cmp.Or(max(0, client.ResponseBodyLimit), maxBody)
	client.SetDoNotParseResponse(false)
	// The request is the endpoint's: these would change its URL and its body.
	client.PathParams, client.RawPathParams, client.FormData = nil, nil, nil
	client.SetUnescapeQueryParams(false)
	client.AllowGetMethodPayload = false // costs each GET without a body a goroutine
	getBody := client.Clone()
	getBody.AllowGetMethodPayload = true
	return &doer{client, getBody, invalid}
}

// Do implements [fetch.Doer].
func (d *doer) Do(req *http.Request) (*http.Response, error) {
	if d.invalid != nil {
		return nil, origin.Permanent(d.invalid)
	}
	r, method, err := d.request(req)
	if err != nil {
		return nil, origin.Permanent(err)
	}
	resp, err := r.Execute(method, req.URL.String())
	switch {
	case resp == nil:
		return nil, origin.Permanent(err) // a middleware has refused it
	case resp.RawResponse == nil:
		return nil, err
	}
	isWhole := resp.Body() != nil
	if isWhole && err == nil {
		err = checkWhole(resp)
		isWhole = err == nil
	}
	if errors.Is(err, resty.ErrResponseBodyTooLarge) {
		err = origin.Permanent(fmt.Errorf("%w: %w", fetch.ErrBodyTooLarge, err))
	}
	if err != nil && !isWhole && exchange.HasValue(resp.StatusCode()) {
		return nil, err
	}
	return response(resp), err
}

// request is a request of resty for req, one of its own for each: resty takes back the
// buffers of one that was executed.
func (d *doer) request(req *http.Request) (r *resty.Request, method string, err error) {
	body, err := readBody(req)
	if err != nil {
		return nil, "", fmt.Errorf("read the request's body: %w", err)
	}
	client, method := d.client, cmp.Or(req.Method, http.MethodGet)
	if len(body) > 0 && method == http.MethodGet {
		client = d.getBody
	}
	r = client.R().SetContext(req.Context())
	maps.Copy(r.Header, req.Header)
	if req.Host != "" && req.Host != req.URL.Host {
		r.Header.Set("Host", req.Host)
	}
	if len(body) > 0 {
		r.SetBody(body)
	}
	return r, method, nil
}

func readBody(req *http.Request) ([]byte, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return nil, nil
	}
	body, err := io.ReadAll(req.Body)
	if len(body) > 0 && (req.Method == http.MethodHead || req.Method == http.MethodOptions) {
		err = fmt.Errorf("resty sends none with %s", req.Method)
	}
	return body, errors.Join(err, req.Body.Close())
}

// response is the one that resty has read, with the body as it is now. Where a middleware
// had resty leave the body alone, it is still to be read.
func response(resp *resty.Response) *http.Response {
	raw := *resp.RawResponse
	raw.Request = asSent(raw.Request, resp.Request.RawRequest)
	if sent := resp.RawResponse.Request; sent != nil && raw.Request != nil {
		// What the transport adds, as SetDigestAuth does, is told beside it.
		raw.Request = raw.Request.WithContext(credential.WithSent(raw.Request.Context(), sent))
	}
	if resp.Body() == nil {
		return &raw
	}
	if isUnpacked(resp) {
		raw.Header = raw.Header.Clone()
		raw.Header.Del("Content-Encoding")
		raw.Header.Del("Content-Length")
		raw.Uncompressed = true
	}
	raw.Body, raw.ContentLength = io.NopCloser(bytes.NewReader(resp.Body())), int64(len(resp.Body()))
	return &raw
}

// checkWhole finds what net/http does itself, but other transports may not.
func checkWhole(resp *resty.Response) error {
	announced := resp.RawResponse.ContentLength
	if announced <= resp.Size() || resp.Request.Method == http.MethodHead || isUnpacked(resp) {
		return nil
	}
	return fmt.Errorf("%w: %d bytes of %d", io.ErrUnexpectedEOF, resp.Size(), announced)
}

// isUnpacked tells whether resty has unpacked the body and left the headers as
// they were. Transports that unpack remove the header.
func isUnpacked(resp *resty.Response) bool {
	raw := resp.RawResponse
	return strings.EqualFold(raw.Header.Get("Content-Encoding"), "gzip") && raw.ContentLength != 0
}
