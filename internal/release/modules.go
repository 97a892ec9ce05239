package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// repo are the modules of a repository, the root's first.
type repo struct {
	root    string
	work    *modfile.WorkFile
	modules []*module
}

// module is a go.mod file.
type module struct {
	folder string // below the root, with slashes; "." is the root
	file   *modfile.File
}

func load(root string) (*repo, error) {
	r := &repo{root: root}
	data, err := os.ReadFile(filepath.Join(root, "go.work"))
	if err != nil {
		return nil, err
	}
	if r.work, err = modfile.ParseWork("go.work", data, nil); err != nil {
		return nil, err
	}
	if r.work.Go == nil {
		return nil, errors.New("go.work has no go directive")
	}
	files := os.DirFS(root)
	err = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "testdata" || name != "." && strings.HasPrefix(entry.Name(), ".")):
			return fs.SkipDir
		case entry.Name() != "go.mod":
			return nil
		}
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		file, err := modfile.Parse(name, data, nil)
		if err != nil {
			return err
		}
		if file.Module == nil || file.Go == nil {
			return fmt.Errorf("%s has no module or no go directive", name)
		}
		r.modules = append(r.modules, &module{folder: path.Dir(name), file: file})
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(r.modules, func(a, b *module) int { return strings.Compare(a.folder, b.folder) })
	if len(r.modules) == 0 || r.modules[0].folder != "." {
		return nil, fmt.Errorf("%s has no go.mod", root)
	}
	return r, nil
}

// path is the module path of the root, below which all others are.
func (r *repo) path() string { return r.modules[0].file.Module.Mod.Path }

// sibling is the module of this repository with that path, or nil.
func (r *repo) sibling(path string) *module {
	for _, m := range r.modules {
		if m.file.Module.Mod.Path == path {
			return m
		}
	}
	return nil
}

// version is what the first requirement of a sibling asks for.
func (r *repo) version() string {
	for _, m := range r.modules {
		for _, require := range m.file.Require {
			if r.sibling(require.Mod.Path) != nil {
				return require.Mod.Version
			}
		}
	}
	return ""
}

// set writes the version into all requirements of siblings.
func (r *repo) set(version string) error {
	for _, m := range r.modules {
		changed := false
		for _, require := range m.file.Require {
			if r.sibling(require.Mod.Path) != nil && require.Mod.Version != version {
				changed = true
				if err := m.file.AddRequire(require.Mod.Path, version); err != nil {
					return err
				}
			}
		}
		if !changed {
			continue
		}
		data, err := m.file.Format()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(r.root, m.folder, "go.mod"), data, 0o644); err != nil { // #nosec G306 -- a source file
			return err
		}
	}
	return nil
}

// check returns all that the modules do not agree on.
func (r *repo) check() error {
	var errs []error
	report := func(m *module, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", path.Join(m.folder, "go.mod"), fmt.Sprintf(format, args...)))
	}
	version, goVersion := r.version(), r.modules[0].file.Go.Version
	if r.work.Go.Version != goVersion {
		errs = append(errs, fmt.Errorf("go.work: go %s, the root has %s", r.work.Go.Version, goVersion))
	}
	if len(r.work.Replace) > 0 {
		errs = append(errs, errors.New("go.work: it replaces modules, which users and builds without it do not"))
	}
	versions := make(map[string]string) // of the modules of others
	for _, m := range r.modules {
		if want := path.Join(r.path(), m.folder); m.file.Module.Mod.Path != want {
			report(m, "module %s, its folder says %s", m.file.Module.Mod.Path, want)
		}
		if m.file.Go.Version != goVersion {
			report(m, "go %s, the root has %s", m.file.Go.Version, goVersion)
		}
		if !r.used(m) {
			report(m, "it is not in go.work")
		}
		r.checkReplaced(m, report)
		for _, require := range m.file.Require {
			name, got := require.Mod.Path, require.Mod.Version
			switch {
			case r.sibling(name) != nil:
				if got != version {
					report(m, "%s %s, others require %s", name, got, version)
				}
			case versions[name] == "":
				versions[name] = got
			case versions[name] != got:
				report(m, "%s %s, others require %s", name, got, versions[name])
			}
		}
	}
	changes, err := os.ReadFile(filepath.Join(r.root, "CHANGELOG.md"))
	if err != nil {
		return err
	}
	if !regexp.MustCompile(`(?m)^## \[?v?` + regexp.QuoteMeta(strings.TrimPrefix(version, "v")) + `(\]|\s|$)`).Match(changes) {
		errs = append(errs, fmt.Errorf("CHANGELOG.md has no heading for %s", version))
	}
	return errors.Join(errs...)
}

// used reports whether the workspace has the module.
func (r *repo) used(m *module) bool {
	return slices.ContainsFunc(r.work.Use, func(use *modfile.Use) bool { return path.Clean(use.Path) == m.folder })
}

// checkReplaced reports siblings that a module requires without the folder that has
// them, without which it cannot be built alone before a release; and what is replaced
// or excluded else, as it is not for users.
func (r *repo) checkReplaced(m *module, report func(*module, string, ...any)) {
	folders := make(map[string]string)
	for _, replace := range m.file.Replace {
		if r.sibling(replace.Old.Path) == nil {
			report(m, "%s is replaced, which it is not for users", replace.Old.Path)
		}
		if replace.Old.Version == "" {
			folders[replace.Old.Path] = path.Join(m.folder, replace.New.Path)
		}
	}
	for _, exclude := range m.file.Exclude {
		report(m, "%s is excluded, which it is not for users", exclude.Mod)
	}
	for _, require := range m.file.Require {
		if s := r.sibling(require.Mod.Path); s != nil && folders[require.Mod.Path] != s.folder {
			report(m, "%s is not replaced by its folder", require.Mod.Path)
		}
	}
}
