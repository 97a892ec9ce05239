package request

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/endpointcache/endpointcache/internal/keytype"
)

// fieldTag is what the tag of a key's field says.
type fieldTag struct {
	source     string // path, query, header, body or method
	name       string
	options    []string
	absent     string // the text of its default tag
	hasDefault bool
}

// tagOptions are the sources of a field's value and their options.
var tagOptions = map[string][]string{
	"path":   {"list", "set", "comma"},
	"query":  {"required", "list", "set", "comma", "space", "pipe"},
	"header": {"required", "hash"},
	"body":   {"required", "list", "set", "number"},
	"method": nil,
}

func parseTag(f *keytype.Field) (fieldTag, error) {
	var tag fieldTag
	for _, source := range []string{"path", "query", "header", "body", "method"} {
		text, ok := f.Tag.Lookup(source)
		if !ok {
			continue
		}
		if tag.source != "" {
			return fieldTag{}, fmt.Errorf("it has both a %s and a %s tag", tag.source, source)
		}
		tag.source = source
		tag.name, tag.options = keytype.SplitTag(source, text)
	}
	if tag.source == "" {
		return fieldTag{}, errors.New("it has no path, query, header, body or method tag")
	}
	if (tag.name == "") != (tag.source == "method") {
		return fieldTag{}, fmt.Errorf("its %s tag has the name %q", tag.source, tag.name)
	}
	for i, option := range tag.options {
		if !slices.Contains(tagOptions[tag.source], option) {
			return fieldTag{}, fmt.Errorf("a %s tag has no option %q", tag.source, option)
		}
		if slices.Contains(tag.options[:i], option) {
			return fieldTag{}, fmt.Errorf("option %q is there twice", option)
		}
	}
	tag.absent, tag.hasDefault = f.Tag.Lookup("default")
	switch {
	case !tag.hasDefault:
	case tag.source == "path" || tag.source == "method":
		return fieldTag{}, fmt.Errorf("a %s is never absent, so it has no default", tag.source)
	case tag.option("required"):
		return fieldTag{}, errors.New("it is required, so it has no default")
	}
	return tag, nil
}

func (t *fieldTag) option(name string) bool { return slices.Contains(t.options, name) }

// repeat is what the tag says of several values.
func (t *fieldTag) repeat(f *keytype.Field) (repeat, error) {
	switch isList, isSet := t.option("list"), t.option("set"); {
	case isList && isSet:
		return once, errors.New("options list and set exclude each other")
	case (isList || isSet) && !f.Plain():
		return once, errors.New("a list or set needs a string")
	case isList:
		return list, nil
	case isSet:
		return set, nil
	}
	return once, nil
}

// input is the field with what its tag says. scratch is a value of the key
// type, which is set to zero.
func (t *fieldTag) input(f *keytype.Field, scratch reflect.Value) (input, error) {
	in := input{field: f, name: t.name, required: t.option("required"), absent: t.absent}
	in.always = in.required || t.hasDefault
	scratch.SetZero()
	if !t.hasDefault {
		var err error
		in.absent, err = f.Text(scratch)
		return in, err
	}
	err := f.SetText(scratch, t.absent)
	if err == nil {
		in.absent, err = f.Text(scratch)
	}
	if err != nil {
		return input{}, fmt.Errorf("default: %w", err)
	}
	return in, nil
}
