package store_test

import (
	"testing"

	"github.com/endpointcache/endpointcache/internal/scopetest"
)

func TestNobodyGetsAnothersAnswerFromAnyStore(t *testing.T) {
	for name, b := range backends {
		t.Run(name, func(t *testing.T) {
			scopetest.Run(t, b.harness(name).Open)
		})
	}
}

func TestNoOriginIsServedForAnotherFromAnyStore(t *testing.T) {
	for name, b := range backends {
		t.Run(name, func(t *testing.T) {
			scopetest.Origins(t, b.harness(name).Open)
		})
	}
}
