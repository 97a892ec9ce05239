package driver_test

import (
	"context"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
)

type watching struct{ driver.Store }

func (watching) Watch(context.Context, func(), func(driver.Change)) error { return driver.ErrClosed }

type wrapping struct{ driver.Store }

func (w wrapping) Unwrap() driver.Store { return w.Store }

type hiding struct{ driver.Store }

func TestAs(t *testing.T) {
	below := watching{}
	for name, c := range map[string]struct {
		store driver.Store
		found bool
	}{
		"itself":            {below, true},
		"through two":       {wrapping{wrapping{below}}, true},
		"hidden":            {wrapping{hiding{wrapping{below}}}, false},
		"no store":          {nil, false},
		"a layer over none": {wrapping{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			found, ok := driver.As[driver.Watcher](c.store)
			if ok != c.found || ok != (found == driver.Watcher(below)) {
				t.Errorf("found %v, %v", found, ok)
			}
		})
	}
}
