package origin

import (
	"context"
	"errors"
	"sync/atomic"
)

// ErrRetryBudget means that a request failed with an error and would have been sent
// again, had its [RetryBudget] not been used up. It comes wrapped, together with the
// error of the last attempt: use [errors.Is].
var ErrRetryBudget = errors.New("origin: the budget of retries is used up")

// RetryBudget is a number of retries for all requests of a task, so that a task of a
// thousand requests does not send four thousand to a server that fails. Many goroutines
// may use it at once.
type RetryBudget struct {
	left      atomic.Int64
	exhausted atomic.Bool
}

// NewRetryBudget returns a budget of n retries. 0 or less is none.
func NewRetryBudget(n int) *RetryBudget {
	b := &RetryBudget{}
	b.left.Store(int64(max(0, n)))
	return b
}

// Exhausted reports whether a request was final for want of a retry. A budget whose last
// retry was taken, but that nobody has needed since, is not exhausted. It tells about
// a response what [ErrRetryBudget] tells about an error, though of all requests
// that share the budget.
func (b *RetryBudget) Exhausted() bool { return b.exhausted.Load() }

// take takes a retry, where there is one. Nil is without limit.
func (b *RetryBudget) take() bool {
	if b == nil || b.left.Add(-1) >= 0 {
		return true
	}
	b.exhausted.Store(true)
	return false
}

// WithRetryBudget returns a context whose requests share the retries of b, through
// whichever [Retrier] they are sent. It replaces the budget that ctx has, and nil means
// none: how often a request is sent then depends on its Retrier alone.
func WithRetryBudget(ctx context.Context, b *RetryBudget) context.Context {
	return context.WithValue(ctx, budgeted{}, b)
}

// budgeted is the key of a context's budget.
type budgeted struct{}

func budgetOf(ctx context.Context) *RetryBudget {
	b, _ := ctx.Value(budgeted{}).(*RetryBudget)
	return b
}

// budgetError is the error of the last attempt, for which there was no retry left.
type budgetError struct{ err error }

func (e *budgetError) Error() string   { return e.err.Error() + ": " + ErrRetryBudget.Error() }
func (e *budgetError) Unwrap() []error { return []error{e.err, ErrRetryBudget} }

// Timeout is for [net/url.Error], which asks its error alone.
func (e *budgetError) Timeout() bool { return isTimeout(e.err) }
