package gen

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxChain is how many references may lead from one to the next. Documents have two or three;
// the loader takes a time for each that grows with all that come after it.
const maxChain = 100

// checkChains reports a reference to a reference to a reference, and so on. Circles are the
// loader's to report.
func (t tree) checkChains(name string) error {
	if t.root == nil {
		return nil
	}
	c := chains{root: t.root, members: make(map[*yaml.Node]map[string]*yaml.Node), lengths: make(map[*yaml.Node]int)}
	at := c.tooLong(t.root)
	if at == nil {
		return nil
	}
	found := &DocumentError{
		Name: name, Line: at.Line, Column: at.Column,
		Err: fmt.Errorf("the reference leads to a chain of more than %d others", maxChain),
	}
	t.walk(func(pointer string, _, node *yaml.Node) bool {
		found.Pointer = pointer
		return node != at
	})
	return found
}

type chains struct {
	root    *yaml.Node
	members map[*yaml.Node]map[string]*yaml.Node // of objects that were looked into
	lengths map[*yaml.Node]int                   // of the chains that begin at a node
}

// tooLong is the first reference within a node, or the node itself, whose chain is too long.
func (c *chains) tooLong(node *yaml.Node) *yaml.Node {
	if ref := reference(node); ref != nil && c.length(node) > maxChain {
		return ref
	}
	for _, child := range node.Content {
		if found := c.tooLong(child); found != nil {
			return found
		}
	}
	return nil
}

// length is how many references lead on from a node. A circle has no more than its own.
func (c *chains) length(node *yaml.Node) int {
	var passed []*yaml.Node
	for node = unaliased(node); node != nil; {
		if _, known := c.lengths[node]; known {
			break
		}
		c.lengths[node] = 0 // an end, if the chain comes back to it
		ref := reference(node)
		if ref == nil {
			break
		}
		passed = append(passed, node)
		node = unaliased(c.target(ref.Value))
	}
	n := c.lengths[node]
	for i := len(passed) - 1; i >= 0; i-- {
		n++
		c.lengths[passed[i]] = n
	}
	return n
}

// unaliased is the node that an alias names, or the node itself.
func unaliased(node *yaml.Node) *yaml.Node {
	if node != nil && node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

// reference is the value of $ref in an object, or nil.
func reference(node *yaml.Node) (ref *yaml.Node) {
	eachMember(node, func(key, value *yaml.Node) {
		if value = unaliased(value); key.Value == "$ref" && value.Kind == yaml.ScalarNode {
			ref = value
		}
	})
	return ref
}

// target is what a reference within the document leads to, or nil.
func (c *chains) target(ref string) *yaml.Node {
	within, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return nil
	}
	node := c.root
	for part := range strings.SplitSeq(within, "/") {
		if unescaped, err := url.PathUnescape(part); err == nil {
			part = unescaped
		}
		node = c.member(node, strings.NewReplacer("~1", "/", "~0", "~").Replace(part))
		if node == nil {
			return nil
		}
	}
	return node
}

func (c *chains) member(node *yaml.Node, name string) *yaml.Node {
	switch node = unaliased(node); node.Kind {
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(node.Content) {
			return node.Content[i]
		}
		return nil
	case yaml.MappingNode:
	default:
		return nil
	}
	known := c.members[node]
	if known == nil {
		known = make(map[string]*yaml.Node, len(node.Content)/2)
		eachMember(node, func(key, value *yaml.Node) { known[key.Value] = value })
		c.members[node] = known
	}
	return known[name]
}
