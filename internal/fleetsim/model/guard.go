package model

import "time"

// guard keeps a store that is slow from holding a process up: as in package exchange, the
// process leaves the store alone for a while when an operation has taken too long, and longer
// each time.
type guard struct {
	process *process
	pause   time.Duration
	until   time.Duration // when the store is tried again; 0: it is not left alone
	probing bool
}

// Of cache.Options.StoreTimeout, the default; the others are those of package exchange.
const (
	storeTimeout = time.Second
	firstAlone   = 250 * time.Millisecond
	longestAlone = 5 * time.Second
)

// do has an operation done, unless the store is left alone, and reports whether it has. Then is
// called with false for one that is not done, or not in time; never for a process that has been
// killed meanwhile.
func (g *guard) do(c *Cost, effect func(), then func(ok bool)) bool {
	if g.until != 0 {
		g.probe()
		then(false)
		return false
	}
	p, life := g.process, g.process.life
	p.run.store.do(c, effect, func(ok bool) {
		if p.life != life {
			return
		}
		if !ok {
			g.fail()
		}
		then(ok)
	})
	return true
}

func (g *guard) fail() {
	g.pause = min(max(2*g.pause, firstAlone), longestAlone)
	g.until = g.process.run.Now() + g.pause
}

// probe finds out whether the store is fast again, if it has been left alone long enough.
func (g *guard) probe() {
	p, life := g.process, g.process.life
	if g.probing || p.run.Now() < g.until {
		return
	}
	g.probing = true
	p.run.store.do(&p.run.Costs.Get, func() {}, func(ok bool) {
		switch {
		case p.life != life:
			return
		case ok:
			*g = guard{process: p}
		default:
			g.probing = false
			g.fail()
		}
	})
}
