package fetch

import (
	"net/http"
	"strconv"

	"github.com/go-resty/resty/v2"

	"github.com/endpointcache/endpointcache/repository"
)

// wholeEntry is the entry for a response of which resty has read the body. Its
// headers describe the body as it is now.
func wholeEntry(resp *resty.Response) (repository.Entry, error) {
	raw, body := *resp.RawResponse, resp.Body()
	length := raw.Header.Get("Content-Length")
	if isUnpacked(resp.RawResponse) || length != "" && length != strconv.Itoa(len(body)) {
		raw.Header = raw.Header.Clone()
		raw.Header.Del("Content-Length")
		if isUnpacked(resp.RawResponse) {
			raw.Header.Del("Content-Encoding")
		}
	}
	return repository.EntryOf(&raw, body)
}

// partEntry is the entry for a part of a response, without its payload. It has the
// headers that are about no more than that: an ETag or a Link is the whole's.
func partEntry(resp *resty.Response) (repository.Entry, error) {
	raw := resp.RawResponse
	header := make(http.Header)
	for _, name := range []string{"Content-Type", "Date", "Age", "Cache-Control", "Expires"} {
		if values := raw.Header.Values(name); len(values) > 0 {
			header[name] = values
		}
	}
	return repository.NewEntry(raw.StatusCode, repository.Head{Header: header, Proto: raw.Proto}, nil)
}
