// Package homepath reads paths as a shell does that knows the user's home folder.
package homepath

import (
	"os"
	"path/filepath"
	"strings"
)

// Expand puts the user's home folder in the place of a leading "~", alone or before
// a separator. Any other path is returned as it is, "~user" too.
func Expand(path string) (string, error) {
	rest, ok := strings.CutPrefix(path, "~")
	if !ok || rest != "" && !os.IsPathSeparator(rest[0]) {
		return path, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, rest), nil
}
