package gen_test

import (
	"slices"
	"testing"

	"github.com/endpointcache/endpointcache/gen"
)

// Some documents have paths with a query, which is no other resource to a write.
func TestWritesMakeOldWhatIsAtTheirPathWithAQuery(t *testing.T) {
	out := one(t, small("\n  /pets: {get: {"+answer+"}, post: {"+answer+"}}\n  /pets?type=dog: {get: {operationId: dogs, "+answer+"}}\n  /pets/{id}: {put: {"+answer+"}}"), gen.Config{})
	writes := 0
	for _, o := range out.Report.Operations {
		if o.Write == "" {
			continue
		}
		writes++
		if want := []string{"GetPets (by its key)", "Dogs (by its key)"}; !slices.Equal(o.Invalidates, want) {
			t.Errorf("%s %s makes old %q, want %q", o.Method, o.Path, o.Invalidates, want)
		}
	}
	if writes != 2 {
		t.Errorf("%d writes", writes)
	}
}
