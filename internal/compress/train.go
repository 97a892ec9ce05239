package compress

import (
	"context"

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

// train makes a dictionary of some entries, and stores and uses it if it is better than the
// current one.
func (s *saver) train(ctx context.Context, current *dictionary, count int, of sampled) error {
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
	old := plain
	if current != nil {
		old = s.t.known.codec(current.id)
	}
	reference := old.ratio(held)
	content := build(training)
	if err := ctx.Err(); err != nil {
		return err
	}
	ratio := 1.0
	if content != nil {
		ratio = newCodec(content).ratio(held)
	}
	if ratio > worth*reference {
		s.leave(current, count, reference)
		return nil
	}
	with := s.t.known.add(content)
	made := &dictionary{id: with.id, made: instant(s.t.opts.Now()), entries: count, ratio: ratio}
	if err := s.t.known.keep(ctx, made); err != nil {
		return err
	}
	s.use(made, with)
	return nil
}

// use makes a new dictionary the current one.
func (s *saver) use(made *dictionary, with *codec) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.with = made, with
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
