package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"

	"github.com/endpointcache/endpointcache/internal/exchange"
)

// readBody reads the body of the response to a request with that method, and closes
// it. The headers describe the body that is returned.
//
// The memory that bodies take while they come in is limited for all that go to one cache.
func readBody(ctx context.Context, resp *http.Response, method string, limit int) ([]byte, error) {
	unread := resp.Body
	if unread == nil {
		unread = http.NoBody
	}
	defer unread.Close()
	resp.Body = http.NoBody
	announced := resp.ContentLength
	if method == http.MethodHead || resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified {
		announced = 0 // it is the length of another response
	}
	body, err := exchange.ReadBody(ctx, unread, announced, int64(limit))
	switch {
	case errors.Is(err, exchange.ErrTooLarge) && announced > int64(limit):
		return nil, fmt.Errorf("%w: %d bytes", ErrBodyTooLarge, announced)
	case errors.Is(err, exchange.ErrTooLarge):
		return nil, fmt.Errorf("%w: more than %d bytes", ErrBodyTooLarge, limit)
	case err != nil:
		return nil, err
	}
	if int64(len(body)) < announced {
		// net/http finds it itself, but others may not.
		return body, fmt.Errorf("%w: %d bytes of %d", io.ErrUnexpectedEOF, len(body), announced)
	}
	resp.ContentLength = int64(len(body))
	if text := resp.Header.Get("Content-Length"); text != "" {
		if length, err := strconv.Atoi(text); err != nil || length != len(body) {
			resp.Header = maps.Clone(resp.Header)
			resp.Header.Del("Content-Length")
		}
	}
	return body, nil
}
