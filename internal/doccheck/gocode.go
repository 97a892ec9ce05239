package doccheck

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/scanner"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const module = "github.com/endpointcache/endpointcache"

// GoChecker compiles the Go blocks of pages. Each is compiled with what its page's earlier
// blocks declare, and with what preambles declare that readers need not see: the page's
// own and the common one. Where they declare the same, the block nearest to it wins.
type GoChecker struct {
	root      string
	preambles string // the folder of common.go and of a file for each page
	stubs     string // the folder of packages that are no dependency, by import path

	fset     *token.FileSet
	library  map[string]string // the library's packages, by name
	units    []unit
	problems []Problem
}

// unit is what is compiled together.
type unit struct {
	files   []*ast.File
	program bool
}

// NewGoChecker returns a checker for the project at root. Preambles and stubs are folders.
func NewGoChecker(root, preambles, stubs string) (*GoChecker, error) {
	library, err := packagesOf(root)
	if err != nil {
		return nil, err
	}
	return &GoChecker{root: root, preambles: preambles, stubs: stubs, fset: token.NewFileSet(), library: library}, nil
}

// packagesOf are the packages that programs can import, by name.
func packagesOf(root string) (map[string]string, error) {
	paths := make(map[string]string)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() || path == root {
			return err
		}
		switch name := d.Name(); {
		case strings.HasPrefix(name, "."), name == "internal", name == "examples", name == "testdata":
			return fs.SkipDir
		}
		sources, err := filepath.Glob(filepath.Join(path, "*.go"))
		if err != nil || len(sources) == 0 {
			return err
		}
		relative, err := filepath.Rel(root, path)
		paths[d.Name()] = module + "/" + filepath.ToSlash(relative)
		return err
	})
	return paths, err
}

// Check compiles the Go blocks of pages, and returns what is wrong with them.
func (c *GoChecker) Check(ctx context.Context, pages []*Page) ([]Problem, error) {
	c.units, c.problems = nil, nil
	common, err := c.preamble("common.go")
	if err != nil {
		return nil, err
	}
	for _, p := range pages {
		own, err := c.preamble(strings.TrimSuffix(filepath.Base(p.Path), ".md") + ".go")
		if err != nil {
			return nil, err
		}
		c.addPage(p, common, own)
	}
	exports, err := c.exports(ctx)
	if err != nil {
		return nil, err
	}
	imports := c.importer(exports)
	version, err := goVersion(c.root)
	if err != nil {
		return nil, err
	}
	for _, u := range c.units {
		c.compile(u, imports, version)
	}
	return unique(c.problems), nil
}

// preamble reads a file of the folder of preambles; where it is absent, it is nil.
func (c *GoChecker) preamble(name string) (*fragment, error) {
	text, err := os.ReadFile(filepath.Join(c.preambles, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // most pages need none
	}
	if err != nil {
		return nil, err
	}
	file, err := parser.ParseFile(c.fset, name, text, 0)
	if err != nil {
		return nil, err
	}
	return newFragment(file), nil
}

// addPage makes units of a page's blocks.
func (c *GoChecker) addPage(p *Page, common, own *fragment) {
	paths := maps.Clone(c.library)
	before := make([]*fragment, 0, len(p.Blocks))
	for _, preamble := range []*fragment{common, own} {
		if preamble != nil {
			maps.Copy(paths, importsOf(preamble.file))
			before = append(before, preamble)
		}
	}
	for _, b := range p.Blocks {
		if b.Lang != "go" {
			continue
		}
		if b.Quoted != "" {
			c.problems = append(c.problems, checkQuoted(c.root, b)...)
			continue
		}
		f, err := parseFragment(c.fset, b)
		if err != nil {
			c.problems = append(c.problems, syntaxProblem(b, err))
			continue
		}
		if f.program {
			c.units = append(c.units, unit{[]*ast.File{f.file}, true})
			continue
		}
		c.units = append(c.units, unit{filesOf(f, before, common, paths), false})
		if f.lasting {
			before = append(before, f)
		}
	}
}

// filesOf are the files that a fragment is compiled with: of several declarations of a
// name, the last before it counts. A name before a dot is a package's, unless the page
// itself declares it.
func filesOf(f *fragment, before []*fragment, common *fragment, paths map[string]string) []*ast.File {
	ofPage := maps.Clone(f.declared)
	for _, b := range before {
		if b != common {
			maps.Copy(ofPage, b.declared)
		}
	}
	taken := maps.Clone(f.declared)
	for name := range f.selected {
		if paths[name] != "" && !ofPage[name] && !f.bare[name] {
			taken[name] = true
		}
	}
	declared := maps.Clone(f.declared)
	var kept []*fragment
	for _, b := range slices.Backward(before) {
		b = b.without(taken)
		kept = append(kept, b)
		maps.Copy(taken, b.declared)
		maps.Copy(declared, b.declared)
	}
	files := []*ast.File{f.importing(paths, declared)}
	for _, k := range kept {
		files = append(files, k.importing(paths, declared))
	}
	return files
}

func syntaxProblem(b *Block, err error) Problem {
	var list scanner.ErrorList
	if errors.As(err, &list) && len(list) > 0 {
		return b.problem(list[0].Pos.Line, "%v", withoutPlace(err, list))
	}
	return b.problem(b.Line, "%v", err)
}

// withoutPlace is the error's text without the place, which the problem has.
func withoutPlace(err error, list scanner.ErrorList) string {
	return strings.ReplaceAll(err.Error(), list.Error(), list[0].Msg)
}

// exports asks the toolchain for the packages that the units import, compiled: their
// files by import path.
func (c *GoChecker) exports(ctx context.Context) (map[string]string, error) {
	paths := make(map[string]bool)
	for _, u := range c.units {
		for _, file := range u.files {
			for _, d := range file.Decls {
				if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.IMPORT {
					for _, s := range g.Specs {
						paths[strings.Trim(s.(*ast.ImportSpec).Path.Value, `"`)] = true
					}
				}
			}
		}
	}
	stubs, err := c.stubImports()
	if err != nil {
		return nil, err
	}
	for _, path := range stubs {
		paths[path] = true
	}
	args := []string{"list", "-e", "-export", "-f", "{{.ImportPath}}\t{{.Export}}"}
	for path := range paths {
		if !c.isStub(path) {
			args = append(args, path)
		}
	}
	cmd := exec.CommandContext(ctx, "go", args...) // #nosec G204 -- the toolchain, with the pages' imports
	cmd.Dir = c.root
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	exports := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "\t")
		exports[path] = file
	}
	return exports, nil
}

