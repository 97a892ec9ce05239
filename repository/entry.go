package repository

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Entry is a stored response and what is kept beside it. To save one, make it with
// [ReadEntry] of a response, with [EntryOf] of one whose body was read, or with
// [NewEntry] of anything else.
type Entry struct {
	Name      string    // the readable name, set when it is saved
	Status    int       // the HTTP status code; 0 is saved as 200
	Payload   []byte    // the body, byte for byte
	CachedAt  time.Time // when it was saved, UTC
	ExpiresAt time.Time // when it expires, UTC; zero: never

	head string // the encoded headers, see head.go
}

// NewEntry is an entry to save that comes from elsewhere than a response of
// net/http. The header may be nil.
func NewEntry(status int, header http.Header, payload []byte) (Entry, error) {
	return EntryOf(&http.Response{StatusCode: status, Header: header}, payload)
}

// ReadEntry is the entry to save for resp, as [EntryOf] makes it. It reads the
// body to its end, closes it, and gives resp an equal one; a body that is cut
// short is an error.
func ReadEntry(resp *http.Response) (Entry, error) {
	body, err := readBody(resp)
	if err != nil {
		return Entry{}, fmt.Errorf("read response body: %w", err)
	}
	return EntryOf(resp, body)
}

// EntryOf is the entry to save for resp, whose body has been read and is payload.
// Headers that belong to the connection or to the user's session, not to the
// response, are left out: the hop-by-hop ones of RFC 9110, section 7.6.1, and
// Set-Cookie.
func EntryOf(resp *http.Response, payload []byte) (Entry, error) {
	head, err := encodeHead(head{Header: resp.Header, Proto: resp.Proto, Reason: reason(resp)})
	if err != nil {
		return Entry{}, err
	}
	return Entry{Status: resp.StatusCode, Payload: payload, head: head}, nil
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

// reason is the text after the status code where it is not the usual one.
func reason(resp *http.Response) string {
	text := strings.TrimPrefix(resp.Status, strconv.Itoa(resp.StatusCode))
	text = strings.TrimPrefix(text, " ")
	if text == http.StatusText(resp.StatusCode) {
		return ""
	}
	return text
}

// Header returns the response's headers, which belong to the caller.
func (e Entry) Header() (http.Header, error) {
	head, err := decodeHead(e.head)
	return head.Header, err
}

// Response returns the response as it was, in answer to req, which may be nil.
// Its body reads from Payload.
func (e Entry) Response(req *http.Request) (*http.Response, error) {
	head, err := decodeHead(e.head)
	if err != nil {
		return nil, err
	}
	resp := &http.Response{
		StatusCode:    e.Status,
		Header:        head.Header,
		ContentLength: int64(len(e.Payload)),
		Body:          io.NopCloser(bytes.NewReader(e.Payload)),
		Request:       req,
		Proto:         head.Proto,
	}
	if resp.Proto == "" {
		resp.Proto = usualProto
	}
	var ok bool
	if resp.ProtoMajor, resp.ProtoMinor, ok = http.ParseHTTPVersion(resp.Proto); !ok {
		return nil, fmt.Errorf("protocol %q is none of HTTP", resp.Proto)
	}
	if head.Reason == "" {
		head.Reason = http.StatusText(e.Status)
	}
	resp.Status = strings.TrimSuffix(fmt.Sprintf("%d %s", e.Status, head.Reason), " ")
	return resp, nil
}
