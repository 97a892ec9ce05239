package fetch

import (
	"context"
	"fmt"
	"math"
	"net/http/httptrace"
	"os"
	"time"
)

// clock ends an attempt that takes too long.
type clock struct {
	limit  time.Duration
	timer  *time.Timer
	cancel context.CancelCauseFunc
	trace  httptrace.ClientTrace
}

// withClock returns a context that ends when the limit has passed since an
// [http.Transport] was last given a request with it. So what waits above that has the
// time it needs. The clock is to be stopped.
func withClock(ctx context.Context, limit time.Duration) (context.Context, *clock) {
	c := &clock{limit: limit}
	ctx, c.cancel = context.WithCancelCause(ctx)
	c.timer = time.AfterFunc(math.MaxInt64, c.expire)
	c.trace.GetConn = c.begin
	return httptrace.WithClientTrace(ctx, &c.trace), c
}

func (c *clock) begin(string) { c.timer.Reset(c.limit) }

func (c *clock) expire() {
	c.cancel(fmt.Errorf("no answer within %v: %w", c.limit, os.ErrDeadlineExceeded))
}

func (c *clock) stop() {
	c.timer.Stop()
	c.cancel(nil)
}
