package diff

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"io"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	mostValues = 1 << 18 // of a body that are compared one by one
	mostDepth  = 1000    // of the values that are compared one by one
)

// value is one of JSON.
type value struct {
	kind     jsontext.Kind
	name     string // of the member whose value it is
	text     []byte // as it is written
	hash     uint64 // equal for equal values
	children []value
	closed   bool // its children are not known, as they are too many
}

// values compares JSON by member. It is false where one is no JSON, which may also be JSON Lines.
func values(stored, now []byte) ([]Change, bool) {
	from, ok := survey(stored)
	to, okTo := survey(now)
	if !ok || !okTo || from.sequence != to.sequence {
		return nil, false
	}
	p := parser{seed: maphash.MakeSeed(), depth: min(from.depth, to.depth), ordered: from.twice || to.twice}
	var c comparison
	c.compare("", p.document(stored, from.sequence), p.document(now, to.sequence))
	return c.changes, true
}

// layout is what is known of a JSON text before its values are.
type layout struct {
	sequence bool // it is not exactly one value
	twice    bool // an object has two members of the same name
	depth    int  // how deep it can be compared value by value
}

// survey reads a JSON text once. It is false for other texts.
func survey(text []byte) (layout, bool) {
	l, err := layoutOf(text, false)
	if errors.Is(err, jsontext.ErrDuplicateName) {
		l, err = layoutOf(text, true)
		l.twice = true
	}
	return l, err == nil
}

func layoutOf(text []byte, twice bool) (layout, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(twice), jsontext.AllowInvalidUTF8(true))
	var number [mostDepth + 1]int // of tokens by depth
	documents := 0
	for {
		_, err := dec.ReadToken()
		depth := dec.StackDepth()
		switch {
		case errors.Is(err, io.EOF):
			return layout{sequence: documents != 1, depth: affordable(number[:])}, nil
		case err != nil:
			return layout{}, err
		case depth == 0:
			documents++
		}
		if depth <= mostDepth {
			number[depth]++
		}
	}
}

// affordable is the depth down to which there are at most mostValues tokens.
func affordable(number []int) int {
	total := 0
	for depth, n := range number {
		if total += n; total > mostValues {
			return depth - 1
		}
	}
	return len(number) - 1
}

// parser reads values of texts that are JSON.
type parser struct {
	seed    maphash.Seed
	depth   int  // deeper values are not kept
	ordered bool // the order of members counts, as it does where names are there twice

	dec     *jsontext.Decoder
	text    []byte
	scratch []byte
}

// document reads a text. Several values are those of an array.
func (p *parser) document(text []byte, sequence bool) value {
	p.text = text
	p.dec = jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if !sequence {
		return p.value()
	}
	v := value{kind: jsontext.KindBeginArray, text: text, closed: p.depth < 0}
	for p.dec.PeekKind() != jsontext.KindInvalid {
		p.add(&v, p.value())
	}
	return v
}

func (p *parser) value() value {
	v := value{kind: p.dec.PeekKind()}
	if v.kind != jsontext.KindBeginObject && v.kind != jsontext.KindBeginArray {
		text, err := p.dec.ReadValue()
		if err != nil {
			return v
		}
		end := p.dec.InputOffset()
		v.text = p.text[int(end)-len(text) : end]
		v.hash = p.scalar(v)
		return v
	}
	_, _ = p.dec.ReadToken() // the text is known to be JSON
	begin := p.dec.InputOffset() - 1
	v.closed = p.dec.StackDepth() > p.depth
	for kind := p.dec.PeekKind(); kind != jsontext.KindEndObject && kind != jsontext.KindEndArray && kind != jsontext.KindInvalid; kind = p.dec.PeekKind() {
		var name string
		if v.kind == jsontext.KindBeginObject {
			token, _ := p.dec.ReadToken()
			name = token.String()
		}
		child := p.value()
		child.name = name
		p.add(&v, child)
	}
	_, _ = p.dec.ReadToken()
	v.hash = mix(v.hash ^ uint64(v.kind))
	v.text = p.text[begin:p.dec.InputOffset()]
	return v
}

// add makes a value one more of an object or array.
func (p *parser) add(v *value, child value) {
	hash := child.hash
	if v.kind == jsontext.KindBeginObject {
		hash = mix(maphash.String(p.seed, child.name) + bits.RotateLeft64(hash, 32))
	}
	if v.kind == jsontext.KindBeginObject && !p.ordered {
		v.hash += hash
	} else {
		v.hash = mix(v.hash + bits.RotateLeft64(hash, 1))
	}
	if !v.closed {
		v.children = append(v.children, child)
	}
}

// mix spreads the bits of a number, as SplitMix64 does.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// scalar is the hash of a string, number or literal.
func (p *parser) scalar(v value) uint64 {
	p.scratch = append(p.scratch[:0], byte(v.kind))
	switch v.kind {
	case jsontext.KindString:
		plain, err := jsontext.AppendUnquote(p.scratch, v.text)
		if err != nil { // not UTF-8
			plain = append(p.scratch, v.text...)
		}
		p.scratch = plain
	case jsontext.KindNumber:
		p.scratch = appendNumber(p.scratch, v.text)
	default: // a literal is its kind
	}
	return maphash.Bytes(p.seed, p.scratch)
}

// appendNumber appends a form of a number that is the same for equal ones: its digits without zeros at their ends, and
// its exponent.
func appendNumber(dst, text []byte) []byte {
	mantissa, exponentText, hasExponent := bytes.Cut(bytes.ToLower(text), []byte("e"))
	exponent := 0
	if hasExponent {
		var err error
		if exponent, err = strconv.Atoi(string(exponentText)); err != nil || exponent > 1<<30 || exponent < -1<<30 {
			return append(dst, text...) // as it is written
		}
	}
	digits, negative := bytes.CutPrefix(mantissa, []byte("-"))
	integer, fraction, _ := bytes.Cut(digits, []byte("."))
	all := slices.Concat(integer, fraction)
	exponent -= len(fraction)
	significant := bytes.TrimRight(all, "0")
	exponent += len(all) - len(significant)
	significant = bytes.TrimLeft(significant, "0")
	if len(significant) == 0 {
		return append(dst, '0')
	}
	if negative {
		dst = append(dst, '-')
	}
	dst = append(dst, significant...)
	return binary.BigEndian.AppendUint64(append(dst, 'e'), uint64(exponent))
}

// compact is a value without white space, of bounded length.
func (v value) compact() string {
	if len(v.text) > 2*mostShown {
		return cut(string(v.text[:2*mostShown])) // its end would not be seen
	}
	text := jsontext.Value(bytes.Clone(v.text))
	_ = text.Compact(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true), jsontext.PreserveRawStrings(true)) // it is JSON
	return cut(string(text))
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// pointer is the JSON Pointer, RFC 6901, to a member or element.
func pointer(path, name string) string { return path + "/" + pointerEscapes.Replace(name) }

func element(path string, i int) string { return path + "/" + strconv.Itoa(i) }
