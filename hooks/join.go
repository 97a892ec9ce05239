package hooks

import (
	"context"
	"slices"
	"sync"
)

// Join returns hooks that call those of all, in their order. Of Requesting, each gets the
// context of the one before, and the functions at the end are called in the reverse order. One
// that panics does not keep the others from being called.
func Join(all ...Hooks) Hooks {
	var joined Hooks
	for _, h := range all {
		joined.Answered = then(joined.Answered, h.Answered)
		joined.Renewing = then(joined.Renewing, h.Renewing)
		joined.Evicted = then(joined.Evicted, h.Evicted)
		joined.Damaged = then(joined.Damaged, h.Damaged)
		joined.StoreFailed = then(joined.StoreFailed, h.StoreFailed)
		joined.StoreState = then(joined.StoreState, h.StoreState)
		joined.Lease = then(joined.Lease, h.Lease)
		joined.Requesting = around(joined.Requesting, h.Requesting)
		joined.Prefetching = during(joined.Prefetching, h.Prefetching)
	}
	return joined
}

func then[E any](first, second func(context.Context, E)) func(context.Context, E) {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	return func(ctx context.Context, e E) {
		defer second(ctx, e) // also where the first panics
		first(ctx, e)
	}
}

func around[B, E any](outer, inner func(context.Context, B) (context.Context, func(E))) func(context.Context, B) (context.Context, func(E)) {
	switch {
	case outer == nil:
		return inner
	case inner == nil:
		return outer
	}
	return func(ctx context.Context, b B) (context.Context, func(E)) {
		ctx, last := within(ctx, b, outer)
		ctx, first := within(ctx, b, inner)
		return ctx, func(e E) { callAll([]func(E){first, last}, e) }
	}
}

// within is begin, which may return no context. Its panic comes at the end.
func within[B, E any](ctx context.Context, b B, begin func(context.Context, B) (context.Context, func(E))) (derived context.Context, end func(E)) {
	defer func() {
		if p := recover(); p != nil {
			end = panicking[E](p)
		}
		if derived == nil {
			derived = ctx
		}
	}()
	return begin(ctx, b)
}

// panicking panics when it is first called.
func panicking[E any](p any) func(E) {
	var once sync.Once
	return func(E) { once.Do(func() { panic(p) }) }
}

func during[B, E any](first, second func(context.Context, B) func(E)) func(context.Context, B) func(E) {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	return func(ctx context.Context, b B) func(E) {
		tell := []func(E){told(ctx, b, first), told(ctx, b, second)}
		return func(e E) { callAll(tell, e) }
	}
}

// told is begin, whose panic comes when it is first told.
func told[B, E any](ctx context.Context, b B, begin func(context.Context, B) func(E)) (tell func(E)) {
	defer func() {
		if p := recover(); p != nil {
			tell = panicking[E](p)
		}
	}()
	return begin(ctx, b)
}

func callAll[E any](all []func(E), e E) {
	for _, f := range slices.Backward(all) {
		if f != nil {
			defer f(e) // the first at first, and the others also where one panics
		}
	}
}
