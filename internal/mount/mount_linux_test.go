package mount_test

import (
	"os"
	"testing"

	"github.com/endpointcache/endpointcache/internal/mount"
)

// Linux has these wherever tests run.
func TestAt(t *testing.T) {
	for path, want := range map[string]mount.System{
		"/proc":    {},
		"/dev/shm": {Name: "tmpfs", Local: true},
	} {
		if _, err := os.Stat(path); err != nil {
			continue
		}
		if got, err := mount.At(path); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", path, got, err, want)
		}
	}
	if _, err := mount.At("/absent"); !os.IsNotExist(err) {
		t.Errorf("a folder that is absent: %v", err)
	}
}
