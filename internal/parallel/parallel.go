// Package parallel does the parts of one piece of work at once.
package parallel

import "sync"

// Do calls part with 0 to n-1, each on a goroutine of its own, the first on the
// caller's. When all have ended it returns the first of their errors. Should one
// panic, so does Do, instead of the process.
func Do(n int, part func(i int) error) error {
	if n == 1 {
		return part(0)
	}
	var (
		wait     sync.WaitGroup
		errs     = make([]error, n)
		panicked = make([]any, n)
	)
	guarded := func(i int) {
		defer func() { panicked[i] = recover() }()
		errs[i] = part(i)
	}
	for i := 1; i < n; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			guarded(i)
		}()
	}
	guarded(0)
	wait.Wait()
	for i := range n {
		if panicked[i] != nil {
			panic(panicked[i])
		}
		if errs[i] != nil {
			return errs[i]
		}
	}
	return nil
}
