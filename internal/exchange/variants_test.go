package exchange

import (
	"context"
	"strconv"
	"testing"
	"time"
)

// A slow save holds up others of its own key alone.
func TestVariantsOfDifferentKeysAreSavedAtOneTime(t *testing.T) {
	var v variants
	v.init(nil)
	ended, end := context.WithCancel(t.Context())
	end()
	done, err := v.saving(t.Context(), flightKey{table: "r", key: "a"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.saving(ended, flightKey{table: "r", key: "a"}); err == nil {
		t.Error("two save variants of one key")
	}
	free := 0
	for i := range 100 {
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if done, err := v.saving(short, flightKey{table: "r", key: strconv.Itoa(i)}); err == nil {
			free++
			done()
		}
		cancel()
	}
	if free < 50 {
		t.Errorf("%d of 100 other keys are free", free)
	}
	done()
}
