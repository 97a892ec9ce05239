package exchange

import (
	"context"
	"net/http"

	"github.com/endpointcache/endpointcache/driver"
)

// Ask is what a door wants to know: the response that a table has for a key, or that
// the origin would give.
type Ask struct {
	Terms
	Table *Table
	Key   driver.Key

	// Request is the caller's, to be read only. A typed door may leave it nil and set
	// Build, which makes it when a policy or a Vary header asks for it; nil is none.
	Request *http.Request
	Build   func() *http.Request

	// Begin is called on the caller's goroutine when a flight begins, with the
	// context of the flight. It returns what sends the request, and a request for the
	// policies that is not the caller's, or nil for Build. Begin is nil where the door
	// sends flights itself, as it does for batches.
	Begin func(ctx context.Context) (Send, *http.Request)

	// Renew has a renewal in the background sent by the door, perhaps with others. Nil:
	// it is sent as Begin says.
	Renew func(*Flight)

	// Cancel ends the caller's wait beside its context; it may be nil.
	Cancel <-chan struct{}

	Alone    bool // the origin alone can tell: nothing stored is looked at, nothing shared
	Partial  bool // the origin's answer to the request as it stands is for this caller alone
	ReadOnly bool // the answer is not one of the key, as a HEAD's
	Bare     bool // the payload of what is stored is not wanted
	Idle     bool // nobody waits for the save, which may wait for others
	Distrust bool // what is stored cannot be decoded

	// Door is what the door keeps with the ask.
	Door any

	// Launch sends a flight of this ask, where Begin is nil.
	Launch func(*Flight)

	key    string // encoded
	looked int    // how often what a flight has left was looked for

	// Of one get, in the ask's own memory.
	keys  [1]driver.Key
	found driver.Entry
	ok    bool

	// Of one of many asks.
	old         *Stored
	conditional bool
	alone       bool
	flight      *Flight
	first       bool
}

// Send asks the origin. Stored are the headers of the response that the request is to
// ask about, with its validators; nil for a request without. The body of the response is
// read from it, or where whole is true it is payload.
type Send func(ctx context.Context, stored http.Header) (resp *http.Response, payload []byte, whole bool, err error)

func (a *Ask) flightKey() flightKey {
	if a.key == "" {
		a.key = encodeKey(a.Key)
	}
	return flightKey{a.Table.Name, a.key}
}

func encodeKey(key driver.Key) string {
	var room [64]byte
	return string(driver.AppendKey(room[:0], key))
}

// request is the request as policies and variants see it, nil where there is none.
func (a *Ask) request() *http.Request {
	if a.Request == nil && a.Build != nil {
		a.Request, a.Build = a.Build(), nil
	}
	return a.Request
}

// header is the header of the request.
func (a *Ask) header() http.Header {
	if req := a.request(); req != nil {
		return req.Header
	}
	return nil
}

// policyRequest is the request where a policy looks at it; it is not built in vain.
func (a *Ask) policyRequest() *http.Request {
	if a.Request != nil || !a.Rules.looksAtRequests() {
		return a.Request
	}
	return a.request()
}

// method is the request's. Typed calls only read.
func (a *Ask) method() string {
	if a.Request != nil && a.Request.Method != "" {
		return a.Request.Method
	}
	return http.MethodGet
}

// Outcome is what Cache-Status tells of an answer, RFC 9211.
type Outcome struct {
	Hit    bool
	Fwd    string // why the origin was asked
	Status int    // its status, where that is not the answer's
	Detail string
}
