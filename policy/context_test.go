package policy_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/endpointcache/endpointcache/policy"
)

// equal compares the policies of a context by the one field that these tests set.
func equal(t *testing.T, name string, ctx context.Context, want ...policy.Use) {
	t.Helper()
	var got []policy.Use
	for _, p := range policy.Of(ctx) {
		got = append(got, p.Use)
	}
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("%s: %s", name, d)
	}
}

func TestTheInnermostPolicyOfAContextComesFirst(t *testing.T) {
	if policy.Of(t.Context()) != nil {
		t.Error("a context without policies has some")
	}
	outer := policy.With(t.Context(), policy.Policy{Use: policy.Offline})
	middle := policy.With(outer, policy.Policy{Use: policy.Reload})
	inner, cancel := context.WithTimeout(policy.With(middle, policy.Policy{Use: policy.Disabled}), time.Hour)
	defer cancel()
	sibling := policy.With(middle, policy.Policy{Use: policy.Revalidate})

	equal(t, "the outer context", outer, policy.Offline)
	equal(t, "the middle one", middle, policy.Reload, policy.Offline)
	equal(t, "the inner one", inner, policy.Disabled, policy.Reload, policy.Offline)
	equal(t, "its sibling", sibling, policy.Revalidate, policy.Reload, policy.Offline)
}

func TestPoliciesOfAContextAreFoundWithoutAllocation(t *testing.T) {
	ctx := policy.With(t.Context(), policy.Policy{Use: policy.Offline})
	found := 0
	if n := testing.AllocsPerRun(100, func() { found += len(policy.Of(ctx)) + len(policy.Of(context.Background())) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if found != 101 { // one run is to warm up
		t.Errorf("%d policies in 101 runs", found)
	}
}
