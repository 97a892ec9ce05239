// Package background marks the contexts of work that no caller waits for, so that layers of the
// store do not take it for a part of the call whose values the context has.
package background

import "context"

// marked is compared by its context: work that one call has brought about has equal contexts.
type marked struct{ context.Context }

type key struct{}

// Value implements [context.Context].
func (m marked) Value(k any) any {
	if k == (key{}) {
		return true
	}
	return m.Context.Value(k)
}

// With returns a context for work in the background.
func With(ctx context.Context) context.Context { return marked{ctx} }

// In reports whether the work with a context is done in the background.
func In(ctx context.Context) bool { return ctx.Value(key{}) != nil }
