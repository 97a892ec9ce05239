package outage

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2/toxics"
)

// stranding is a toxic that swallows all on the connections that begin while it is
// switched on, for ever: after a failover, or when a router has lost its state,
// new connections get through and the old ones stay dead.
type stranding struct{}

var isStranding atomic.Bool

func init() { toxics.Register("stranding", new(stranding)) }

func (stranding) Pipe(stub *toxics.ToxicStub) {
	dead := isStranding.Load()
	for {
		select {
		case <-stub.Interrupt:
			return
		case chunk := <-stub.Input:
			switch {
			case chunk == nil:
				stub.Close()
				return
			case !dead:
				stub.Output <- chunk
			}
		}
	}
}

// givenUp is how long the driver tries to end a connection in an orderly way, or to
// begin one; that takes up a place in the pool.
const givenUp = 15 * time.Second

// The connections there are will never answer again, while new ones do.
func TestConnectionsStranded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.startLoad(300 * time.Millisecond)
	if !l.await(time.Now(), back) {
		t.Fatal("the load does not begin")
	}
	isStranding.Store(true)
	w.toxic("stranding", `{}`, "upstream", "downstream")
	time.Sleep(time.Second)
	isStranding.Store(false)
	l.expectBack(givenUp + back)
	l.stop()
	w.expectClosed()
}
