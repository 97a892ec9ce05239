package request

import (
	"fmt"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/internal/jsonpath"
)

// matchName tells whether one of names is name, or ends in "*" and is how name
// begins.
func matchName(names []string, name string) bool {
	for _, n := range names {
		if prefix, all := strings.CutSuffix(n, "*"); n == name || all && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// checkNames reports what cannot be matched in the names of an option.
func checkNames(option string, names []string) error {
	for _, name := range names {
		if name == "" {
			return fmt.Errorf("%s has an empty name", option)
		}
		if strings.Contains(strings.TrimSuffix(name, "*"), "*") {
			return fmt.Errorf(`%s: %q has a "*" that is not its end`, option, name)
		}
	}
	return nil
}

// ignoredParts are parts of a body that do not count.
type ignoredParts struct {
	names []string   // of form fields and of the members of a JSON object
	paths [][]string // of JSON members
}

func newIgnoredParts(list []string) (ignoredParts, error) {
	var parts ignoredParts
	for _, name := range list {
		if !strings.HasPrefix(name, "/") {
			parts.names = append(parts.names, name)
			continue
		}
		path, err := jsonpath.Pointer(name)
		if err != nil {
			return parts, fmt.Errorf("IgnoreBody: %w", err)
		}
		parts.paths = append(parts.paths, path)
	}
	return parts, checkNames("IgnoreBody", parts.names)
}

func (p *ignoredParts) empty() bool { return len(p.names) == 0 && len(p.paths) == 0 }

// member tells whether the member of a JSON text at path is ignored.
func (p *ignoredParts) member(path []string) bool {
	if len(path) == 1 && matchName(p.names, path[0]) {
		return true
	}
	return slices.ContainsFunc(p.paths, func(ignored []string) bool {
		return slices.EqualFunc(ignored, path, func(a, b string) bool { return a == "*" || a == b })
	})
}
