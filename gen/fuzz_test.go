package gen_test

import (
	"errors"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/endpointcache/endpointcache/gen"
)

// Whatever a document is, there is a package that parses, or an error of the document.
func FuzzGenerate(f *testing.F) {
	for _, name := range golden {
		document, err := os.ReadFile(filepath.Join("testdata", name+".yaml"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(document)
	}
	f.Add(small("\n  /a/{b}: {get: {parameters: [{name: b, in: path, required: true, schema: {enum: [1, null, x]}}], " + answer + "}}"))
	f.Add([]byte(`{"openapi": "3.1.0", "info": {"title": "", "version": ""}, "paths": {"/{a}{b}": {"get": {}}}}`))
	f.Add([]byte("swagger: '2.0'\ninfo: {title: T, version: '1'}\npaths: {/a: {get: {responses: {'200': {description: d}}}}}\n"))
	files := fstest.MapFS{"other.yaml": {Data: []byte("a: {$ref: 'other.yaml#/a'}\n")}}
	f.Fuzz(func(t *testing.T, document []byte) {
		out, err := gen.Generate(t.Context(), document, gen.Options{Name: "doc.yaml", Files: files})
		var wrong *gen.DocumentError
		switch {
		case err != nil && !errors.As(err, &wrong):
			t.Fatalf("the error is a %T: %v", err, err)
		case err != nil:
			return
		}
		for _, file := range out.Files {
			if _, err := parser.ParseFile(token.NewFileSet(), file.Name, file.Source, parser.SkipObjectResolution); err != nil {
				t.Errorf("%s: %v\n%s", file.Name, err, file.Source)
			}
		}
		for _, o := range out.Report.Operations {
			if !o.Cached && o.Skipped == "" && o.Write == "" {
				t.Errorf("%s %s is left out without a reason", o.Method, o.Path)
			}
		}
	})
}
