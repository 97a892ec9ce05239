package policy_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/policy"
)

// uses are the policies of a context by the one field that these tests set.
func uses(ctx context.Context) (all []policy.Use) {
	for _, p := range policy.Of(ctx) {
		all = append(all, p.Use)
	}
	return all
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

	for _, test := range []struct {
		name string
		ctx  context.Context
		want []policy.Use
	}{
		{"the outer context", outer, []policy.Use{policy.Offline}},
		{"the middle one", middle, []policy.Use{policy.Reload, policy.Offline}},
		{"the inner one", inner, []policy.Use{policy.Disabled, policy.Reload, policy.Offline}},
		{"its sibling", sibling, []policy.Use{policy.Revalidate, policy.Reload, policy.Offline}},
	} {
		if got := uses(test.ctx); !slices.Equal(got, test.want) {
			t.Errorf("%s has the policies %v, want %v", test.name, got, test.want)
		}
	}
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
