package fetch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/internal/exchange"
)

// batcher puts flights on as few requests as it can: a flight waits until there are
// enough of its group for a full request, until its time is up, or until it is flushed.
type batcher[K comparable, V any] struct {
	f      *Fetcher[K, V]
	source *source[K]
	wait   time.Duration // how long a group waits for more, from its first flight on; 0: for a flush
	most   int           // requests at once

	mu      sync.Mutex
	groups  map[any]*group
	order   []*group // of those that have flights, the oldest first
	held    int      // flights in groups
	ready   [][]*exchange.Flight
	workers int
	last    bool // no more flights will be added
}

// group are flights that can share a request.
type group struct {
	id      any
	flights []*exchange.Flight
	timer   *time.Timer
}

func newBatcher[K comparable, V any](f *Fetcher[K, V], wait time.Duration) *batcher[K, V] {
	return &batcher[K, V]{f: f, source: f.source, wait: wait, most: f.opts.Concurrency, groups: make(map[any]*group)}
}

// add takes flights over. Those that ask whether something still holds go alone, as a
// batch cannot ask that.
func (b *batcher[K, V]) add(flights ...*exchange.Flight) {
	left := flights
	defer func() {
		if len(left) > 0 { // the user's code has ended the goroutine
			b.fail(left, nil)
		}
	}()
	for _, fl := range flights {
		left = left[1:]
		b.addOne(fl)
	}
}

func (b *batcher[K, V]) addOne(fl *exchange.Flight) {
	id, ok, answered := b.groupOf(fl)
	if answered {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if ok {
		b.join(id, fl)
	} else {
		b.depart([]*exchange.Flight{fl})
	}
}

// groupOf is the group of a flight, where it can go with others. That is told by the
// user's code, so no lock is held; a panic of it is the flight's answer.
func (b *batcher[K, V]) groupOf(fl *exchange.Flight) (id any, ok, answered bool) {
	if fl.Conditional() {
		return nil, false, false
	}
	ended := false
	defer func() {
		if !ended {
			answered = true
			b.fail([]*exchange.Flight{fl}, recover())
		}
	}()
	id, ok = b.source.Group(keyOf[K, V](fl))
	if ok && !reflect.ValueOf(id).Comparable() && id != nil {
		panic(fmt.Sprintf("fetch: the group of a batch, a %T, is not comparable", id))
	}
	ended = true
	if a := fl.Ask(); ok && a.Table.Scoped() {
		id = identityGroup{a.Key[0], id} // a request has the credentials of one identity
	}
	return id, ok, false
}

// identityGroup is a group of keys of one identity.
type identityGroup struct{ identity, group any }

// flushed is add for flights that wait for no others.
func (b *batcher[K, V]) flushed(flights ...*exchange.Flight) {
	b.add(flights...)
	b.flush()
}

func keyOf[K comparable, V any](fl *exchange.Flight) K { return fl.Ask().Door.(*door[K, V]).key }

// join adds a flight to its group, and sends that when it is full. The lock is held.
func (b *batcher[K, V]) join(id any, fl *exchange.Flight) {
	g := b.groups[id]
	if g == nil {
		g = &group{id: id}
		b.groups[id] = g
		b.order = append(b.order, g)
		if b.wait > 0 {
			g.timer = time.AfterFunc(b.wait, func() { b.timedOut(g) })
		}
	}
	g.flights = append(g.flights, fl)
	b.held++
	if len(g.flights) < b.source.BatchSize() {
		return
	}
	b.held -= len(g.flights)
	g.flights = exchange.Wanted(g.flights)
	b.held += len(g.flights)
	if len(g.flights) >= b.source.BatchSize() {
		b.send(g)
	}
}

func (b *batcher[K, V]) timedOut(g *group) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.groups[g.id] == g {
		b.send(g)
	}
}

// send lets a group depart. The lock is held.
func (b *batcher[K, V]) send(g *group) {
	if g.timer != nil {
		g.timer.Stop()
	}
	delete(b.groups, g.id)
	for i, other := range b.order {
		if other == g {
			b.order = append(b.order[:i], b.order[i+1:]...)
			break
		}
	}
	if len(g.flights) == 0 { // nobody waited for any of them when it was full
		return
	}
	b.held -= len(g.flights)
	b.depart(g.flights)
}

// flush sends all that waits.
func (b *batcher[K, V]) flush() { b.flushTo(0) }

// end is flush where no more flights will be added: once all are answered, what has been
// received has nothing to wait for before it is saved.
func (b *batcher[K, V]) end() {
	b.flush()
	b.mu.Lock()
	b.last = true
	idle := b.workers == 0
	b.mu.Unlock()
	if idle {
		b.f.current().SaveNow()
	}
}

// flushTo sends the groups that have waited for the longest, until no more flights wait
// than that.
func (b *batcher[K, V]) flushTo(held int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.held > held {
		b.send(b.order[0])
	}
}

// waiting is how many flights wait for others.
func (b *batcher[K, V]) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held
}

// depart sends flights with one request, as soon as another may be made. The lock is
// held.
func (b *batcher[K, V]) depart(flights []*exchange.Flight) {
	b.ready = append(b.ready, flights)
	if b.workers < b.most {
		b.workers++
		go b.work()
	}
}

