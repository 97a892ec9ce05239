package repository

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/endpointcache/endpointcache/internal/head"
	"github.com/endpointcache/endpointcache/internal/rfc9111"
)

// Entry is a stored response with what is stored beside it. To save one, make it with
// [ReadEntry] of a response, with [EntryOf] of one whose body was read, or with [NewEntry]
// of anything else.
type Entry struct {
	Name      string    // the readable name, set when it is saved
	Status    int       // the HTTP status code; 0 is saved as 200
	Payload   []byte    // the body, byte for byte
	CachedAt  time.Time // when its request was sent, or without one when it was saved; UTC
	ExpiresAt time.Time // when it expires, UTC; zero: never

	head string // as head.Encode makes it
}

// Head is what an [Entry] keeps of a response before its body, without the status
// code. Its fields are Header; Trailer, the fields that came after the body, nil for
// none; Proto, as "HTTP/2.0", where empty is HTTP/1.1; Reason, the text after the status
// code, where empty is the usual one; and Notes, which the code that saves a response
// keeps beside it under names of its own without a colon, not "proto" nor "reason".
type Head = head.Head

// NewEntry is an entry to save that comes from elsewhere than a response of
// net/http. Headers that belong to a connection, RFC 9110, section 7.6.1, are left
// out, and where it is saved, cookies, see policy.Policy.
func NewEntry(status int, h Head, payload []byte) (Entry, error) {
	if h.Proto != "" {
		if _, _, ok := http.ParseHTTPVersion(h.Proto); !ok {
			return Entry{}, fmt.Errorf("protocol %q is none of HTTP", h.Proto)
		}
	}
	encoded, err := head.Encode(h)
	if err != nil {
		return Entry{}, err
	}
	return Entry{Status: status, Payload: payload, head: encoded}, nil
}

// ReadEntry is the entry to save for resp, as [EntryOf] makes it. It reads the
// body to its end, closes it, and gives resp an equal one; a body that is cut
// short is an error.
func ReadEntry(resp *http.Response) (Entry, error) { return readEntry(resp, false) }

// readEntry is ReadEntry, with or without cookies.
func readEntry(resp *http.Response, cookies bool) (Entry, error) {
	body, err := readBody(resp)
	if err != nil {
		return Entry{}, fmt.Errorf("read response body: %w", err)
	}
	h := head.Of(resp)
	if cookies {
		h = head.Whole(resp)
	}
	return NewEntry(resp.StatusCode, h, body)
}

// EntryOf is the entry to save for resp, whose body has been read and is payload: so
// its trailer has come, too. Set-Cookie is left out, as are the headers that [NewEntry]
// leaves out: replayed, it would give one user's session to others, or bring back one that
// has ended.
func EntryOf(resp *http.Response, payload []byte) (Entry, error) {
	return NewEntry(resp.StatusCode, head.Of(resp), payload)
}

func readBody(resp *http.Response) ([]byte, error) {
	if resp.Body == nil {
		return nil, nil
	}
	var buf bytes.Buffer
	// What is announced is not believed without limit.
	buf.Grow(int(min(max(resp.ContentLength, 0), 1<<20)) + bytes.MinRead)
	_, err := buf.ReadFrom(resp.Body)
	err = errors.Join(err, resp.Body.Close())
	body := buf.Bytes()
	isHead := resp.Request != nil && resp.Request.Method == http.MethodHead
	if err == nil && resp.ContentLength >= 0 && int64(len(body)) != resp.ContentLength && !isHead {
		err = fmt.Errorf("%w: %d bytes of %d", io.ErrUnexpectedEOF, len(body), resp.ContentLength)
	}
	rest := io.Reader(bytes.NewReader(body))
	if err != nil {
		rest = io.MultiReader(rest, failingReader{err})
	}
	resp.Body = io.NopCloser(rest)
	return body, err
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

// Head returns the response's head, which belongs to the caller. Where the response came
// without a Date and was stored, that is CachedAt.
func (e Entry) Head() (Head, error) {
	h, err := head.Decode(e.head)
	if err == nil && !e.CachedAt.IsZero() {
		h.Header = rfc9111.WithDate(h.Header, e.CachedAt)
	}
	return h, err
}

// Header returns the response's headers, which belong to the caller.
func (e Entry) Header() (http.Header, error) {
	h, err := e.Head()
	return h.Header, err
}

// Response returns the response as it was, in answer to req, which may be nil.
// Its body reads from Payload; at the end of that, its trailer has its values.
func (e Entry) Response(req *http.Request) (*http.Response, error) {
	h, err := e.Head()
	if err != nil {
		return nil, err
	}
	return h.Response(e.Status, e.Payload, req)
}
