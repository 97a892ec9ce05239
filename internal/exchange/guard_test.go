package exchange

import (
	"context"
	"errors"
	"testing"
	"time"
)

// A store may make contexts of the one that it gets, and look at them when its operation
// has ended: a connection's, for one.
func TestALimitedContextEndsWithItsOperation(t *testing.T) {
	for _, before := range []bool{true, false} {
		c := &limitedContext{Context: t.Context(), deadline: time.Now().Add(time.Hour)}
		if !before {
			c.stop()
		}
		derived, cancel := context.WithCancel(c)
		defer cancel()
		if before && derived.Err() != nil {
			t.Errorf("ended too early: %v", derived.Err())
		}
		c.stop()
		<-derived.Done()
		if !errors.Is(derived.Err(), context.Canceled) || c.Err() == nil {
			t.Errorf("derived before the end: %t: %v, %v", before, derived.Err(), c.Err())
		}
	}
}
