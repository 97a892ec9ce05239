package main

import "testing"

// Every command prints the same whatever the store is.
func TestCommandsOnEveryStore(t *testing.T) {
	onEveryStore(t, func(t *testing.T, p *place) {
		filled(t, p)
		for _, name := range []string{"keys", "find", "change"} {
			t.Run(name, func(t *testing.T) { p.golden(t, name) })
		}
	})
}
