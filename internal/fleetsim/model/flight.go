package model

import "time"

// flight is a request to the origin for one key, or the wait for that of another process.
type flight struct {
	process *process
	life    int // of the process
	key     int
	seen    entry    // what made it begin; not what has changed since
	callers []caller // none: it is a renewal in the background
	pause   time.Duration
	waits   bool // it is to be told of changes
}

// The pauses between two looks of a flight that waits, which grow by half. Each is up to a
// quarter shorter or longer, so that the waiting processes spread.
const (
	firstPause   = 5 * time.Millisecond
	longestPause = 100 * time.Millisecond
)

func (f *flight) gone() bool { return f.process.life != f.life }

func (f *flight) begin() {
	if f.process.run.Settings.Lease == 0 {
		f.ask()
		return
	}
	f.take()
}

// take tries to take the lease. Who has it looks once more, as another may have held it and
// saved an answer since the look that made the flight begin.
func (f *flight) take() {
	store := &f.process.run.store
	store.take(f, func(l lease) {
		switch {
		case f.gone():
		case l.holder != f:
			f.yield(l)
		default:
			store.get(f.key, func(e entry) {
				switch {
				case f.gone():
				case f.answers(e):
					store.release(f)
					f.land(e)
				default:
					f.seen = e
					f.ask()
				}
			})
		}
	})
}

// answers reports whether e is live and was not there when the flight began.
func (f *flight) answers(e entry) bool {
	return e.live(f.process.run.Now()) && e.version != f.seen.version
}

// yield is for a flight whose lease another process holds: a renewal is left to that, and
// whoever waits for an answer looks for it.
func (f *flight) yield(l lease) {
	if len(f.callers) == 0 {
		f.process.spared[f.key] = l.until
		f.end()
		return
	}
	r := f.process.run
	if r.Settings.Tier && r.Costs.Notify != nil {
		f.waits = true
		r.keys[f.key].waiting = append(r.keys[f.key].waiting, f)
		r.At(l.until, f.told) // its holder may have been killed
		return
	}
	f.pause = min(max(f.pause+f.pause/2, firstPause), longestPause)
	jitter := time.Duration(r.random.Int64N(int64(f.pause)/2)) - f.pause/4
	r.At(min(r.Now()+f.pause+jitter, l.until), f.look)
}

// told is called when the key has changed, and when the lease has ended.
func (f *flight) told() {
	if f.waits {
		f.waits = false
		f.look()
	}
}

// look reads the entry and the lease, in one operation.
func (f *flight) look() {
	if f.gone() {
		return
	}
	r := f.process.run
	r.store.get(f.key, func(e entry) {
		l := r.keys[f.key].lease
		switch {
		case f.gone():
		case f.answers(e):
			f.land(e)
		case l.held(r.Now()):
			f.yield(l)
		default:
			f.take()
		}
	})
}

// ask asks the origin and saves the answer.
func (f *flight) ask() {
	r := f.process.run
	k, sent := &r.keys[f.key], r.Now()
	k.underWay++
	r.tally.request(k.underWay, f.answers(k.entry))
	r.origin.ask(func(took time.Duration) {
		k.underWay--
		if f.gone() {
			return
		}
		r.store.save(f.key, entry{sent: sent, expires: r.Now() + r.Life, took: took}, func(e entry) {
			if f.gone() {
				return
			}
			if r.Settings.Lease > 0 {
				r.store.release(f)
			}
			f.land(e)
		})
	})
}

// land answers those who wait.
func (f *flight) land(e entry) {
	f.process.keep(f.key, e)
	f.end()
	now := f.process.run.Now()
	for _, c := range f.callers {
		f.process.run.tally.answer(now - c.arrived)
	}
}

func (f *flight) end() {
	f.process.landed[f.key] = f.process.run.Now()
	delete(f.process.flights, f.key)
}
