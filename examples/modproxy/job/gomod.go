package job

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// requiredVersions are the keys of the modules that the go.mod file at path requires, or
// those of the modules that a go.work file uses.
func requiredVersions(path string) ([]VersionKey, error) {
	paths, err := goMods(path)
	if err != nil {
		return nil, err
	}
	var keys []VersionKey
	for _, path := range paths {
		more, err := requiredBy(path)
		if err != nil {
			return nil, err
		}
		keys = append(keys, more...)
	}
	slices.SortFunc(keys, func(a, b VersionKey) int {
		return cmp.Or(strings.Compare(a.Module, b.Module), semver.Compare(a.Version, b.Version), strings.Compare(a.Version, b.Version))
	})
	return slices.Compact(keys), nil
}

// goMods are the go.mod files of a workspace, or path where it is no go.work file.
func goMods(path string) ([]string, error) {
	if filepath.Base(path) != "go.work" {
		return []string{path}, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	file, err := modfile.ParseWork(path, data, nil)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, use := range file.Use {
		folder := filepath.FromSlash(use.Path)
		if !filepath.IsAbs(folder) {
			folder = filepath.Join(filepath.Dir(path), folder)
		}
		paths = append(paths, filepath.Join(folder, "go.mod"))
	}
	return paths, nil
}

// requiredBy are the keys of the modules that one go.mod file requires.
func requiredBy(path string) ([]VersionKey, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	file, err := modfile.Parse(path, data, nil)
	if err != nil {
		return nil, err
	}
	var keys []VersionKey
	for _, require := range file.Require {
		used := replaced(file, require.Mod)
		if used.Version == "" {
			continue // a folder on this machine, of which no proxy knows
		}
		key, err := versionKey(used)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// findGoMod is the path of the go.work or the go.mod that the working folder belongs to.
func findGoMod() (string, error) {
	working, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for folder := working; ; folder = filepath.Dir(folder) {
		for _, name := range []string{"go.work", "go.mod"} {
			path := filepath.Join(folder, name)
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				return path, err
			}
		}
		if folder == filepath.Dir(folder) {
			return "", fmt.Errorf("there is no go.mod in %s or above it: -mod names one", working)
		}
	}
}

// replaced is the version that a build uses for m. A replace directive for one
// version goes before one for all.
func replaced(file *modfile.File, m module.Version) module.Version {
	used := m
	for _, r := range file.Replace {
		if r.Old == m {
			return r.New
		}
		if r.Old.Path == m.Path && r.Old.Version == "" {
			used = r.New
		}
	}
	return used
}

// versionKey writes m as the protocol does: module proxies may keep files where
// upper and lower case are the same.
func versionKey(m module.Version) (VersionKey, error) {
	path, err := module.EscapePath(m.Path)
	if err != nil {
		return VersionKey{}, err
	}
	version, err := module.EscapeVersion(m.Version)
	return VersionKey{Module: path, Version: version}, err
}

// moduleKeys are the modules of the versions, which are in order.
func moduleKeys(versions []VersionKey) []ModuleKey {
	keys := make([]ModuleKey, len(versions))
	for i, v := range versions {
		keys[i] = ModuleKey{v.Module}
	}
	return slices.Compact(keys)
}
