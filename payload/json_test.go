package payload_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"

	"github.com/endpointcache/endpointcache/internal/jsontest"
	"github.com/endpointcache/endpointcache/payload"
)

// library is what payload.JSON uses.
var library = jsontest.Library{
	Unmarshal: func(data []byte, v any) error {
		return payload.UnmarshalerOf(reflect.TypeOf(v).Elem())(data, v)
	},
	Marshal: json.Marshal,
}

// FuzzJSON holds the library behind JSON to encoding/json: it takes and refuses
// the same bodies, and makes the same values and bytes of them.
func FuzzJSON(f *testing.F) {
	for i, body := range jsontest.Seeds {
		f.Add(uint64(i), []byte(body))
	}
	f.Fuzz(func(t *testing.T, seed uint64, body []byte) {
		for _, typ := range jsontest.Types {
			library.Compare(t, typ, body)
		}
		typ := jsontest.RandomType(seed)
		library.Compare(t, typ, body)
		library.Compare(t, typ, jsontest.RandomBody(seed, typ))
	})
}

type (
	embedded interface{ String() string }

	// from has a method for version 2 of encoding/json.
	from string

	self struct{ self *self }

	names struct {
		A string `json:"name"`
		B string `json:"Name"`
	}
	under struct {
		jsontest.Embedded
		Note2 string `json:"note"`
	}
	options struct {
		Text  jsontest.Upper    `json:"text,string"`
		Float float64           `json:"float,string"`
		Map   map[string]string `json:"map,embed"`
		Other int               `json:"other,case:strict"`
	}
	ambiguous struct {
		jsontest.Upper
		jsontest.Verbatim
	}
	// nameless has a type without a name, with the methods of what it embeds.
	nameless struct {
		Text struct {
			jsontest.Upper
			Other int
		} `json:"text"`
	}
	holder struct {
		embedded
		Any any `json:"any"`
	}
)

func (f *from) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	*f = "from"
	return d.SkipValue()
}

// TestJSONTypes has types and bodies of which the decoder of Go 1.27 makes something
// else than encoding/json did before, or could.
func TestJSONTypes(t *testing.T) {
	deep := func(n int) string { return strings.Repeat(`[`, n) + strings.Repeat(`]`, n) }
	for _, test := range []struct {
		typ    reflect.Type
		bodies []string
	}{
		{reflect.TypeFor[json.Number](), []string{`1`, `"1"`, `"a"`, `""`, `null`, `1e400`}},
		{reflect.TypeFor[[]json.Number](), []string{`[1,"1"]`, `["a"]`}},
		{reflect.TypeFor[map[json.Number]int](), []string{`{"1":1}`, `{"a":1}`}},
		{reflect.TypeFor[map[int]int](), []string{`{"null":1}`, `{"01":1}`, `{"+1":1}`}},
		{reflect.TypeFor[names](), []string{`{"name":"a","Name":"b"}`, `{"NAME":"a"}`}},
		{reflect.TypeFor[under](), []string{`{"Note":"a"}`, `{"note":"a"}`, `{"NOTE":"a"}`}},
		{reflect.TypeFor[jsontest.Deep](), []string{`{"NAME":"a"}`, `{"aa":1,"a":2,"A":3}`}},
		{reflect.TypeFor[jsontest.Tree](), []string{`{"LABEL":"a","children":[{"parent":{"shown":"b"}}]}`, `{"by_name":{"a":null}}`}},
		{reflect.TypeFor[jsontest.Secret](), []string{`{"shown":"a"}`, `{"A":1}`}},
		{reflect.TypeFor[options](), []string{`{"text":"a"}`, `{"text":"\"a\""}`, `{"float":"NaN"}`, `{"map":{"a":"b"}}`, `{"a":"b"}`, `{"OTHER":1}`}},
		{reflect.TypeFor[ambiguous](), []string{`{}`, `"a"`, `{"Upper":"a"}`}},
		{reflect.TypeFor[nameless](), []string{`{"text":"a"}`, `{"text":{"Upper":"a","Other":1}}`}},
		{reflect.TypeFor[struct{ jsontest.Upper }](), []string{`"a"`, `{"Upper":"a"}`}},
		{reflect.TypeFor[[]*struct{ jsontest.Upper }](), []string{`["a"]`, `[{"Upper":"a"}]`}},
		{reflect.TypeFor[holder](), []string{`{"any":{"a":[1,"b"]}}`, `{"embedded":null}`, `{"embedded":1}`}},
		{reflect.TypeFor[self](), []string{`{"self":{}}`, `1`}},
		{reflect.TypeFor[from](), []string{`"a"`, `1`}},
		{reflect.TypeFor[[]jsontest.Track](), []string{deep(9_999), deep(10_000), deep(10_001)}},
		{reflect.TypeFor[[]json.RawMessage](), []string{deep(9_999), deep(10_000), deep(10_001)}},
		{reflect.TypeFor[func()](), []string{`null`, `1`}},
	} {
		for _, body := range test.bodies {
			t.Run(fmt.Sprintf("%v %.30s", test.typ, body), func(t *testing.T) { library.Compare(t, test.typ, []byte(body)) })
		}
	}
}

func TestErrorsOfJSONAreThoseOfEncodingJSON(t *testing.T) {
	decode := payload.JSON[[]jsontest.Track]().Decode
	_, err := decode([]byte(`[{"title":}]`))
	if _, ok := errors.AsType[*json.SyntaxError](err); !ok {
		t.Errorf("%T, %v", err, err)
	}
	value, err := decode([]byte(`[{"title":"a","plays":-1}]`))
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); !ok || !strings.HasSuffix(e.Field, "plays") {
		t.Errorf("%T, %v", err, err)
	}
	if value != nil {
		t.Errorf("%v, and an error", value)
	}
}

// panics cannot be decoded.
type panics struct{}

func (*panics) UnmarshalJSON([]byte) error { panic("on purpose") }

func TestJSONDecodesAfterAPanic(t *testing.T) {
	for range 10 {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("a panic did not reach the caller")
				}
			}()
			_, _ = payload.JSON[[]panics]().Decode([]byte(`[1,2]`))
		}()
		if got, err := payload.JSON[[]int]().Decode([]byte(`[1,2]`)); err != nil || len(got) != 2 {
			t.Errorf("%v, %v", got, err)
		}
	}
}

func BenchmarkJSON(b *testing.B) {
	b.Run("payload", library.Bench)
	b.Run("encoding-json", jsontest.Library{Unmarshal: json.Unmarshal, Marshal: json.Marshal}.Bench)
	b.Run("v1", jsontest.Library{
		Unmarshal: func(data []byte, v any) error { return jsonv1.Unmarshal(data, v) },
		Marshal:   func(v any) ([]byte, error) { return jsonv1.Marshal(v) },
	}.Bench)
	b.Run("v2", jsontest.Library{
		Unmarshal: func(data []byte, v any) error { return jsonv2.Unmarshal(data, v) },
		Marshal:   func(v any) ([]byte, error) { return jsonv2.Marshal(v) },
	}.Bench)
}
