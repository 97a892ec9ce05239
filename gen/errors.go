package gen

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"go.yaml.in/yaml/v4"
)

// DocumentError is an error in an OpenAPI document.
type DocumentError struct {
	// Name is the document's, or that of the file which a reference led to.
	Name string

	// Line and Column are where the error is, from 1; 0 where that is not known.
	Line, Column int

	// Pointer is the JSON pointer (RFC 6901) of what is wrong, if it is known.
	Pointer string

	Err error
}

func (e *DocumentError) Error() string {
	var b strings.Builder
	b.WriteString(e.Name)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
		if e.Column > 0 {
			fmt.Fprintf(&b, ":%d", e.Column)
		}
	}
	if e.Pointer != "" {
		b.WriteString(": " + e.Pointer)
	}
	return fmt.Sprintf("%s: %v", strings.TrimPrefix(b.String(), ": "), e.Err)
}

func (e *DocumentError) Unwrap() error { return e.Err }

// ErrOutside means that a reference leads out of the document, and [Options] Files does not
// allow that, or that it is a URL.
var ErrOutside = errors.New("the reference leads out of the document")

// ConfigError is an error in a configuration, by itself or for a document.
type ConfigError struct {
	// Line is where the error is, 0 where that is not known.
	Line int

	Err error

	pointer string // to what is wrong, empty where that is not known
}

func (e *ConfigError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("configuration: line %d: %v", e.Line, e.Err)
	}
	return fmt.Sprintf("configuration: %v", e.Err)
}

func (e *ConfigError) Unwrap() error { return e.Err }

// explain makes a DocumentError of what the loader says about a document.
func explain(name string, data []byte, err error) error {
	found := &DocumentError{Name: name, Err: err}
	tree := parseTree(data)
	var several *yaml.LoadErrors
	var one *yaml.LoadError
	var outside *openapi3.DisallowedExternalRefError
	switch {
	case errors.As(err, &several) && len(several.Errors) > 0:
		found.fromYAML(several.Errors[0])
	case errors.As(err, &one):
		found.fromYAML(one)
	case errors.As(err, &outside):
		found.Err = fmt.Errorf("%w: %q", ErrOutside, outside.Ref)
		tree.locateReference(found, func(ref string) bool { return ref == outside.Ref })
	default:
		tree.locateQuoted(found, err.Error())
	}
	if last := 1 + bytes.Count(bytes.TrimRight(data, "\n"), []byte("\n")); found.Line > last {
		found.Line, found.Column = last, 0 // the end of a document that breaks off
	}
	if found.Line == 0 && found.Pointer != "" {
		found.Line, found.Column = tree.position(found.Pointer)
	}
	if found.Pointer == "" && found.Line > 0 {
		found.Pointer = tree.pointerAt(found.Line, found.Column)
	}
	return found
}

var inPointer = regexp.MustCompile(`^(.*) in (/\S*)$`)

// fromYAML takes the place out of an error of the YAML parser, which reads JSON as well.
func (e *DocumentError) fromYAML(of *yaml.LoadError) {
	e.Line, e.Column = of.Mark.Line, of.Mark.Column
	message := of.Message
	if m := inPointer.FindStringSubmatch(message); m != nil {
		message, e.Pointer = m[1], m[2]
	}
	e.Err = errors.New(message)
}

// tree is a document's own nodes, which have positions.
type tree struct{ root *yaml.Node }

func parseTree(data []byte) tree {
	var root yaml.Node
	if yaml.Unmarshal(data, &root) != nil || len(root.Content) == 0 {
		return tree{}
	}
	return tree{root.Content[0]}
}

// checkTwice reports a path or a method that the document has twice, of which one would be
// dropped in silence.
func (t tree) checkTwice(name string) (err error) {
	check := func(node *yaml.Node, pointer, what string) {
		seen := make(map[string]bool)
		eachMember(node, func(key, _ *yaml.Node) {
			if seen[key.Value] && key.Tag != "!!merge" && err == nil {
				err = &DocumentError{
					Name: name, Line: key.Line, Column: key.Column, Pointer: pointer + "/" + escapePointer(key.Value),
					Err: fmt.Errorf("the %s is there twice", what),
				}
			}
			seen[key.Value] = true
		})
	}
	if t.root == nil {
		return nil
	}
	eachMember(t.root, func(key, paths *yaml.Node) {
		if key.Value != "paths" {
			return
		}
		check(paths, "/paths", "path")
		eachMember(paths, func(path, item *yaml.Node) {
			check(item, "/paths/"+escapePointer(path.Value), "member")
		})
	})
	return err
}

