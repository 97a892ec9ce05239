// Package waitfor lets tests wait for what servers and goroutines do by themselves, for
// as long as only a hang takes, so that no test fails because the machine is busy.
package waitfor

import (
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Limit is how long tests wait for what takes no time to speak of.
const Limit = time.Minute

// True waits until a condition holds, and ends the test where it does not. It belongs
// to the test's goroutine.
func True(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	Within(tb, Limit, what, holds)
}

// Within is True with another limit, for a test that has to fail.
func Within(tb testing.TB, limit time.Duration, what string, holds func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(limit); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// End runs a call, and ends the test where it does not return. It belongs to the test's
// goroutine; the call runs on another.
func End(tb testing.TB, what string, call func()) {
	tb.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		call()
	}()
	Receive(tb, what, ended)
}

// Receive returns what comes from a channel, or the zero value of one that is closed, and
// ends the test where nothing does. It belongs to the test's goroutine.
func Receive[T any](tb testing.TB, what string, from <-chan T) T {
	tb.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(Limit):
		tb.Fatalf("not within %v: %s", Limit, what)
		panic("unreachable")
	}
}

// Meeting returns a function that returns once it has been called n times, or after
// [Limit]: tests that count what happens at once let it happen. Calls after that do not
// wait.
func Meeting(n int) (join func()) {
	var came atomic.Int64
	met := make(chan struct{})
	return func() {
		if came.Add(1) == int64(n) {
			close(met)
		}
		select {
		case <-met:
		case <-time.After(Limit):
		}
	}
}

// Blocked waits until n goroutines of the process wait in a function, which is named as in a
// stack trace, without its package's path: "exchange.(*Flight).wait". Tests of what callers
// share let all of them come to where they wait for it.
func Blocked(tb testing.TB, n int, function string) {
	tb.Helper()
	stacks := make([]byte, 64<<10)
	True(tb, fmt.Sprintf("%d goroutines wait in %s", n, function), func() bool {
		size := runtime.Stack(stacks, true)
		for size == len(stacks) {
			stacks = make([]byte, 2*len(stacks))
			size = runtime.Stack(stacks, true)
		}
		blocked := 0
		for stack := range strings.SplitSeq(string(stacks[:size]), "\n\n") {
			state, calls, _ := strings.Cut(stack, "\n")
			if strings.Contains(calls, "/"+function+"(") && !strings.Contains(state, "[run") { // running or runnable
				blocked++
			}
		}
		return blocked >= n
	})
}
