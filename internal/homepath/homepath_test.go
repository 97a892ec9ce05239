package homepath_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/endpointcache/endpointcache/internal/homepath"
)

func TestExpand(t *testing.T) {
	home, err := os.UserHomeDir()
	if err != nil {
		t.Skip(err)
	}
	for path, want := range map[string]string{
		"~": home, "~/": home, "~/a/b": filepath.Join(home, "a", "b"),
		"~user/a": "~user/a", "a/~/b": "a/~/b", "": "", "/~": "/~", "./~": "./~",
	} {
		if got, err := homepath.Expand(path); got != want || err != nil {
			t.Errorf("Expand(%q) = %q, %v, want %q", path, got, err, want)
		}
	}
}