// walk calls visit for each node with its pointer until it returns false. Aliases are not
// followed.
func (t tree) walk(visit func(pointer string, key, node *yaml.Node) bool) {
	if t.root != nil {
		walkNode("", nil, t.root, visit)
	}
}

func walkNode(pointer string, key, node *yaml.Node, visit func(string, *yaml.Node, *yaml.Node) bool) bool {
	if !visit(pointer, key, node) {
		return false
	}
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			name := node.Content[i]
			if !walkNode(pointer+"/"+escapePointer(name.Value), name, node.Content[i+1], visit) {
				return false
			}
		}
	case yaml.SequenceNode:
		for i, item := range node.Content {
			if !walkNode(pointer+"/"+strconv.Itoa(i), nil, item, visit) {
				return false
			}
		}
	default:
	}
	return true
}

// hasText tells whether a pointer leads to a text, perhaps an empty one.
func (t tree) hasText(at string) (found bool) {
	t.walk(func(pointer string, _, node *yaml.Node) bool {
		found = pointer == at && node.ShortTag() == "!!str"
		return !found
	})
	return found
}

// locateReference finds where a reference stands.
func (t tree) locateReference(e *DocumentError, is func(ref string) bool) {
	t.walk(func(pointer string, key, node *yaml.Node) bool {
		if key == nil || key.Value != "$ref" || !is(node.Value) {
			return true
		}
		e.Line, e.Column, e.Pointer = node.Line, node.Column, pointer
		return false
	})
}

var quoted = regexp.MustCompile(`"(#?[^"]+)"`)

// locateQuoted finds the first reference that a message quotes.
func (t tree) locateQuoted(e *DocumentError, message string) {
	matches := quoted.FindAllStringSubmatch(message, -1)
	for _, m := range matches {
		if t.locateReference(e, func(ref string) bool { return ref == m[1] }); e.Line > 0 {
			return
		}
	}
	for _, m := range matches { // Swagger 2.0 has other paths to the same names
		if t.locateReference(e, func(ref string) bool { return path.Base(ref) == path.Base(m[1]) }); e.Line > 0 {
			return
		}
	}
	if strings.Contains(message, "both schema and content") {
		t.walk(func(pointer string, _, node *yaml.Node) bool {
			names := make(map[string]bool)
			eachMember(node, func(key, _ *yaml.Node) { names[key.Value] = true })
			if !names["schema"] || !names["content"] || !names["name"] {
				return true
			}
			e.Line, e.Column, e.Pointer = node.Line, node.Column, pointer
			return false
		})
	}
}

// position is where the node of a pointer begins, or the nearest one above it.
func (t tree) position(pointer string) (line, column int) {
	t.walk(func(p string, key, node *yaml.Node) bool {
		if p == pointer || strings.HasPrefix(pointer, p+"/") || p == "" {
			line, column = node.Line, node.Column
			if key != nil {
				line, column = key.Line, key.Column
			}
		}
		return p != pointer
	})
	return line, column
}

// pointerAt is the pointer of the last node that begins at a place or before it.
func (t tree) pointerAt(line, column int) (found string) {
	t.walk(func(pointer string, _, node *yaml.Node) bool {
		if node.Line > line || node.Line == line && column > 0 && node.Column > column {
			return false
		}
		found = pointer
		return true
	})
	return found
}

// linesOfOperations are where the members of the document's paths begin, by their pointers.
func (t tree) linesOfOperations() map[string]int {
	lines := make(map[string]int)
	if t.root == nil || t.root.Kind != yaml.MappingNode {
		return lines
	}
	eachMember(t.root, func(key, paths *yaml.Node) {
		if key.Value != "paths" {
			return
		}
		eachMember(paths, func(path, item *yaml.Node) {
			eachMember(item, func(method, _ *yaml.Node) {
				lines["/paths/"+escapePointer(path.Value)+"/"+strings.ToLower(method.Value)] = method.Line
			})
		})
	})
	return lines
}

func eachMember(node *yaml.Node, visit func(key, value *yaml.Node)) {
	if node.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		visit(node.Content[i], node.Content[i+1])
	}
}

func escapePointer(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}
