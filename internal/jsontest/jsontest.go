// Package jsontest holds JSON libraries to encoding/json: what they take and
// refuse, the values they make, and the bytes they write.
package jsontest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
)

// Library is a JSON library with the functions of encoding/json.
type Library struct {
	Unmarshal func(data []byte, v any) error
	Marshal   func(v any) ([]byte, error)
}

// Compare decodes body into a value of a type, encodes what comes of it, and fails
// the test where encoding/json does otherwise.
func (l Library) Compare(t *testing.T, typ reflect.Type, body []byte) {
	t.Helper()
	data, got, want := bytes.Clone(body), reflect.New(typ), reflect.New(typ)
	err := l.Unmarshal(data, got.Interface())
	wantErr := json.Unmarshal(body, want.Interface())
	if !bytes.Equal(data, body) {
		t.Fatalf("%q into %v: the body has become %q", body, typ, data)
	}
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("%q into %v: %v, encoding/json says %v", body, typ, err, wantErr)
	}
	if err != nil {
		return
	}
	for i := range data {
		data[i] = 'X' // a value that shares memory with the body changes
	}
	if !reflect.DeepEqual(got.Interface(), want.Interface()) && !holdsNaN(typ, body) {
		t.Fatalf("%q into %v: %s, encoding/json makes %s", body, typ, show(got), show(want))
	}
	gotData, err := l.Marshal(got.Elem().Interface())
	wantData, wantErr := json.Marshal(want.Elem().Interface())
	if (err == nil) != (wantErr == nil) || !bytes.Equal(gotData, wantData) {
		t.Fatalf("%s is %q, %v; encoding/json says %q, %v", show(want), gotData, err, wantData, wantErr)
	}
}

// holdsNaN tells whether the value of a body is not equal to itself, as it can be since
// Go 1.27.
func holdsNaN(typ reflect.Type, body []byte) bool {
	first, second := reflect.New(typ), reflect.New(typ)
	_, _ = json.Unmarshal(body, first.Interface()), json.Unmarshal(body, second.Interface())
	return !reflect.DeepEqual(first.Interface(), second.Interface())
}

// Survive decodes body into a value of a type and encodes that, and fails the test where
// the value or the body changes. What the results are does not matter.
func (l Library) Survive(t *testing.T, typ reflect.Type, body []byte) {
	t.Helper()
	data, v := bytes.Clone(body), reflect.New(typ)
	err := l.Unmarshal(data, v.Interface())
	if !bytes.Equal(data, body) {
		t.Fatalf("%q into %v: the body has become %q", body, typ, data)
	}
	if err != nil {
		return
	}
	before := show(v)
	for i := range data {
		data[i] = 'X'
	}
	_, _ = l.Marshal(v.Elem().Interface())
	if after := show(v); after != before {
		t.Fatalf("%q into %v: %s, was %s", body, typ, after, before)
	}
}

// show is a value with what its pointers lead to.
func show(v reflect.Value) string {
	data, err := json.Marshal(v.Interface())
	return fmt.Sprintf("%#v (%s, %v)", v.Elem().Interface(), data, err)
}
