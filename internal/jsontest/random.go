package jsontest

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
)

// RandomType makes one of 10,000 types, as package reflect keeps each for good: structs
// with tags of all kinds, and what they can hold.
func RandomType(seed uint64) reflect.Type {
	return randomType(rand.New(rand.NewPCG(seed%10_000, 0)), 3)
}

func randomType(r *rand.Rand, depth int) reflect.Type {
	if depth == 0 {
		return pick(r, leaves)
	}
	depth--
	switch r.IntN(8) {
	case 0:
		return reflect.PointerTo(randomType(r, depth))
	case 1:
		return reflect.SliceOf(randomType(r, depth))
	case 2:
		return reflect.ArrayOf(r.IntN(3), randomType(r, depth))
	case 3:
		return reflect.MapOf(pick(r, mapKeys), randomType(r, depth))
	case 4:
		return pick(r, leaves)
	default:
		return randomStruct(r, depth)
	}
}

func randomStruct(r *rand.Rand, depth int) reflect.Type {
	var fields []reflect.StructField
	if r.IntN(6) == 0 {
		part := pick(r, parts)
		fields = append(fields, reflect.StructField{Name: part.Name(), Anonymous: true, Type: part})
	}
	for i := range r.IntN(5) {
		field := reflect.StructField{Name: fmt.Sprintf("F%d", i), Type: randomType(r, depth)}
		if r.IntN(4) > 0 {
			field.Tag = reflect.StructTag(fmt.Sprintf(`json:%q`, pick(r, names)+pick(r, options)))
		}
		fields = append(fields, field)
	}
	return reflect.StructOf(fields)
}

var (
	names = []string{
		"", "", "", "id", "name", "a", "b", "a_b", "a-b", "a.b", "title", "url", "k", "s", "0", "@id",
		"ID", "Id", "A", "-", "é", "\u212a", "x<y", "a b", "f0", "x",
	}
	options = []string{"", "", "", "", "", "", ",omitempty", ",omitempty", ",omitzero", ",string", ",omitempty,string", ",other", ",embed", ",inline", ",case:strict", ","}
)

// RandomBody makes a text for a value of a type. Some parts do not fit it, and some are
// no JSON.
func RandomBody(seed uint64, typ reflect.Type) []byte {
	r, b := rand.New(rand.NewPCG(seed, 1)), new(strings.Builder)
	writeFor(b, r, typ, 6)
	text := []byte(b.String())
	if r.IntN(8) == 0 && len(text) > 0 {
		text[r.IntN(len(text))] = pick(r, []byte("\x00 \"\\{}[]:,.019aeu\xff"))
	}
	return text
}

func writeFor(b *strings.Builder, r *rand.Rand, typ reflect.Type, depth int) {
	if typ == nil || r.IntN(12) == 0 {
		writeAny(b, r, depth)
		return
	}
	if depth == 0 {
		b.WriteString("null")
		return
	}
	depth--
	switch typ.Kind() {
	case reflect.Pointer:
		writeFor(b, r, typ.Elem(), depth)
	case reflect.Slice, reflect.Array:
		if typ.Elem().Kind() == reflect.Uint8 && r.IntN(2) == 0 {
			b.WriteString(pick(r, base64s))
			return
		}
		writeArray(b, r, typ.Elem(), depth)
	case reflect.Map:
		writeObject(b, r, func() (string, reflect.Type) { return pick(r, keys), typ.Elem() }, depth)
	case reflect.Struct:
		if typ.NumField() == 0 || typ.Field(0).PkgPath != "" {
			writeAny(b, r, depth)
			return
		}
		writeObject(b, r, func() (string, reflect.Type) { return fieldOf(r, typ) }, depth)
	case reflect.String:
		if r.IntN(3) == 0 {
			b.WriteString(pick(r, numbers))
			return
		}
		b.WriteString(pick(r, strs))
	case reflect.Interface:
		writeAny(b, r, depth)
	case reflect.Bool:
		b.WriteString(pick(r, []string{"true", "false", `"true"`, "null"}))
	default:
		number := pick(r, numbers)
		if r.IntN(4) == 0 {
			number = `"` + number + `"`
		}
		b.WriteString(number)
	}
}

