package model

import (
	"time"

	"github.com/endpointcache/endpointcache/internal/fleetsim/simulation"
)

// Origin is what the processes ask.
type Origin struct {
	Latency   simulation.Distribution // of a request that no other is in the way of
	PerSecond float64                 // the requests that it answers at most; 0: any number
}

type origin struct {
	run  *run
	line simulation.Line
}

// ask calls then when the answer has come, with the time that it took.
func (o *origin) ask(then func(took time.Duration)) {
	var serve time.Duration
	if o.run.Origin.PerSecond > 0 {
		serve = time.Duration(float64(time.Second) / o.run.Origin.PerSecond)
	}
	took := o.line.Join(o.run.Now(), serve) + o.run.Origin.Latency.Draw(o.run.random)
	o.run.After(took, func() { then(took) })
}
