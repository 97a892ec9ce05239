package origin

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// body tells when a response's body has come to its end or is closed.
type body struct {
	io.ReadCloser
	leave func() // at the first of its calls
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.leave()
	}
	return n, err
}

func (b *body) Close() error {
	defer b.leave()
	return b.ReadCloser.Close()
}

// keepUntilRead calls leave when nothing of the response is under way any more. One
// that is forgotten ends with its request's context, as its connection does.
func keepUntilRead(resp *http.Response, leave func()) {
	if resp.Body == nil || resp.Body == http.NoBody || resp.StatusCode == http.StatusSwitchingProtocols {
		leave()
		return
	}
	stop := context.AfterFunc(resp.Request.Context(), leave)
	resp.Body = &body{resp.Body, func() {
		stop()
		leave()
	}}
}

// holdBytes is the size of the largest body that hold takes off its connection.
const holdBytes = 64 << 10

// hold makes a response wait without being in flight, so that meanwhile others can be
// asked for with the same limits. It can still be read afterwards.
func hold(resp *http.Response) {
	b, ok := resp.Body.(*body)
	if !ok {
		return // there is none
	}
	defer b.leave()
	data, err := io.ReadAll(io.LimitReader(b, holdBytes+1))
	if err == nil && len(data) <= holdBytes {
		_ = b.Close()
		resp.Body = io.NopCloser(bytes.NewReader(data))
		return
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(data), b), b}
}

// discardBytes and discardTimeout are how much, and how long, is read of the body of a
// response without use: less than another connection would cost.
const (
	discardBytes   = 64 << 10
	discardTimeout = 100 * time.Millisecond
)

// discard closes a response without use, so that its connection can be used again where
// little of the body is left.
func discard(resp *http.Response) {
	if resp == nil || resp.Body == nil {
		return
	}
	closed := sync.OnceFunc(func() {
		defer func() { _ = recover() }() // nobody else could in the timer's goroutine
		_ = resp.Body.Close()
	})
	defer closed()
	if resp.ContentLength > discardBytes {
		return
	}
	late := time.AfterFunc(discardTimeout, closed)
	defer late.Stop()
	_, _ = io.CopyN(io.Discard, resp.Body, discardBytes)
}
