package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
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
	command := []string{generateCommand}
	if c.Refs != "" {
		name, err := filepath.Rel(c.Refs, c.Document)
		if err != nil || !fs.ValidPath(filepath.ToSlash(name)) {
			return o, usagef("%s is not in %s", term.Quote(c.Document), term.Quote(c.Refs))
		}
		o.Name = filepath.ToSlash(name)
		command = append(command, "--refs", c.fromOut(c.Refs))
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
		command = append(command, "-c", c.fromOut(c.Config))
	}
	command = append(command, "-o", ".", c.fromOut(c.Document))
	for i, word := range command[1:] {
		if !plainWord.MatchString(word) {
			command[i+1] = strconv.Quote(word)
		}
	}
	o.Command = strings.Join(command, " ")
	return o, nil
}

const generateCommand = "go run github.com/endpointcache/endpointcache/cmd/endpointcache gen"

// plainWord is a word that a go:generate line need not quote.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9._/-]+$`)

// fromOut is a path as the folder of the package sees it, in which go generate runs: so the package is the same
// wherever it was generated from.
func (c *genCommand) fromOut(path string) string {
	from, err := filepath.Rel(c.Out, path)
	if c.Out == "" || err != nil { // the one is absolute, the other is not
		from = path
	}
	return filepath.ToSlash(from)
}
