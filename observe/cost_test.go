package observe_test

import (
	"context"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/hooks"
)

// TestWhatIsCountedOftenAllocatesNothing is about the attributes of metrics, of which there are
// few: they are made once.
func TestWhatIsCountedOftenAllocatesNothing(t *testing.T) {
	h := newTelemetry(t).observer.Hooks()
	ctx := context.Background()
	answer := hooks.Answer{Repository: "tracks", Store: "memory", Result: hooks.Fresh, Keys: 1, Duration: time.Microsecond}
	if n := testing.AllocsPerRun(100, func() { h.Answered(ctx, answer) }); n > 0 {
		t.Errorf("an answer takes %v allocations", n)
	}
}
