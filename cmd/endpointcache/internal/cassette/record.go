package cassette

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/internal/head"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
)

// Recorder is a transport that sends requests to the API, and records the responses.
type Recorder struct {
	Cassette *Cassette
	Base     http.RoundTripper // sends the requests
	Log      *slog.Logger      // is told what is not recorded

	// New leaves what is recorded as it is, and answers with it: only requests without an answer are sent. Otherwise all are
	// sent, and what was recorded before of the same request is replaced.
	New bool

	// Last keeps only the last of the answers to requests that are the same.
	Last bool

	recorded, played, left atomic.Int64
}

// Counts tells how many responses were recorded, how many came from the recording, and how many were not recorded.
func (r *Recorder) Counts() (recorded, played, left int) {
	return int(r.recorded.Load()), int(r.played.Load()), int(r.left.Load())
}

// RoundTrip implements http.RoundTripper. A response is recorded when its body has been read to the end; the reader sees the
// end after that.
func (r *Recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	c := r.Cassette
	if !c.records(req.Method) || len(req.Header["Upgrade"]) > 0 {
		r.left.Add(1)
		return r.Base.RoundTrip(req)
	}
	key, ok, err := c.key(req)
	if err != nil {
		return nil, err
	}
	if !ok {
		r.notRecorded("its request is too large", nil)
		return r.Base.RoundTrip(req)
	}
	take := c.next(key)
	if r.New {
		e, ok, err := c.responses.GetEntry(req.Context(), r.place(key, take))
		if err != nil {
			return nil, err
		}
		if ok {
			r.played.Add(1)
			return e.Response(req)
		}
	}
	return r.send(req, key, take)
}

// place is the key that a take is recorded under.
func (r *Recorder) place(key request.AnyKey, take int) request.AnyKey {
	if r.Last {
		take = 1
	}
	return ofTake(key, take)
}

const (
	mostOfRest = 1 << 20 // bytes of a body that is closed early which are read, so that it can be recorded
	restTime   = 5 * time.Second
)

// send sends a request, and lets the response record itself. That the caller gives up does not end the request at once.
func (r *Recorder) send(req *http.Request, key request.AnyKey, take int) (*http.Response, error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(req.Context()))
	stop := context.AfterFunc(req.Context(), func() { time.AfterFunc(restTime, cancel) })
	resp, err := r.Base.RoundTrip(req.WithContext(ctx))
	if err != nil {
		stop()
		cancel()
		r.Cassette.back(key, take)
		return nil, err
	}
	if resp.StatusCode < http.StatusOK { // another protocol, whose body is the connection
		r.left.Add(1)
		return resp, nil
	}
	asItCame := *resp
	asItCame.Header = resp.Header.Clone() // the caller may change it
	rec := &recording{r: r, resp: resp, head: asItCame, body: resp.Body, key: key, take: take, ctx: ctx, end: func() {
		stop()
		cancel()
	}}
	if resp.Body == http.NoBody {
		rec.save()
	}
	resp.Body = rec
	return resp, nil
}

func (r *Recorder) notRecorded(why string, err error) {
	r.left.Add(1)
	if err != nil {
		r.Log.Warn("a response is not recorded: "+why, "error", err)
	} else {
		r.Log.Warn("a response is not recorded: " + why)
	}
}

// Finish closes the gaps that requests have left whose answers did not come, and deletes what an earlier recording has left
// of requests that came more often then. It is called when no request comes any more.
func (r *Recorder) Finish(ctx context.Context) error {
	c := r.Cassette
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, t := range c.takes {
		if t.last == 0 {
			continue
		}
		kept := t.last
		switch {
		case !r.Last:
			var err error
			if kept, err = r.closeGaps(ctx, key, t); err != nil {
				return fmt.Errorf("move the takes behind one that did not come: %w", err)
			}
		case !r.New:
			kept = 1
		}
		for take := kept + 1; take <= t.last || !r.New; take++ {
			deleted, err := c.responses.Delete(ctx, ofTake(key, take))
			if err != nil {
				return fmt.Errorf("delete take %d of an earlier recording: %w", take, err)
			}
			if !deleted && take > t.last {
				break
			}
		}
	}
	return nil
}

// closeGaps moves takes to where others did not come, so that they are played from the first one, and returns the last.
func (r *Recorder) closeGaps(ctx context.Context, key request.AnyKey, t *takes) (last int, err error) {
	responses := r.Cassette.responses
	for take := 1; take <= t.last; take++ {
		if _, gap := slices.BinarySearch(t.free, take); gap {
			continue
		}
		if last++; last == take {
			continue
		}
		e, ok, err := responses.GetEntry(ctx, ofTake(key, take), repository.AllowExpired())
		if err != nil {
			return last, err
		}
		if ok {
			err = responses.SaveEntry(ctx, ofTake(key, last), e)
		}
		if err != nil {
			return last, err
		}
	}
	return last, nil
}

// recording is a body that is recorded while it is read.
type recording struct {
	r    *Recorder
	resp *http.Response // has the trailer, once the body is read
	head http.Response
	body io.ReadCloser
	key  request.AnyKey
	take int
	ctx  context.Context // of the request to the API
	end  func()

	read  bytes.Buffer
	ended bool // it was saved, or cannot be
}

func (b *recording) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if b.ended {
		return n, err
	}
	b.read.Write(p[:n])
	switch {
	case b.read.Len() > MaxBody:
		b.give("it is too large", nil)
	case errors.Is(err, io.EOF):
		b.save()
	case err != nil:
		b.give("it is not complete", err)
	}
	return n, err
}

// Close reads what is left of the body, as far as that is not much.
func (b *recording) Close() error {
	if !b.ended {
		timer := time.AfterFunc(restTime, b.end)
		_, err := io.CopyN(io.Discard, b, mostOfRest)
		timer.Stop()
		if !b.ended {
			b.give("its reader left before the end", err)
		}
	}
	err := b.body.Close()
	b.end()
	return err
}

func (b *recording) give(why string, err error) {
	b.ended = true
	b.read = bytes.Buffer{}
	b.r.Cassette.back(b.key, b.take)
	b.r.notRecorded(why, err)
}

func (b *recording) save() {
	if err := b.store(); err != nil {
		b.give("it cannot be saved", err)
		return
	}
	b.ended = true
	b.r.recorded.Add(1)
}

func (b *recording) store() error {
	c := b.r.Cassette
	b.head.Trailer = b.resp.Trailer
	h := head.Of(&b.head)
	if c.Cookies {
		h = head.Whole(&b.head)
	}
	e, err := repository.NewEntry(b.resp.StatusCode, h, b.read.Bytes())
	if err != nil {
		return err
	}
	return c.responses.SaveEntry(context.WithoutCancel(b.ctx), b.r.place(b.key, b.take), e)
}
