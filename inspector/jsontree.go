package inspector

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// jsonNode is a value of JSON as the page folds and colours it. Numbers and the order of members
// are as they were sent.
type jsonNode struct {
	Name     string // with its quotes, empty for what is no member
	Kind     string // "object", "array", "string", "number", "literal" or "cut"
	Text     string // of what is neither object nor array
	Children []*jsonNode
	Members  int
	Open     bool
	Last     bool // no comma follows
	Cut      bool // some of its children are left out
}

// What a page shows of a tree: the rest is in the file.
const (
	treeNodes  = 5000
	treeDepth  = 100
	treeString = 2000
	openNodes  = 400 // with fewer, all is unfolded
)

// parseTree is nil for what is no JSON.
func parseTree(body []byte) *jsonNode {
	p := treeParser{left: treeNodes}
	p.decoder = jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	root, err := p.value(0)
	if err != nil || root == nil {
		return nil
	}
	root.Last = true
	root.unfold(0, treeNodes-p.left <= openNodes)
	return root
}

type treeParser struct {
	decoder *jsontext.Decoder
	left    int
}

// value reads the next value. Where the page has enough, it is cut, and the decoder stays before
// it.
func (p *treeParser) value(depth int) (*jsonNode, error) {
	if p.left--; p.left < 0 {
		return &jsonNode{Kind: "cut"}, nil
	}
	switch kind := p.decoder.PeekKind(); kind {
	case '{', '[':
		if depth == treeDepth {
			return &jsonNode{Kind: "literal", Text: "…"}, p.decoder.SkipValue()
		}
		return p.container(kind, depth)
	default:
		text, err := p.decoder.ReadValue()
		if err != nil {
			return nil, err
		}
		node := &jsonNode{Kind: "literal", Text: printable(string(text), treeString)}
		switch kind {
		case '"':
			node.Kind = "string"
		case '0':
			node.Kind = "number"
		}
		return node, nil
	}
}

func (p *treeParser) container(kind jsontext.Kind, depth int) (*jsonNode, error) {
	node := &jsonNode{Kind: "array"}
	if kind == '{' {
		node.Kind = "object"
	}
	if _, err := p.decoder.ReadToken(); err != nil {
		return nil, err
	}
	for {
		if next := p.decoder.PeekKind(); next == '}' || next == ']' {
			_, err := p.decoder.ReadToken()
			return node.closed(), err
		}
		if p.left <= 0 {
			node.Cut = true
			return node.closed(), nil
		}
		name := ""
		if kind == '{' {
			text, err := p.decoder.ReadValue()
			if err != nil {
				return nil, err
			}
			name = printable(string(text), 200)
		}
		child, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		child.Name = name
		node.Children = append(node.Children, child)
		if p.left <= 0 && child.unfinished() {
			node.Cut = true
			return node.closed(), nil
		}
	}
}

// unfinished reports whether the decoder is still within the node.
func (n *jsonNode) unfinished() bool { return n.Cut || n.Kind == "cut" }

func (n *jsonNode) closed() *jsonNode {
	n.Members = len(n.Children)
	if n.Members > 0 && !n.Cut {
		n.Children[n.Members-1].Last = true
	}
	return n
}

// unfold opens the outer levels, or all.
func (n *jsonNode) unfold(depth int, all bool) {
	n.Open = all || depth < 2
	for _, child := range n.Children {
		child.unfold(depth+1, all)
	}
}

// Container reports whether the node has children to fold.
func (n *jsonNode) Container() bool { return len(n.Children) > 0 }

// Brackets are those around the children.
func (n *jsonNode) Brackets() [2]string {
	if n.Kind == "object" {
		return [2]string{"{", "}"}
	}
	return [2]string{"[", "]"}
}
