package cassette

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/internal/preview"
	"github.com/endpointcache/endpointcache/internal/secret"
	"github.com/endpointcache/endpointcache/repository"
)

// Player is a transport that answers with what was recorded, and sends nothing. A request that was not recorded is answered
// with 504 and a text that names what was recorded instead.
type Player struct {
	Cassette *Cassette
	Contents *cache.Contents

	played, missed atomic.Int64
}

// Counts tells how many requests were answered with a recorded response, and how many were not.
func (p *Player) Counts() (played, missed int) { return int(p.played.Load()), int(p.missed.Load()) }

// RoundTrip implements http.RoundTripper.
func (p *Player) RoundTrip(req *http.Request) (*http.Response, error) {
	e, ok, err := p.find(req)
	if err != nil {
		return nil, err
	}
	if !ok {
		p.missed.Add(1)
		return p.miss(req), nil
	}
	p.played.Add(1)
	return e.Response(req)
}

// find finds what was recorded for a request: for the request as it is; else, for one with conditions or a range, for
// one without; else, for HEAD, what was recorded for GET.
func (p *Player) find(req *http.Request) (repository.Entry, bool, error) {
	asked := req
	if e, ok, err := p.take(asked); err != nil || ok {
		return e, ok, err
	}
	if plain := withoutConditions(req); plain != nil {
		asked = plain
		if e, ok, err := p.take(asked); err != nil || ok {
			return e, ok, err
		}
	}
	if req.Method == http.MethodHead {
		get := asked.Clone(req.Context())
		get.Method = http.MethodGet
		return p.take(get)
	}
	return repository.Entry{}, false, nil
}

// withoutConditions is a request for the whole response, nil where req is one, or changes something.
func withoutConditions(req *http.Request) *http.Request {
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		return nil
	}
	plain := req.Clone(req.Context())
	for _, name := range []string{"Range", "If-Range", "If-None-Match", "If-Modified-Since"} {
		plain.Header.Del(name)
	}
	if len(plain.Header) == len(req.Header) {
		return nil
	}
	return plain
}

// take finds the next take of a request, or else the last one.
func (p *Player) take(req *http.Request) (repository.Entry, bool, error) {
	c := p.Cassette
	key, ok, err := c.key(req)
	if err != nil || !ok {
		return repository.Entry{}, false, err
	}
	get := func(take int) (repository.Entry, bool, error) {
		return c.responses.GetEntry(req.Context(), ofTake(key, take), repository.AllowExpired())
	}
	take := c.next(key)
	e, ok, err := get(take)
	if err != nil || ok {
		return e, ok, err
	}
	c.back(key)
	if take == 1 {
		return e, false, nil
	}
	return get(take - 1)
}

// miss is the answer to a request that was not recorded.
func (p *Player) miss(req *http.Request) *http.Response {
	text := p.explain(req.Context(), p.Cassette.keyed(req))
	return &http.Response{
		StatusCode: http.StatusGatewayTimeout, Status: "504 " + http.StatusText(http.StatusGatewayTimeout),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "X-Content-Type-Options": {"nosniff"}, "Cache-Control": {"no-store"}},
		Body:          io.NopCloser(strings.NewReader(text)),
		ContentLength: int64(len(text)),
		Request:       req,
	}
}

// explain tells what was recorded instead of a request.
func (p *Player) explain(ctx context.Context, req *http.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "endpointcache replay: this request was not recorded:\n\n  %s %s\n", preview.Line(req.Method), preview.Line(secret.Mask(req.URL.String())))
	found, err := p.Contents.Lookup(ctx, req)
	if err != nil {
		return b.String()
	}
	if len(found.Reasons) > 0 {
		b.WriteByte('\n')
	}
	for _, reason := range found.Reasons {
		fmt.Fprintln(&b, preview.Line(reason))
	}
	if len(found.Near) > 0 {
		b.WriteString("\nWhat was recorded of the like:\n\n")
	}
	for _, e := range found.Near {
		b.WriteString(" ")
		for _, column := range e.Key {
			if text := fmt.Sprint(column.Value); text != "" {
				b.WriteString(" " + preview.Line(text))
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}
