package main

import (
	"os"
	"testing"
)

// Every command prints the same whatever the store is.
func TestCommandsOnEveryStore(t *testing.T) {
	onEveryStore(t, func(t *testing.T, p *location) {
		filled(t, p)
		for _, name := range []string{"ls", "keys", "find", "show", "stats", "why", "verify", "change"} {
			t.Run(name, func(t *testing.T) { p.golden(t, name) })
		}
	})
}

// What help and mistakes in the command line lead to does not depend on the store.
func TestUsage(t *testing.T) {
	p := filled(t, newLocation(t, "sqlite"))
	p.golden(t, "usage", executable(t), "PROGRAM")
}

// executable is the path of the program that runs.
func executable(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	check(t, err)
	return path
}