// work makes one request after another while there are any.
func (b *batcher[K, V]) work() {
	ended := false
	defer func() {
		if !ended { // the user's code has ended the goroutine: another one makes the others
			go b.work()
		}
	}()
	for {
		b.mu.Lock()
		if len(b.ready) == 0 {
			b.workers--
			answered := b.last && b.workers == 0
			ended = true
			b.mu.Unlock()
			if answered {
				b.f.current().SaveNow()
			}
			return
		}
		flights := b.ready[0]
		b.ready[0] = nil // its payloads are not to be held
		b.ready = b.ready[1:]
		b.mu.Unlock()
		b.run(flights)
	}
}

// board takes those of the flights for which callers still wait on a request. They count
// among what the client does until they have landed.
func (b *batcher[K, V]) board(flights []*exchange.Flight) ([]*exchange.Flight, *exchange.Trip) {
	left, trip := exchange.Board(flights)
	b.f.client.closing.expect(len(left))
	return left, trip
}

// claim gets the leases of flights, and returns those that may be sent now.
func (b *batcher[K, V]) claim(flights []*exchange.Flight) (mine []*exchange.Flight) {
	claimed := false
	defer func() {
		if !claimed { // the user's code has ended the goroutine
			b.fail(flights, nil)
		}
	}()
	mine = exchange.Claim(flights)
	claimed = true
	return mine
}

// run makes the request for flights, and halves of it where they are refused together.
func (b *batcher[K, V]) run(flights []*exchange.Flight) {
	if flights = b.claim(flights); len(flights) == 0 {
		return
	}
	left, trip := b.board(flights)
	defer trip.Done()
	if len(left) == 0 {
		return
	}
	closing := &b.f.client.closing
	if !closing.enter() {
		exchange.Deliver(repliesOf(left, nil, fmt.Errorf("fetch: %w", ErrClosed)))
		return
	}
	defer closing.leave()
	defer context.AfterFunc(closing.ctx, func() { trip.End(ErrClosed) })()
	ctx := trip.Context()
	defer func() {
		// The user's code has panicked, or ended the goroutine.
		p := recover()
		exchange.Deliver(repliesOf(left, p, errEnded))
	}()
	if len(left) == 1 && left[0].Conditional() {
		fl := left[0]
		replies := []exchange.Reply{b.askOne(ctx, fl)}
		left = nil
		exchange.Deliver(replies)
		return
	}
	b.ask(ctx, &left)
	for len(left) > 0 {
		own, stop := trip.On(left[0])
		defer stop()
		b.ask(own, &left)
	}
}

// ask makes the request for flights on behalf of the first one, and takes those out of left
// that it answers. The callers of the others may not have what came for the first one's.
func (b *batcher[K, V]) ask(ctx context.Context, left *[]*exchange.Flight) {
	first, keys := (*left)[0], make([]K, len(*left))
	for i, fl := range *left {
		keys[i] = keyOf[K, V](fl)
	}
	asked := *left
	var others []*exchange.Flight
	defer func() { *left = append(asked, others...) }() // also where the user's code panics
	b.source.ask(ctx, keys, false, func(_ int, answers []answer) {
		replies := make([]exchange.Reply, 0, len(answers))
		for i := range answers {
			if resp := answers[i].resp; resp != nil && !asked[i].MayTake(resp, first) { //nolint:bodyclose // it has been read
				others = append(others, asked[i])
				continue
			}
			replies = append(replies, answers[i].reply(asked[i]))
		}
		asked = asked[len(answers):]
		exchange.Deliver(replies)
	})
}

// askOne asks whether what is stored still holds.
func (b *batcher[K, V]) askOne(ctx context.Context, fl *exchange.Flight) exchange.Reply {
	a := b.source.askOne(ctx, keyOf[K, V](fl), conditionsOf(fl.Conditions()))
	if a.err == nil && fl.ConfirmsAnother(a.resp) {
		a = b.source.askOne(ctx, keyOf[K, V](fl), nil)
	}
	return a.reply(fl)
}

var errEnded = errors.New("fetch: a function of the settings or of the client ended its goroutine")

// fail answers flights that are not sent, as the user's code has panicked or ended the
// goroutine. Those that nobody waits for have ended by themselves.
func (b *batcher[K, V]) fail(flights []*exchange.Flight, panicked any) {
	left, trip := b.board(flights)
	defer trip.Done()
	exchange.Deliver(repliesOf(left, panicked, errEnded))
}

func repliesOf(flights []*exchange.Flight, panicked any, err error) []exchange.Reply {
	replies := make([]exchange.Reply, len(flights))
	for i, fl := range flights {
		replies[i] = exchange.Reply{Flight: fl, Err: err, Panic: panicked}
	}
	return replies
}

func (a answer) reply(fl *exchange.Flight) exchange.Reply {
	resp, err := a.response() //nolint:bodyclose // it has been read
	return exchange.Reply{Flight: fl, Response: resp, Payload: a.body, Err: err}
}

// leftOut is the status of a key that the answer to a batch has left out.
const leftOut = "404 left out of a batch"

// response is the answer as the exchange takes it: that a batch has left a key out is a
// response, too.
func (a answer) response() (*http.Response, error) {
	if errors.Is(a.err, errLeftOut) {
		return &http.Response{
			Status: leftOut, StatusCode: http.StatusNotFound, Header: make(http.Header), Body: http.NoBody,
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: a.resp.Request,
		}, nil
	}
	return a.resp, a.err
}
