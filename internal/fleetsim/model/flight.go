package model

import "time"

// flight is a request to the origin for one key, or the wait for that of another process.
type flight struct {
	process *process
	life    int // of the process
	key     int
	seen    entry    // what made it begin
	callers []caller // none: it is a renewal in the background
	unsaved bool     // the store has failed, and is not to be bothered with it
	pause   time.Duration
	waits   int  // counts the beginnings and ends of waits: it is odd while the flight waits
	listens bool // it is told of the next change
}

// The pauses between two looks of a flight that waits for another process's lease grow by a
// half, as in package exchange.
const (
	firstPause   = 5 * time.Millisecond
	longestPause = 100 * time.Millisecond
)

// jittered is about d.
func (f *flight) jittered(d time.Duration) time.Duration {
	return d/2 + time.Duration(f.process.run.random.Int64N(int64(d)))
}

func (f *flight) gone() bool { return f.process.life != f.life }

func (f *flight) begin() {
	if f.process.run.Settings.Lease == 0 || f.unsaved {
		f.ask()
		return
	}
	f.pause = firstPause
	f.take()
}

// take tries to take the lease. Who has it looks once more, as another may have held it and
// saved an answer since the look that made the flight begin. Where the store fails, there is
// no lease.
func (f *flight) take() {
	store := &f.process.run.store
	store.take(f, func(mine, ok bool) {
		switch {
		case !ok:
			f.ask()
		case !mine:
			f.wait()
		default:
			store.get(f.process, f.key, func(e entry, _ bool) {
				if f.answers(e) {
					store.release(f)
					f.landElsewhere()
					return
				}
				f.ask()
			})
		}
	})
}

// answers reports whether e is live and was not there when the flight began.
func (f *flight) answers(e entry) bool {
	return e.live(f.process.run.Now()) && e.version != f.seen.version
}

// wait plans the next look, for a flight whose lease another process holds. Where the tier
// hears of the key first, it comes at once.
func (f *flight) wait() {
	r := f.process.run
	if r.Settings.Tier && !f.listens {
		f.listens = true
		k := &r.keys[f.key]
		k.listening = append(k.listening, f)
	}
	f.waits++
	turn := f.waits
	r.After(f.jittered(f.pause), func() {
		if turn == f.waits {
			f.look()
		}
	})
	f.pause = min(f.pause*3/2, longestPause)
}

// told is called when the process hears of a change of the key.
func (f *flight) told() {
	f.listens = false
	if f.waits%2 == 1 {
		f.look()
	}
}

// look looks for an answer, and if there is none, for what has become of the lease. Where the
// store fails, it asks without one.
func (f *flight) look() {
	f.waits++
	if f.gone() {
		return
	}
	store := &f.process.run.store
	store.get(f.process, f.key, func(e entry, ok bool) {
		switch {
		case !ok:
			f.ask()
			return
		case f.answers(e):
			f.landElsewhere()
			return
		}
		store.seeLease(f, func(held, ok bool) {
			switch {
			case !ok:
				f.ask()
			case held:
				f.wait()
			default:
				f.take()
			}
		})
	})
}

// ask asks the origin and saves the answer.
func (f *flight) ask() {
	r := f.process.run
	k, sent := &r.keys[f.key], r.Now()
	k.underWay++
	r.tally.request(k.underWay, k.saving > 0 || f.answers(k.entry))
	r.origin.ask(func(took time.Duration) {
		k.underWay--
		switch e := (entry{sent: sent, expires: r.Now() + r.Life, took: took}); {
		case f.gone():
		case f.unsaved:
			f.land(e)
		default:
			r.store.save(f.process, f.key, e, func(e entry, _ bool) {
				if r.Settings.Lease > 0 {
					r.store.release(f)
				}
				f.land(e)
			})
		}
	})
}

// landElsewhere ends a flight that another process has asked for. Its callers read what that
// has stored.
func (f *flight) landElsewhere() {
	delete(f.process.flights, f.key)
	for _, c := range f.callers {
		f.process.lookBelow(c)
	}
}

// land answers those who wait.
func (f *flight) land(e entry) {
	if e.version > 0 { // it is saved
		f.process.keep(f.key, e)
	}
	delete(f.process.flights, f.key)
	for _, c := range f.callers {
		f.process.answer(c)
	}
}
