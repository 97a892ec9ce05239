package gen

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi2"
	"github.com/getkin/kin-openapi/openapi2conv"
	"github.com/getkin/kin-openapi/openapi3"
	"go.yaml.in/yaml/v4"
)

// document is an OpenAPI document whose references are resolved.
type document struct {
	*openapi3.T
	name      string
	data      []byte
	tree      tree
	converted bool // from Swagger 2.0
}

// load reads a document.
func load(ctx context.Context, data []byte, o Options) (doc *document, err error) {
	name := cmp.Or(oneLine(o.Name), "document")
	defer func() {
		// The loader is not ours, and documents may be hostile.
		if r := recover(); r != nil {
			doc, err = nil, &DocumentError{Name: name, Err: fmt.Errorf("the document cannot be read: %v", r)}
		}
	}()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, &DocumentError{Name: name, Line: 1, Err: errors.New("the document is empty")}
	}
	doc = &document{name: name, data: data, tree: parseTree(data)}
	if root := doc.tree.root; root != nil && root.Kind != yaml.MappingNode {
		return nil, &DocumentError{Name: name, Line: 1, Err: errors.New(`it is not an OpenAPI document, which is an object with the member "openapi", as JSON or YAML`)}
	}
	if err := doc.tree.checkTwice(name); err != nil {
		return nil, err
	}
	if err := doc.tree.checkChains(name); err != nil {
		return nil, err
	}
	err = doc.read(ctx, data, o)
	if wrong := (*DocumentError)(nil); errors.As(err, &wrong) && !errors.Is(err, ErrOutside) && wrong.Name == name {
		// What is wrong may be what makes no difference.
		if data := parseTree(data).relaxed(); data != nil {
			err = doc.placed(err, doc.read(ctx, data, o))
		}
	}
	if err != nil {
		return nil, err
	}
	return doc, doc.check()
}

// placed is an error about what is left of the document, with the place in the document as it is,
// or the error about that, if there is no such place.
func (d *document) placed(whole, left error) error {
	wrong := (*DocumentError)(nil)
	switch {
	case !errors.As(left, &wrong) || wrong.Name != d.name:
		return left
	case wrong.Pointer == "":
		return whole
	}
	wrong.Line, wrong.Column = d.tree.position(wrong.Pointer)
	return wrong
}

// read is given the document, or what is left of it.
func (d *document) read(ctx context.Context, data []byte, o Options) (err error) {
	name := d.name
	files := &files{ctx: ctx, from: o.Files, document: name}
	loader := openapi3.NewLoader()
	loader.Context = ctx
	if o.Files != nil {
		loader.ReadFromURIFunc = files.read
	}
	if isSwagger2(data) {
		d.converted = true
		d.T, err = convert(data, loader, name)
	} else {
		d.T, err = loader.LoadFromDataWithPath(data, &url.URL{Path: name})
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case files.err != nil:
		return files.explain(data, err)
	case err != nil:
		return explain(name, data, err)
	}
	return nil
}

// check reports what makes the rest useless.
func (d *document) check() error {
	switch version, _, _ := strings.Cut(d.OpenAPI, "."); {
	case d.OpenAPI == "":
		return d.failed("", errors.New(`it has no "openapi" with the version of OpenAPI, such as "3.0.3"`))
	case version != "3":
		return d.failed("/openapi", fmt.Errorf("version %q of OpenAPI is not known: versions 3.0 and 3.1 are", d.OpenAPI))
	case d.Info == nil:
		return d.failed("", errors.New(`it has no "info"`))
	}
	return nil
}

// failed is an error about what a pointer leads to.
func (d *document) failed(pointer string, err error) error {
	line, column := d.tree.position(pointer)
	return &DocumentError{Name: d.name, Line: line, Column: column, Pointer: pointer, Err: err}
}

// swagger2 is how a document of the version before OpenAPI 3 tells it.
var swagger2 = regexp.MustCompile(`(?m)^\s*\{?\s*["']?swagger["']?\s*:\s*["']?2`)

func isSwagger2(data []byte) bool {
	if !swagger2.Match(data) {
		return false
	}
	var head struct {
		Swagger string `yaml:"swagger"`
	}
	return yaml.Unmarshal(data, &head) == nil && strings.HasPrefix(head.Swagger, "2.")
}

