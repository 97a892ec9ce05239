package compress

import (
	"context"
	"math"
	"time"

	"github.com/klauspost/compress/dict"

	"github.com/endpointcache/endpointcache/driver"
)

// How much a dictionary is made of.
const (
	samples     = 1000
	sampleBytes = 8 << 20  // of all of them
	sampleSize  = 64 << 10 // of each: what bodies have in common is at their beginning
	mostSkipped = 8        // entries for each that is taken
	heldOut     = 5        // one of so many is not used, but tells how good the dictionary is
)

// The form of a dictionary.
const (
	dictionarySize = 16 << 10
	hashBytes      = 6
)

// worth is how much smaller frames have to be for another dictionary.
const worth = 0.95

// choice is a dictionary, and the size of frames with it to that of the bodies held out.
type choice struct {
	content []byte // nil: none
	ratio   float64
	before  float64 // the ratio when it was made
}

// suits reports whether it does about as well as it did on bodies like those it was made of.
func (c choice) suits() bool { return c.ratio <= worseBy*c.before }

// choose takes the dictionary that suits some entries: the current one, else one that the
// store has, as their kind may have come before, else one that is made of them. Each has to
// be better than those before it; none is made where one that the store has suits them.
func (s *saver) choose(ctx context.Context, current *dictionary, count int, of sampled) error {
	bodies, err := s.t.sample(ctx, of)
	if err != nil {
		return err
	}
	var training, held [][]byte
	for i, body := range bodies {
		if i%heldOut == 0 {
			held = append(held, body)
		} else {
			training = append(training, body)
		}
	}
	var now choice
	if current != nil {
		now.content = s.t.known.codec(current.id).dictionary
	}
	now.ratio = newCodec(now.content).ratio(held)
	best, stored, err := s.bestStored(ctx, held)
	if err != nil {
		return err
	}
	if best.ratio > worth*now.ratio {
		best = now
	}
	if stored < mostStored && (best.ratio > worth*now.ratio || !best.suits()) {
		if made := build(training); made != nil {
			if ratio := newCodec(made).ratio(held); ratio <= worth*best.ratio {
				best = choice{made, ratio, ratio}
			}
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if best.ratio > worth*now.ratio {
		s.leave(current, count, now.ratio)
		return nil
	}
	return s.use(ctx, current, count, best)
}

// bestStored is the best of the dictionaries that the store has, whose number it returns.
func (s *saver) bestStored(ctx context.Context, held [][]byte) (best choice, n int, err error) {
	stored, err := s.t.known.stored(ctx)
	best.ratio = math.Inf(1)
	for _, one := range stored {
		found, err := s.t.known.find(ctx, one.id)
		if err != nil {
			return best, 0, err
		}
		if found == nil {
			continue
		}
		if ratio := newCodec(found.dictionary).ratio(held); ratio < best.ratio {
			best = choice{found.dictionary, ratio, one.ratio}
		}
	}
	return best, len(stored), err
}

// use makes a dictionary the current one, here and for all on the store.
func (s *saver) use(ctx context.Context, current *dictionary, count int, best choice) error {
	since := instant(s.t.opts.Now())
	if current != nil && !since.After(current.since) { // of a clock that is ahead
		since = current.since.Add(time.Microsecond)
	}
	next := &dictionary{id: s.t.known.add(best.content).id, since: since, entries: count, ratio: best.before}
	if err := s.t.known.keep(ctx, next); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.with = next, newCodec(best.content)
	return nil
}

// leave keeps the current dictionary, and lets it do as well as it does now.
func (s *saver) leave(current *dictionary, count int, ratio float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if current == nil {
		s.next = 2 * count
		return
	}
	left := *current
	left.entries, left.ratio = count, ratio
	s.current = &left
}

// sample returns the bodies of some entries, from all over the first ones.
func (t *table) sample(ctx context.Context, of sampled) (bodies [][]byte, err error) {
	each := max(1, min(of.count/samples, mostSkipped))
	sel := driver.Selection{Filter: driver.Filter{Where: driver.Where{CachedFrom: instant(of.since)}}, Parts: driver.Payload}
	if of.since.IsZero() {
		sel.Where = driver.Where{}
	}
	size, i := 0, 0
	for e, err := range t.Entries(ctx, sel) {
		if err != nil {
			return nil, err
		}
		if i++; i%each != 0 || len(e.Payload) < minSize {
			continue
		}
		body := e.Payload[:min(len(e.Payload), sampleSize)]
		bodies = append(bodies, body)
		if size += len(body); len(bodies) == samples || size >= sampleBytes {
			break
		}
	}
	return bodies, nil
}

// build makes a dictionary of bodies, nil if they have nothing in common.
func build(bodies [][]byte) (dictionary []byte) {
	defer func() {
		if recover() != nil { // of bodies that nobody has foreseen
			dictionary = nil
		}
	}()
	const any = 1 // it is set to one that belongs to the contents
	dictionary, err := dict.BuildZstdDict(bodies, dict.Options{
		MaxDictSize: dictionarySize, HashBytes: hashBytes, ZstdDictID: any, ZstdDictCompat: true, ZstdLevel: level,
	})
	if err != nil {
		return nil
	}
	setID(dictionary)
	return dictionary
}

// ratio is the size of frames to that of the bodies.
func (c *codec) ratio(bodies [][]byte) float64 {
	from, to := 1, 1
	for _, body := range bodies {
		from += len(body)
		if frame := c.encode(body); frame != nil {
			to += len(frame)
		} else {
			to += len(body)
		}
	}
	return float64(to) / float64(from)
}
