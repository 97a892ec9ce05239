//go:build allstores

package anystore

import "testing"

func TestEveryStoreIsBuiltIn(t *testing.T) {
	for _, address := range []Store{"postgres://host/database", "redis://host", "mongodb://host/database", "dynamodb://?region=name"} {
		if err := address.Check(); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}
