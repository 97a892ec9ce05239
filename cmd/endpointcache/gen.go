package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/endpointcache/endpointcache/cmd/endpointcache/internal/term"
	"github.com/endpointcache/endpointcache/gen"
	"github.com/endpointcache/endpointcache/internal/preview"
)

type genCommand struct {
	Document string `arg:"" help:"The OpenAPI document, as JSON or YAML."`
	Out      string `short:"o" help:"The folder of the package, which is made where it is absent." placeholder:"FOLDER"`
	Config   string `short:"c" help:"The file that says what the document does not, see docs/openapi.md." placeholder:"FILE"`
	Refs     string `help:"Let references lead to other files in this folder, of which the document is one. Otherwise they are refused. URLs always are." placeholder:"FOLDER"`
	DryRun   bool   `help:"Tell what would be generated, and write nothing."`
}

// Help is what --help tells besides.
func (genCommand) Help() string {
	return `Makes a Go package out of an OpenAPI document: for each operation that only reads, what endpointcache has to know to cache its responses. It tells what became of each operation, and why.

  endpointcache gen openapi.yaml -o librarycache
  endpointcache gen openapi.yaml -o librarycache -c cache.yaml --dry-run`
}

// Run generates.
func (c *genCommand) Run(ctx context.Context, s *session) error {
	if c.Out == "" && !c.DryRun {
		return usagef("it is not said where the package goes: give --out FOLDER, or --dry-run")
	}
	document, err := os.ReadFile(c.Document)
	if err != nil {
		return err
	}
	options, err := c.options()
	if err != nil {
		return err
	}
	if c.Refs != "" {
		root, err := os.OpenRoot(c.Refs)
		if err != nil {
			return err
		}
		defer root.Close() //nolint:errcheck // it was only read
		options.Files = root.FS()
	}
	out, err := gen.Generate(ctx, document, options)
	if err != nil {
		return err
	}
	if !c.DryRun {
		if err := out.WriteTo(c.Out); err != nil {
			return err
		}
	}
	if s.JSON {
		return s.out.Document(out.Report)
	}
	var text strings.Builder
	if err := out.Report.Text(&text); err != nil {
		return err
	}
	_, err = io.WriteString(s.out, preview.Visible(text.String())) // of names that others have chosen
	return err
}

// options are all but the files of references.
func (c *genCommand) options() (gen.Options, error) {
	o := gen.Options{Name: c.fromOut(c.Document)}
	o.Command = []string{"go", "run", "github.com/endpointcache/endpointcache/cmd/endpointcache", "gen"}
	if c.Refs != "" {
		name, err := filepath.Rel(c.Refs, c.Document)
		if err != nil || !fs.ValidPath(filepath.ToSlash(name)) {
			return o, usagef("%s is not in %s", term.Quote(c.Document), term.Quote(c.Refs))
		}
		o.Name = filepath.ToSlash(name)
		o.Command = append(o.Command, "--refs", c.fromOut(c.Refs))
	}
	if c.Config != "" {
		file, err := os.Open(c.Config)
		if err != nil {
			return o, err
		}
		defer file.Close() //nolint:errcheck // it was only read
		if o.Config, err = gen.ReadConfig(file); err != nil {
			return o, fmt.Errorf("%s: %w", c.Config, err)
		}
		o.Command = append(o.Command, "-c", c.fromOut(c.Config))
	}
	o.Command = append(o.Command, "-o", ".", c.fromOut(c.Document))
	return o, nil
}

// fromOut is a path as the folder of the package sees it, in which go generate runs: so the package is the same
// wherever it was generated from.
func (c *genCommand) fromOut(path string) string {
	from, err := filepath.Rel(c.Out, path)
	if c.Out == "" || err != nil { // the one is absolute, the other is not
		from = path
	}
	if strings.HasPrefix(from, "-") { // it is no flag
		from = "./" + from
	}
	return filepath.ToSlash(from)
}
