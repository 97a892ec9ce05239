package exchange

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// Ask is what a door wants to know: the response that a table has for a key, or that
// the origin would give.
type Ask struct {
	Terms
	Table *Table
	Key   driver.Key

	// Request is the caller's, to be read only. A typed door leaves it nil: Door builds
	// it where a policy or a Vary header asks for it.
	Request *http.Request

	// Door asks the origin.
	Door Door

	// Cancel ends the caller's wait beside its context; it may be nil.
	Cancel <-chan struct{}

	Alone    bool // the origin alone can tell: nothing stored is looked at, nothing shared
	Partial  bool // the origin's answer to the request as it stands is for this caller alone
	ReadOnly bool // the answer is not one of the key, as a HEAD's
	Bare     bool // the payload of what is stored is not wanted
	Meta     bool // its headers and times are wanted, in any case
	Distrust bool // what is stored cannot be decoded
	Batched  bool // flights are sent by Door.Launch, perhaps with others
	Gathers  bool // so are renewals in the background

	// Doubt is true while the origin's word that it has nothing is not believed: it is
	// neither kept nor does it remove what is stored. See [Table.SaveAbsences].
	Doubt *atomic.Bool

	// MostUnsaved lets the answer wait to be saved together with others, as no caller
	// waits for it. It is how many bodies may wait; a process that is killed loses them.
	MostUnsaved int

	// Answers counts useful answers of the flights that a door sends itself, as soon as
	// they have come: the flights land later, when they are saved. It may be nil.
	Answers *atomic.Int64

	key     string    // encoded
	present bool      // the store has an entry for the key, of use or not
	why     ground    // it is of no use
	asOf    time.Time // CachedAt of that
	looked  int       // how often the store was asked again, after another flight had landed
	built   bool      // Door.Build was asked
	apart   bool      // it has left a flight whose answer was another variant
	below   bool      // the store is asked for what nothing in between knows
	unread  bool      // the payload of a variant is not read: it is only judged
	vary    []string  // by what the latest response of the key varies, as far as is known and the ask heeds it

	// Of one get: it needs no memory of its own.
	keys  [1]driver.Key
	sel   driver.Selection
	found driver.Entry
	ok    bool

	// Of one of many asks.
	old         *Stored
	conditional bool
	alone       bool
	flight      *Flight
	first       bool
	gaveUp      bool
}

// Door asks the origin on behalf of an ask.
type Door interface {
	// Begin is called on the caller's goroutine when a flight begins. It returns what
	// sends the request, and a request for the policies that is not the caller's, nil
	// where Build makes it.
	Begin(f *Flight) (Send, *http.Request)

	// Landed is called when a flight has landed that was sent: Begin was called for it, or
	// it has boarded a trip.
	Landed(f *Flight)

	// Build returns the request as policies see it, nil where there is none. It may be
	// called by the flight's goroutine.
	Build() *http.Request

	// Launch takes over flights of the door's table that are not sent by Begin; the first
	// is the door's. The door answers them by [Deliver], whatever happens.
	Launch(flights ...*Flight)
}

// Send asks the origin. Stored are the headers of the response that the request is to
// ask about, with its validators; nil for a request without. The body of the response is
// read from it, or where whole is true it is payload.
type Send func(ctx context.Context, stored http.Header) (resp *http.Response, payload []byte, whole bool, err error)

// Repeat makes a, which asks the same, one that goes on from where another has ended.
func (a *Ask) Repeat(before *Ask) {
	a.looked, a.below, a.alone, a.Distrust = before.looked, before.below, before.alone, before.Distrust
}

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

// request is the request as policies and variants see it, nil where there is none, as
// where the endpoint panics: nobody may be there to recover.
func (a *Ask) request() *http.Request {
	if a.Request == nil && !a.built {
		a.built = true
		if !a.Table.x.call(func() { a.Request = a.Door.Build() }) {
			a.Request = nil
		}
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
