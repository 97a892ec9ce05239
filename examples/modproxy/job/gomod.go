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
	paths, first, err := goMods(path)
	if err != nil {
		return nil, err
	}
	var files []*modfile.File
	var second []*modfile.Replace // each is for all modules of the workspace
	here := make(map[string]bool) // the modules on this machine, of which no proxy knows
	for _, path := range paths {
		file, err := parseGoMod(path)
		if err != nil {
			return nil, err
		}
		files, second = append(files, file), append(second, file.Replace...)
		if file.Module != nil {
			here[file.Module.Mod.Path] = true
		}
	}
	var keys []VersionKey
	for _, file := range files {
		for _, require := range file.Require {
			used := replaced(require.Mod, first, second)
			if used.Version == "" || here[require.Mod.Path] {
				continue // a folder
			}
			key, err := versionKey(used)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file.Syntax.Name, err)
			}
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b VersionKey) int {
		return cmp.Or(strings.Compare(a.Module, b.Module), semver.Compare(a.Version, b.Version), strings.Compare(a.Version, b.Version))
	})
	return slices.Compact(keys), nil
}

// goMods are the go.mod files of a workspace and what go.work replaces, or path alone
// where it is no go.work file.
func goMods(path string) ([]string, []*modfile.Replace, error) {
	if filepath.Base(path) != "go.work" {
		return []string{path}, nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	file, err := modfile.ParseWork(path, data, nil)
	if err != nil {
		return nil, nil, err
	}
	var paths []string
	for _, use := range file.Use {
		folder := filepath.FromSlash(use.Path)
		if !filepath.IsAbs(folder) {
			folder = filepath.Join(filepath.Dir(path), folder)
		}
		paths = append(paths, filepath.Join(folder, "go.mod"))
	}
	return paths, file.Replace, nil
}

func parseGoMod(path string) (*modfile.File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return modfile.Parse(path, data, nil)
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

// replaced is the version that a build uses for m. The first list with a replace
// directive for it holds, and in that the one for its version goes before one for all.
func replaced(m module.Version, lists ...[]*modfile.Replace) module.Version {
	for _, list := range lists {
		for _, version := range []string{m.Version, ""} {
			i := slices.IndexFunc(list, func(r *modfile.Replace) bool { return r.Old == module.Version{Path: m.Path, Version: version} })
			if i >= 0 {
				return list[i].New
			}
		}
	}
	return m
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