// convert reads Swagger 2.0.
func convert(data []byte, loader *openapi3.Loader, name string) (*openapi3.T, error) {
	var tree yaml.Node
	if err := yaml.Unmarshal(data, &tree); err != nil {
		return nil, err
	}
	stringKeys(&tree, 0)
	var content any
	if err := tree.Decode(&content); err != nil {
		return nil, err
	}
	if top, ok := content.(map[string]any); ok {
		if paths, ok := top["paths"].(map[string]any); ok {
			maps.DeleteFunc(paths, func(name string, _ any) bool { return strings.HasPrefix(name, "x-") })
		}
	}
	data, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	var doc openapi2.T
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	setSeparators(&doc)
	return openapi2conv.ToV3WithLoader(&doc, loader, &url.URL{Path: name})
}

// setSeparators says of each list in Swagger 2.0 what stands between its values: a comma, if the
// document does not say. A list with what OpenAPI 3 has no style for is one text.
func setSeparators(doc *openapi2.T) {
	set := func(p *openapi2.Parameter) {
		if p == nil || !p.Type.Is("array") || p.In != "query" && p.In != "path" {
			return
		}
		p.CollectionFormat = cmp.Or(p.CollectionFormat, "csv")
		styles := []string{"csv"}
		if p.In == "query" {
			styles = append(styles, "ssv", "pipes", "multi")
		}
		if !slices.Contains(styles, p.CollectionFormat) {
			p.Type, p.Items, p.Default, p.Enum = &openapi3.Types{"string"}, nil, nil, nil
		}
	}
	for _, p := range doc.Parameters {
		set(p)
	}
	for _, item := range doc.Paths {
		if item == nil {
			continue
		}
		for _, p := range item.Parameters {
			set(p)
		}
		for _, o := range item.Operations() {
			for _, p := range o.Parameters {
				set(p)
			}
		}
	}
}

// stringKeys makes the names of all members strings, as they are in JSON: those of responses
// are numbers in YAML.
func stringKeys(node *yaml.Node, depth int) {
	if depth > 10_000 {
		return
	}
	if node.Kind == yaml.MappingNode {
		for i := 0; i < len(node.Content); i += 2 {
			if key := node.Content[i]; key.Kind == yaml.ScalarNode && key.Tag != "!!merge" {
				key.Tag = "!!str"
			}
		}
	}
	for _, child := range node.Content {
		stringKeys(child, depth+1)
	}
}

// files are what references outside the document may lead to.
type files struct {
	ctx      context.Context
	from     fs.FS
	document string

	name string // of the file that could not be read or parsed
	err  error
}

// read is for the loader.
func (f *files) read(_ *openapi3.Loader, location *url.URL) ([]byte, error) {
	if err := f.ctx.Err(); err != nil {
		return nil, err
	}
	data, err := f.open(location)
	if err != nil && f.err == nil {
		f.name, f.err = location.String(), err
	}
	return data, err
}

func (f *files) open(location *url.URL) ([]byte, error) {
	if location.Scheme != "" || location.Host != "" {
		return nil, fmt.Errorf("%w: %q is a URL, and nothing is fetched", ErrOutside, location)
	}
	name := strings.TrimPrefix(path.Clean(location.Path), "./")
	if !fs.ValidPath(name) {
		return nil, fmt.Errorf("%w: %q is outside of the folder with the files", ErrOutside, location.Path)
	}
	data, err := fs.ReadFile(f.from, name)
	if err != nil {
		return nil, err
	}
	return data, parseTree(data).checkChains(name)
}

// explain is the error of a file that could not be read.
func (f *files) explain(data []byte, err error) error {
	found := &DocumentError{Name: f.document, Err: f.err}
	base := path.Base(f.name)
	parseTree(data).walk(func(pointer string, key, node *yaml.Node) bool {
		target, _, _ := strings.Cut(node.Value, "#")
		if key == nil || key.Value != "$ref" || node.Kind != yaml.ScalarNode || path.Base(target) != base {
			return true
		}
		found.Line, found.Column, found.Pointer = node.Line, node.Column, pointer
		return false
	})
	if found.Line == 0 && err != nil {
		found.Err = err
	}
	return found
}
