package gen

import (
	"context"
	"io/fs"
)

// Options say what is generated. The zero value is for a document of one file, with the
// defaults of [Config].
type Options struct {
	// Name is the document's, for errors and comments, such as "api/openapi.yaml".
	// References to other files are relative to its folder.
	Name string

	// Files are those that references outside the document may lead to, by slash-separated
	// paths as Name is one. Without it, such references are refused. URLs are in any case:
	// nothing is ever fetched.
	Files fs.FS

	// Command is what generates the package again, word by word, for its go:generate line.
	// Each word is escaped there: go generate runs it as it is given here. The default runs
	// "endpointcache gen" with the name, which then has to be relative to the package's folder.
	Command []string

	Config Config
}

// Generate makes a package out of an OpenAPI document. The error is a [DocumentError] if
// something is wrong with the document, and a [ConfigError] if the configuration does not
// fit it. ctx is looked at between the steps, of which each takes a second or so for a
// document of ten megabytes.
func Generate(ctx context.Context, document []byte, o Options) (*Output, error) {
	if ctx == nil {
		ctx = context.Background()
	}
	doc, err := load(ctx, document, o)
	if err != nil {
		return nil, err
	}
	p := &plan{doc: doc, config: o.Config, names: newNames()}
	if err := p.make(ctx); err != nil {
		return nil, err
	}
	return p.write(o)
}
