package inspector

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/endpointcache/endpointcache/internal/preview"
)

// jsonNode is a value of JSON as the page folds and colours it. Numbers and the order of members
// are as they were sent.
type jsonNode struct {
	Name     string // with its quotes, empty for what is no member
	Kind     string // "object", "array", "string", "number" or "literal"
	Text     string // of what is neither object nor array
	Children []*jsonNode
	Members  int
	Open     bool
	Last     bool // no comma follows
	Cut      bool // some of its children are left out
}

// What a page shows of a tree: the rest is in the file.
const (
	treeBytes  = 4 << 20
	treeNodes  = 5000
	treeDepth  = 100
	treeString = 2000
	openNodes  = 400 // with fewer, all is unfolded
)

// parseTree returns the values of a JSON body: one, or of JSON Lines several. There are none where
// the body is no JSON. cut reports whether some are left out.
func parseTree(header http.Header, body []byte) (roots []*jsonNode, cut bool) {
	plain, whole, err := preview.Plain(header, body, treeBytes)
	if err != nil {
		return nil, false
	}
	p := treeParser{left: treeNodes}
	plain = bytes.TrimPrefix(plain, []byte("\ufeff"))
	p.decoder = jsontext.NewDecoder(bytes.NewBuffer(plain), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for p.decoder.PeekKind() != 0 && !p.ended() {
		if root := p.value(0); root != nil {
			root.Last = true
			roots = append(roots, root)
		}
	}
	if _, err := p.decoder.ReadToken(); !p.ended() && !errors.Is(err, io.EOF) {
		p.broken = true
	}
	if p.broken && whole {
		return nil, false
	}
	for _, root := range roots {
		root.unfold(0, treeNodes-p.left <= openNodes)
	}
	return roots, p.ended() || !whole
}

type treeParser struct {
	decoder *jsontext.Decoder
	left    int  // nodes that there is room for
	broken  bool // what follows is no JSON, or is cut off
}

func (p *treeParser) ended() bool { return p.left <= 0 || p.broken }

// value reads the next value, nil where there is none.
func (p *treeParser) value(depth int) *jsonNode {
	p.left--
	kind := p.decoder.PeekKind()
	if kind == '{' || kind == '[' {
		if depth < treeDepth {
			return p.container(kind, depth)
		}
		p.broken = p.decoder.SkipValue() != nil
		return &jsonNode{Kind: "literal", Text: "…"}
	}
	text, err := p.decoder.ReadValue()
	if err != nil {
		p.broken = true
		return nil
	}
	node := &jsonNode{Kind: "literal", Text: printable(string(text), treeString)}
	switch kind {
	case '"':
		node.Kind = "string"
	case '0':
		node.Kind = "number"
	default:
	}
	return node
}

// container reads an object or an array, as far as there is room for it.
func (p *treeParser) container(kind jsontext.Kind, depth int) *jsonNode {
	node := &jsonNode{Kind: "array"}
	if kind == '{' {
		node.Kind = "object"
	}
	_, _ = p.decoder.ReadToken() // its kind is known
	for {
		if next := p.decoder.PeekKind(); next == '}' || next == ']' {
			_, err := p.decoder.ReadToken()
			p.broken = err != nil
			break
		}
		if node.Cut = p.ended(); node.Cut {
			break
		}
		name := ""
		if kind == '{' {
			text, err := p.decoder.ReadValue()
			if err != nil {
				node.Cut, p.broken = true, true
				break
			}
			name = printable(string(text), 200)
		}
		child := p.value(depth + 1)
		if child == nil {
			node.Cut = true
			break
		}
		child.Name = name
		node.Children = append(node.Children, child)
		if p.ended() && (child.Cut || p.broken) {
			node.Cut = true // the decoder is still within the child
			break
		}
	}
	if node.Members = len(node.Children); node.Members > 0 && !node.Cut {
		node.Children[node.Members-1].Last = true
	}
	return node
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
