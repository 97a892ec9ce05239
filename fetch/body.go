package fetch

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"

	"github.com/endpointcache/endpointcache/internal/exchange"
)

// The sizes of what bodies are read into at first.
const (
	unknownBody = 512     // of which the length is not announced
	trustedBody = 1 << 20 // as is announced, at most: it is not believed without limit
	largeBody   = 64 << 10
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
	if announced > int64(limit) {
		return nil, fmt.Errorf("%w: %d bytes", ErrBodyTooLarge, announced)
	}
	body, err := readAll(ctx, unread, announced, limit)
	if err != nil {
		return body, err
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

// readAll reads to the end, which is after as many bytes as are announced, if any are.
func readAll(ctx context.Context, r io.Reader, announced int64, limit int) ([]byte, error) {
	size := int64(unknownBody)
	if announced > 0 {
		size = min(announced, trustedBody) + 1 // so that the end is found without growing
	}
	share := exchange.ShareOf(ctx)
	share.Release() // of an attempt before
	if err := share.Grow(ctx, size); err != nil {
		return nil, err
	}
	body := make([]byte, 0, size)
	for {
		if len(body) == cap(body) {
			var more []byte
			if len(body) >= largeBody {
				// A body that ends here would keep twice the memory that it needs.
				var err error
				if more, err = next(r); len(more) == 0 && err != nil {
					return body, atEnd(err)
				}
			}
			// Doubled, as every copy is garbage.
			if err := share.Grow(ctx, int64(cap(body))); err != nil {
				return body, err
			}
			body = append(append(make([]byte, 0, 2*cap(body)), body...), more...)
		}
		n, err := r.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case len(body) > limit:
			return nil, fmt.Errorf("%w: more than %d bytes", ErrBodyTooLarge, limit)
		case err != nil:
			return body, atEnd(err)
		}
	}
}

// next reads what comes next, a little of it.
func next(r io.Reader) ([]byte, error) {
	var some [512]byte
	n, err := r.Read(some[:])
	return some[:n], err
}

// atEnd is nil for the end of a body: io.EOF itself, as io.Reader has it. One that is
// wrapped tells of a failure, and what was read until then is not the whole body.
func atEnd(err error) error {
	if err == io.EOF { //nolint:errorlint
		return nil
	}
	return err
}
