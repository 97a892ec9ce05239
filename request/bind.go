package request

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"reflect"
	"slices"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/keytype"
)

// input is a field of the key that may be absent from a request.
type input struct {
	field    *keytype.Field
	name     string
	required bool
	absent   string // the field's text where the request does not have it
	always   bool   // it is sent even if its text is that
}

// set sets the field from the text in a request, if it was found there.
func (in *input) set(key reflect.Value, text string, found bool) bool {
	if !found {
		text = in.absent
	}
	return (found || !in.required) && in.field.SetText(key, text) == nil
}

// text is the field's text and whether it is to be sent.
func (in *input) text(key reflect.Value) (text string, send bool, err error) {
	text, err = in.field.Text(key)
	return text, in.always || text != in.absent, err
}

// bind finds the place of every field of the key and a field for every
// wildcard.
func (p *plan) bind(scratch reflect.Value) error {
	fields := p.keyType.Fields
	switch {
	case len(fields) == 1 && fields[0].Empty(): // all requests are one
	case len(fields) == 1 && fields[0].Name == "":
		if err := p.path.bindOnly(&fields[0]); err != nil {
			return err
		}
	default:
		for i := range fields {
			if err := p.bindField(&fields[i], scratch); err != nil {
				return fmt.Errorf("%s: %w", &fields[i], err)
			}
		}
	}
	return p.bindRest()
}

// bindRest finds what no field was bound to, and the method.
func (p *plan) bindRest() error {
	for i := range p.path.segments {
		if s := &p.path.segments[i]; s.name != "" && s.field == nil {
			return fmt.Errorf(`wildcard {%s}: the key has no field with the tag path:"%[1]s"`, s.name)
		}
	}
	switch {
	case p.members != nil && len(p.named) == 0:
		return errors.New(`the key has a body: name the method, as in "POST /v1/search"`)
	case p.method != nil:
	case len(p.methods) > 1 && !p.shareMethods:
		return errors.New("several methods would share keys: name one, or give the key a field with a method tag")
	case len(p.methods) == 0:
		p.methods = []string{http.MethodGet}
	}
	return nil
}

func (p *plan) bindField(f *keytype.Field, scratch reflect.Value) error {
	tag, err := parseTag(f)
	if err != nil {
		return err
	}
	switch tag.source {
	case "path":
		return p.path.bind(f, tag)
	case "method":
		if p.method != nil {
			return errors.New("the key has two fields with a method tag")
		}
		if !f.Plain() {
			return errors.New("a method is a string")
		}
		p.method = f
		return nil
	case "query":
		return p.bindQuery(f, tag, scratch)
	case "body":
		return p.bindMember(f, tag, scratch)
	default:
		return p.bindHeader(f, tag, scratch)
	}
}

func (p *path) bind(f *keytype.Field, tag fieldTag) error {
	name := tag.name
	for i := range p.segments {
		s := &p.segments[i]
		switch {
		case s.name == "" || s.name != name:
			continue
		case s.field != nil:
			return fmt.Errorf("wildcard {%s} has two fields", name)
		case s.span && f.Kind != driver.String:
			return fmt.Errorf("wildcard {%s...} needs a string", name)
		}
		s.field = f
		return s.bindList(f, tag)
	}
	return fmt.Errorf("the pattern has no wildcard {%s}", name)
}

// bindOnly gives the key that is no struct the pattern's only wildcard.
func (p *path) bindOnly(f *keytype.Field) error {
	name := ""
	for _, s := range p.segments {
		if s.name != "" && name != "" {
			return errors.New("it has several wildcards: use a key that is a struct, with a field for each")
		}
		name += s.name
	}
	if name == "" {
		return errors.New("it has no wildcard to take the key from")
	}
	return p.bind(f, fieldTag{source: "path", name: name})
}

func (p *plan) bindQuery(f *keytype.Field, tag fieldTag, scratch reflect.Value) error {
	if p.query.owns(tag.name) {
		return fmt.Errorf("query parameter %q is there twice", tag.name)
	}
	repeat, err := tag.repeat(f)
	if err != nil {
		return err
	}
	in, err := tag.input(f, scratch)
	if err != nil {
		return err
	}
	separator, err := tag.separator(repeat)
	if err != nil {
		return err
	}
	p.query.fields = append(p.query.fields, queryField{in, repeat, separator})
	return nil
}

func (p *plan) bindMember(f *keytype.Field, tag fieldTag, scratch reflect.Value) error {
	repeat, err := tag.repeat(f)
	if err != nil {
		return err
	}
	number := tag.option("number")
	if number && !f.Plain() {
		return errors.New("the option number needs a string: an integer is a number without it")
	}
	in, err := tag.input(f, scratch)
	if err != nil {
		return err
	}
	field := memberField{input: in, repeat: repeat, number: number}
	if tag.hasDefault {
		if _, err := field.append(nil, scratch); err != nil {
			return fmt.Errorf("default: %w", err)
		}
	}
	if p.members == nil {
		p.members = &members{}
	}
	return p.members.add(field)
}

// unsent are headers that a client does not take from a request's Header.
var unsent = []string{"Host", "Content-Length", "Transfer-Encoding", "Trailer"}

func (p *plan) bindHeader(f *keytype.Field, tag fieldTag, scratch reflect.Value) error {
	if !isToken(tag.name) {
		return fmt.Errorf("%q is not a header's name", tag.name)
	}
	tag.name = textproto.CanonicalMIMEHeaderKey(tag.name)
	if slices.Contains(unsent, tag.name) {
		return fmt.Errorf("clients do not send %s as it is in a request's Header", tag.name)
	}
	if slices.ContainsFunc(p.headers, func(h header) bool { return h.name == tag.name }) {
		return fmt.Errorf("header %s has two fields", tag.name)
	}
	h := header{hash: tag.option("hash")}
	if h.hash && (!f.Plain() || tag.hasDefault) {
		return errors.New("a hash needs a string without a default")
	}
	var err error
	if h.input, err = tag.input(f, scratch); err != nil {
		return err
	}
	p.headers = append(p.headers, h)
	return nil
}
