package policy

import "context"

type contextKey struct{}

// With returns a context whose calls have the policy p, above those of ctx itself, of
// the repository and of the cache. To turn the cache off for one call:
//
//	ctx = policy.With(ctx, policy.Policy{Use: policy.Disabled})
//
// A policy that cannot be, see [Policy.Validate], is the error of the calls made with
// it. P must not be changed afterwards.
func With(ctx context.Context, p Policy) context.Context {
	outer := Of(ctx)
	policies := make([]Policy, 0, len(outer)+1)
	return context.WithValue(ctx, contextKey{}, append(append(policies, p), outer...))
}

// Of returns the policies of a context, the innermost first, nil for none. They are
// shared by all that ask: to be read only.
func Of(ctx context.Context) []Policy {
	policies, _ := ctx.Value(contextKey{}).([]Policy)
	return policies
}
