//go:build !(unix || windows)

package filesystem

// inUse is false: nobody knows.
func inUse(error) bool { return false }
