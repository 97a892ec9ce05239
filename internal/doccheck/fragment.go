package doccheck

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
)

// fragment is Go code with what it takes from outside and gives to others.
type fragment struct {
	file     *ast.File
	program  bool            // it is whole, with a package clause
	lasting  bool            // what it declares holds for the page's blocks after it
	declared map[string]bool // by its declarations at the top
	selected map[string]bool // names before a dot that it does not declare
	bare     map[string]bool // other such names
}

// parseFragment reads a block as what it can be: a program, declarations, statements, or
// the elements of a literal. Positions in it are those of its page.
func parseFragment(fset *token.FileSet, b *Block) (*fragment, error) {
	place := fmt.Sprintf("\n//line %s:%d\n", b.Page, b.Line)
	parse := func(before, after string) (*fragment, error) {
		file, err := parser.ParseFile(fset, "block.go", before+place+b.Text+after, 0)
		if err != nil {
			return nil, err
		}
		return newFragment(file), nil
	}
	if b.Fields != "" {
		return parse("package preambles; var _ = "+b.Fields+"{", "}")
	}
	if file, err := parser.ParseFile(fset, "block.go", place+b.Text, parser.PackageClauseOnly); err == nil && file.Name != nil {
		f, err := parse("", "")
		if err == nil {
			f.program = true
		}
		return f, err
	}
	f, errDecls := parse("package preambles", "")
	if errDecls == nil {
		f.lasting = true
		return f, nil
	}
	f, errStmts := parse("package preambles; func _() error {", "\nreturn nil }")
	switch {
	case errStmts == nil:
		return f, nil
	case startsWithDeclaration(b.Text):
		return nil, fmt.Errorf("as declarations: %w; as statements: %w", errDecls, errStmts)
	}
	return nil, fmt.Errorf("neither declarations nor statements; elements of a literal need the comment <!-- fields of: its type -->: %w", errStmts)
}

func startsWithDeclaration(text string) bool {
	word, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	switch word {
	case "func", "type", "var", "const", "import":
		return true
	}
	return false
}

func newFragment(file *ast.File) *fragment {
	f := &fragment{
		file: file, declared: make(map[string]bool), selected: make(map[string]bool), bare: make(map[string]bool),
	}
	for _, d := range file.Decls {
		for _, name := range namesOf(d) {
			f.declared[name] = true
		}
	}
	free := make(map[*ast.Ident]bool)
	for _, id := range file.Unresolved {
		free[id] = true
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if id, ok := n.X.(*ast.Ident); ok && free[id] {
				f.selected[id.Name] = true
				delete(free, id)
			}
		case *ast.Ident:
			if free[n] {
				f.bare[n.Name] = true
			}
		}
		return true
	})
	return f
}

// namesOf are the names of a declaration, or of a method's receiver.
func namesOf(d ast.Decl) []string {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv != nil && len(d.Recv.List) == 1 {
			return []string{receiverOf(d.Recv.List[0].Type)}
		}
		return blankless(d.Name)
	case *ast.GenDecl:
		var names []string
		for _, s := range d.Specs {
			names = append(names, namesOfSpec(s)...)
		}
		return names
	}
	return nil
}

func namesOfSpec(s ast.Spec) []string {
	switch s := s.(type) {
	case *ast.TypeSpec:
		return blankless(s.Name)
	case *ast.ValueSpec:
		return blankless(s.Names...)
	}
	return nil
}

func blankless(ids ...*ast.Ident) (names []string) {
	for _, id := range ids {
		if id.Name != "_" {
			names = append(names, id.Name)
		}
	}
	return names
}

func receiverOf(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.StarExpr:
		return receiverOf(t.X)
	case *ast.IndexExpr:
		return receiverOf(t.X)
	case *ast.IndexListExpr:
		return receiverOf(t.X)
	case *ast.Ident:
		return t.Name
	}
	return ""
}

// without is the fragment without its imports and without declarations of names that
// others have taken.
func (f *fragment) without(taken map[string]bool) *fragment {
	var decls []ast.Decl
	for _, d := range f.file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok {
			if !anyOf(taken, namesOf(d)) {
				decls = append(decls, d)
			}
			continue
		}
		kept := *g
		kept.Specs = nil
		for _, s := range g.Specs {
			if _, isImport := s.(*ast.ImportSpec); !isImport && !anyOf(taken, namesOfSpec(s)) {
				kept.Specs = append(kept.Specs, s)
			}
		}
		if len(kept.Specs) > 0 {
			decls = append(decls, &kept)
		}
	}
	file := *f.file
	file.Decls = decls
	return newFragment(&file)
}

func anyOf(taken map[string]bool, names []string) bool {
	for _, name := range names {
		if taken[name] {
			return true
		}
	}
	return false
}

// importing is the fragment's file with the packages that it names.
func (f *fragment) importing(paths map[string]string, declared map[string]bool) *ast.File {
	imports := &ast.GenDecl{Tok: token.IMPORT}
	for name := range f.selected {
		if path, ok := paths[name]; ok && !declared[name] {
			imports.Specs = append(imports.Specs, &ast.ImportSpec{
				Name: ast.NewIdent(name),
				Path: &ast.BasicLit{Kind: token.STRING, Value: strconv.Quote(path)},
			})
		}
	}
	if len(imports.Specs) == 0 {
		return f.file
	}
	file := *f.file
	file.Decls = append([]ast.Decl{imports}, f.file.Decls...)
	return &file
}

// importsOf are the packages that a file imports, by name.
func importsOf(file *ast.File) map[string]string {
	paths := make(map[string]string)
	for _, s := range file.Imports {
		path, err := strconv.Unquote(s.Path.Value)
		if err != nil {
			continue
		}
		name := nameOfPackage(path)
		if s.Name != nil {
			name = s.Name.Name
		}
		paths[name] = path
	}
	return paths
}

// nameOfPackage is the name that packages of a path have by custom.
func nameOfPackage(path string) string {
	parts := strings.Split(path, "/")
	last := parts[len(parts)-1]
	if len(parts) > 1 && len(last) > 1 && last[0] == 'v' && strings.Trim(last[1:], "0123456789") == "" {
		last = parts[len(parts)-2]
	}
	return last
}
