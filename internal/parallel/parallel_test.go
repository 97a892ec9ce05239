package parallel

import (
	"errors"
	"sync/atomic"
	"testing"
)

func TestAllPartsEndBeforeDoReturns(t *testing.T) {
	failed := errors.New("failed")
	for n := 1; n <= 4; n++ {
		var done atomic.Int32
		err := Do(n, func(i int) error {
			done.Add(1)
			if i == n-1 {
				return failed
			}
			return nil
		})
		if !errors.Is(err, failed) || int(done.Load()) != n {
			t.Errorf("%d of %d parts were done: %v", done.Load(), n, err)
		}
	}
}

func TestAPanicIsTheCallers(t *testing.T) {
	for n := 1; n <= 4; n++ {
		var done atomic.Int32
		func() {
			defer func() {
				if p := recover(); p != "oops" {
					t.Errorf("recovered %v", p)
				}
			}()
			_ = Do(n, func(i int) error {
				defer done.Add(1)
				if i == n-1 {
					panic("oops")
				}
				return nil
			})
		}()
		if int(done.Load()) != n {
			t.Errorf("%d of %d parts had ended", done.Load(), n)
		}
	}
}