func (c *GoChecker) isStub(path string) bool {
	_, err := os.Stat(filepath.Join(c.stubs, filepath.FromSlash(path)))
	return err == nil && strings.Contains(path, ".")
}

// stubImports are the packages that stubs import.
func (c *GoChecker) stubImports() (paths []string, err error) {
	err = filepath.WalkDir(c.stubs, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err == nil {
			paths = slices.AppendSeq(paths, maps.Values(importsOf(file)))
		}
		return err
	})
	return paths, err
}

type importFunc func(path string) (*types.Package, error)

func (f importFunc) Import(path string) (*types.Package, error) { return f(path) }

func (c *GoChecker) importer(exports map[string]string) types.Importer {
	compiled := importer.ForCompiler(c.fset, "gc", func(path string) (io.ReadCloser, error) {
		if file := exports[path]; file != "" {
			return os.Open(file)
		}
		return nil, fmt.Errorf("there is no package %s, or it does not compile", path)
	})
	stubs := make(map[string]*types.Package)
	return importFunc(func(path string) (*types.Package, error) {
		if !c.isStub(path) {
			return compiled.Import(path)
		}
		if stubs[path] == nil {
			sources, err := filepath.Glob(filepath.Join(c.stubs, filepath.FromSlash(path), "*.go"))
			if err != nil {
				return nil, err
			}
			var files []*ast.File
			for _, name := range sources {
				file, err := parser.ParseFile(c.fset, name, nil, 0)
				if err != nil {
					return nil, err
				}
				files = append(files, file)
			}
			stub, err := (&types.Config{Importer: compiled}).Check(path, c.fset, files, nil)
			if err != nil {
				return nil, err
			}
			stubs[path] = stub
		}
		return stubs[path], nil
	})
}

// compile checks a unit as the compiler does. In fragments, what is declared need not be
// used.
func (c *GoChecker) compile(u unit, imports types.Importer, version string) {
	config := types.Config{GoVersion: version, Importer: imports, Error: func(err error) {
		var e types.Error
		if !errors.As(err, &e) || strings.HasPrefix(e.Msg, "\t") {
			return
		}
		if unused := strings.HasPrefix(e.Msg, "declared and not used") || strings.HasSuffix(e.Msg, " and not used"); unused && !u.program {
			return
		}
		at := c.fset.Position(e.Pos)
		c.problems = append(c.problems, Problem{filepath.ToSlash(at.Filename), at.Line, e.Msg})
	}}
	_, _ = config.Check("page", c.fset, u.files, nil) // the errors were told
}

// goVersion is the one of the project's go.mod.
func goVersion(root string) (string, error) {
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if version, ok := strings.CutPrefix(strings.TrimSpace(line), "go "); ok {
			return "go" + version, nil
		}
	}
	return "", errors.New("go.mod has no go directive")
}

// checkQuoted checks that each paragraph of a block is in the files that it is quoted
// from, but for indentation.
func checkQuoted(root string, b *Block) []Problem {
	var source strings.Builder
	for place := range strings.FieldsSeq(b.Quoted) {
		pattern := filepath.Join(root, filepath.FromSlash(place))
		if !strings.HasSuffix(place, ".go") {
			pattern = filepath.Join(pattern, "*.go")
		}
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			return []Problem{b.problem(b.Line, "there is no code in %s", place)}
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return []Problem{b.problem(b.Line, "%v", err)}
			}
			source.Write(text)
		}
	}
	code := oneLine(source.String())
	var problems []Problem
	line := b.Line
	for part := range strings.SplitSeq(b.Text, "\n\n") {
		if !strings.Contains(code, oneLine(part)) {
			problems = append(problems, b.problem(line, "this is not in %s", b.Quoted))
		}
		line += strings.Count(part, "\n") + 2
	}
	return problems
}

// oneLine is text without differences of indentation.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// unique sorts problems, and tells each once.
func unique(problems []Problem) []Problem {
	slices.SortFunc(problems, func(a, b Problem) int {
		if a.Page != b.Page {
			return strings.Compare(a.Page, b.Page)
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return strings.Compare(a.Text, b.Text)
	})
	return slices.Compact(problems)
}
