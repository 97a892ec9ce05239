package request

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
)

// DefaultBodyLimit is the largest body, in bytes, that [BodyHash] and
// [JSONBodyHash] read, and [Body] if it is given no limit.
const DefaultBodyLimit = 1 << 20

// ErrBodyTooLarge means that a body is larger than the limit for it.
var ErrBodyTooLarge = errors.New("request: the body is larger than the limit")

// Body returns the body of req and leaves req with an equal one. A body that
// cannot be had again from req.GetBody is read, and replaced together with
// GetBody; such a request belongs to one goroutine.
//
// A limit of 0 or less stands for [DefaultBodyLimit]. Where the body is larger,
// the error is [ErrBodyTooLarge], and the body can still be sent.
func Body(req *http.Request, limit int64) ([]byte, error) {
	if !hasBody(req) {
		return nil, nil
	}
	if limit <= 0 {
		limit = DefaultBodyLimit
	}
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, fmt.Errorf("request: get the body: %w", err)
		}
		defer body.Close()
		data, err := readBody(body, limit)
		if err != nil {
			return nil, err
		}
		return data, nil
	}
	once := req.Body
	data, err := readBody(once, limit)
	if err != nil {
		// The transport is to meet what was met here.
		rest := io.Reader(once)
		if !errors.Is(err, ErrBodyTooLarge) {
			rest = failingReader{err}
		}
		req.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(data), rest), once}
		return nil, err
	}
	once.Close()
	req.GetBody = func() (io.ReadCloser, error) {
		if len(data) == 0 {
			return http.NoBody, nil
		}
		return io.NopCloser(bytes.NewReader(data)), nil
	}
	req.Body, _ = req.GetBody()
	return bytes.Clone(data), nil
}

func hasBody(req *http.Request) bool {
	return req.Body != nil && req.Body != http.NoBody
}

// readBody returns what it has read, even with an error.
func readBody(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, min(limit, math.MaxInt64-1)+1))
	if err != nil {
		return data, fmt.Errorf("request: read the body: %w", err)
	}
	if int64(len(data)) > limit {
		return data, ErrBodyTooLarge
	}
	return data, nil
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

// BodyHash is the hexadecimal SHA-256 of the bytes of req's body. To no body it
// is the hash of no bytes. It does not tell what the bytes mean: where an API
// takes several kinds of content, the key needs the Content-Type as well.
func BodyHash(req *http.Request) (string, error) {
	data, err := Body(req, DefaultBodyLimit)
	if err != nil {
		return "", err
	}
	return hexHash(data), nil
}

func hexHash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