// fieldOf is the name of a field, perhaps in another case, and what it holds.
func fieldOf(r *rand.Rand, typ reflect.Type) (string, reflect.Type) {
	field := typ.Field(r.IntN(typ.NumField()))
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	if name == "" {
		name = field.Name
	}
	switch r.IntN(8) {
	case 0:
		name = strings.ToUpper(name)
	case 1:
		name = strings.ToLower(name)
	case 2:
		name = strings.ReplaceAll(name, "a", `\u0061`)
	case 3:
		name = strings.ReplaceAll(strings.ReplaceAll(name, "k", "\u212a"), "s", "\u017f") // fold to the same letters
	}
	return `"` + name + `"`, field.Type
}

func writeObject(b *strings.Builder, r *rand.Rand, member func() (string, reflect.Type), depth int) {
	b.WriteString("{")
	for i := range r.IntN(6) {
		if i > 0 {
			b.WriteString(pick(r, []string{",", " , "}))
		}
		name, typ := member()
		b.WriteString(name)
		b.WriteString(pick(r, []string{":", ": "}))
		writeFor(b, r, typ, depth)
	}
	b.WriteString("}")
}

func writeArray(b *strings.Builder, r *rand.Rand, elem reflect.Type, depth int) {
	b.WriteString("[")
	for i := range r.IntN(4) {
		if i > 0 {
			b.WriteString(",")
		}
		writeFor(b, r, elem, depth)
	}
	b.WriteString("]")
}

func writeAny(b *strings.Builder, r *rand.Rand, depth int) {
	if depth == 0 {
		b.WriteString("0")
		return
	}
	depth--
	switch r.IntN(6) {
	case 0:
		writeArray(b, r, nil, depth)
	case 1:
		writeObject(b, r, func() (string, reflect.Type) { return pick(r, keys), nil }, depth)
	case 2:
		b.WriteString(pick(r, strs))
	case 3:
		b.WriteString(pick(r, numbers))
	default:
		b.WriteString(pick(r, others))
	}
}

var (
	keys = []string{
		`"a"`, `"A"`, `"id"`, `"ID"`, `"name"`, `"Name"`, `"X"`, `"y"`, `"shown"`, `"next"`, `"nodes"`, `"named"`,
		`""`, `"1"`, `"-1"`, `"300"`, `"+1"`, `"01"`, `"1.0"`, `"null"`, `"::1"`, `"refused"`, `"\u0061"`, "\"\xff\"", `"é"`, `"\ud800"`,
	}
	strs = []string{
		`""`, `"a"`, `"refused"`, `"é<&>"`, `"\u00e9\n\"\/"`, `"\ud800"`, `"\ud83d\ude00"`, "\"\xff\xfe\"", `"\u2028"`, "\"\u2028\"", "\"\t\"",
		`"2026-01-02T03:04:05Z"`, `"2026-01-02T3:04:05,5Z"`, `"2026-01-02T03:04:05.123456789+24:00"`, `"2026-02-30T03:04:05Z"`,
		`"1"`, `"-1.5e3"`, `"+1"`, `"01"`, `" 1"`, `"null"`, `"true"`, `"\"a\""`, `"\"\\u0061\""`, `"::1"`, `"1h"`, `"NaN"`, `"Inf"`, `"0x1p4"`, `"1_0"`,
	}
	base64s = []string{`""`, `"AP8="`, `"AP8"`, `"AP9="`, `"A P8="`, "\"AP8\\n=\"", `"AP8=="`, `"-_8="`, "null"}
	numbers = []string{
		"0", "-0", "1", "-1", "255", "256", "32768", "9223372036854775807", "9223372036854775808", "18446744073709551615", "1.0", "1e2", "1E+2", "-1.5",
		"1e400", "1e-400", "3.5e38", "0.1", "1e21", "1e-7", "123456789012345678901234567890", "01", "+1", ".5", "1.", "NaN", "-",
	}
	others = []string{"null", "null", "true", "false", "{}", "[]", "[[[]]]", " null\n", "nul", "tru", ""}
)

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }
