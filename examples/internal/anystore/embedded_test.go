//go:build !allstores

package anystore

import (
	"strings"
	"testing"
)

func TestServersNeedAnotherBuild(t *testing.T) {
	for _, address := range []Store{"postgres://host/database", "redis://host", "dynamodb://?region=name"} {
		if err := address.Check(); err == nil || !strings.Contains(err.Error(), "-tags allstores") {
			t.Errorf("%s: %v", address, err)
		}
	}
}
