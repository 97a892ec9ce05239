package keytype

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/endpointcache/endpointcache/internal/secret"
)

// Show is the text of a key for errors and reports, with a mark in place of each field
// whose name is that of a secret.
func Show(key any) string {
	v := reflect.ValueOf(key)
	if v.Kind() != reflect.Struct {
		return fmt.Sprintf("%+v", key)
	}
	shown := reflect.New(v.Type()).Elem()
	shown.Set(v)
	mask(shown)
	return fmt.Sprintf("%+v", shown.Interface())
}

func mask(v reflect.Value) {
	t := v.Type()
	for i := range t.NumField() {
		sf, field := t.Field(i), v.Field(i)
		switch {
		case sf.Anonymous && sf.Type.Kind() == reflect.Struct && !hasText(sf.Type):
			mask(field)
		case !sf.IsExported():
		case !isSecret(sf.Name, sf.Tag) || field.IsZero():
		case sf.Type.Kind() == reflect.String:
			field.SetString(secret.Mark)
		default:
			field.SetZero()
		}
	}
}

// isSecret tells whether a field holds a secret, by the name that a request has for it, or
// else its own.
func isSecret(fieldName string, tags reflect.StructTag) bool {
	for source, is := range map[string]func(string) bool{
		"query": secret.Param, "header": secret.Header, "path": secret.Member, "body": secret.Member,
	} {
		if tag, ok := tags.Lookup(source); ok {
			name, _ := SplitTag(source, tag)
			return is(strings.ReplaceAll(name, `\`, ""))
		}
	}
	return secret.Member(fieldName)
}

// Quote is a text of the field for an error, or a mark in its place where it is a secret.
func (f *Field) Quote(text string) string {
	if isSecret(f.Name, f.Tag) {
		text = secret.Mark
	}
	return strconv.Quote(text)
}
