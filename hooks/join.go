package hooks

import "context"

// Join returns hooks that call those of all, in their order. Of Requesting, each gets the
// context of the one before, and the functions at the end are called in the reverse order.
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
		first(ctx, e)
		second(ctx, e)
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

// within is begin, which may return no context.
func within[B, E any](ctx context.Context, b B, begin func(context.Context, B) (context.Context, func(E))) (context.Context, func(E)) {
	derived, end := begin(ctx, b)
	if derived == nil {
		derived = ctx
	}
	return derived, end
}

func during[B, E any](first, second func(context.Context, B) func(E)) func(context.Context, B) func(E) {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	return func(ctx context.Context, b B) func(E) {
		tell := []func(E){first(ctx, b), second(ctx, b)}
		return func(e E) { callAll(tell, e) }
	}
}

func callAll[E any](all []func(E), e E) {
	for _, f := range all {
		if f != nil {
			f(e)
		}
	}
}
