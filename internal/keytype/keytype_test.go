package keytype

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/driver"
)

type id string

type empty struct{}

type Paging struct {
	Page   int8
	PerDay uint64 `query:"per-day,required"`
}

type key struct {
	ID       id     `path:"trackID"`
	Name     string // reserved
	Order    string `column:"Sort Order"`
	Language string `header:"Accept-Language"`
	Paging
	HTMLOnly bool
}

func TestColumns(t *testing.T) {
	kt, err := Of[key]()
	if err != nil {
		t.Fatal(err)
	}
	want := []driver.Column{
		{Name: "track_id", Kind: driver.String},
		{Name: "key_name", Kind: driver.String},
		{Name: "Sort Order", Kind: driver.String},
		{Name: "accept_language", Kind: driver.String},
		{Name: "page", Kind: driver.Int},
		{Name: "per_day", Kind: driver.Int},
		{Name: "html_only", Kind: driver.Bool},
	}
	if d := cmp.Diff(want, kt.Columns()); d != "" {
		t.Error(d)
	}
	if err := (driver.TableSpec{Name: "t", Key: kt.Columns()}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestValuesRoundTrip(t *testing.T) {
	kt, err := Of[key]()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []key{
		{},
		{ID: "a", Name: "b", Order: "c", Language: "d", Paging: Paging{Page: -128, PerDay: 1<<64 - 1}, HTMLOnly: true},
	} {
		values, err := kt.AppendValues(nil, reflect.ValueOf(want))
		if err != nil {
			t.Fatal(err)
		}
		var got key
		if err := kt.Set(reflect.ValueOf(&got).Elem(), values); err != nil || got != want {
			t.Errorf("%+v became %v, then %+v, %v", want, values, got, err)
		}
	}
}

func TestValuesThatDoNotFitAreErrors(t *testing.T) {
	kt, err := Of[key]()
	if err != nil {
		t.Fatal(err)
	}
	good, err := kt.AppendValues(nil, reflect.ValueOf(key{}))
	if err != nil {
		t.Fatal(err)
	}
	for i, bad := range map[int]driver.Value{0: int64(1), 4: int64(128), 5: "x", 6: int64(1)} {
		values := append([]driver.Value(nil), good...)
		values[i] = bad
		var got key
		if err := kt.Set(reflect.ValueOf(&got).Elem(), values); err == nil || !strings.Contains(err.Error(), kt.Fields[i].Column) {
			t.Errorf("value %v of column %s: %v", bad, kt.Fields[i].Column, err)
		}
	}
	var got key
	if err := kt.Set(reflect.ValueOf(&got).Elem(), good[1:]); err == nil {
		t.Error("too few values are no error")
	}
}

func TestTypesThatCannotBeKeysAreRefusedByField(t *testing.T) {
	for reason, of := range map[string]func() (*Type, error){
		"has no fields":            Of[struct{ empty }],
		"field At":                 Of[struct{ At [2]int }],
		"field Price is a float64": Of[struct{ Price float64 }],
		"field hidden is not":      Of[struct{ hidden string }],
		"field Pointer":            Of[struct{ Pointer *string }],
		"key type float64":         Of[float64],
		"key type interface {}":    Of[any],
		"have the same column \"a\"": Of[struct {
			A string
			B string `column:"a"`
		}],
	} {
		if _, err := of(); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("the error is %v, want one that tells %q", err, reason)
		}
	}
}

func TestTextIsTakenOnlyInOneForm(t *testing.T) {
	kt, err := Of[key]()
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]*Field{}
	for i := range kt.Fields {
		fields[kt.Fields[i].Name] = &kt.Fields[i]
	}
	for _, test := range []struct {
		field, text string
		ok          bool
	}{
		{"ID", "", true}, {"ID", "\x00 é", true},
		{"Page", "7", true}, {"Page", "-128", true}, {"Page", "128", false}, {"Page", "007", false},
		{"Page", "+7", false}, {"Page", "-0", false}, {"Page", " 7", false}, {"Page", "", false}, {"Page", "1e2", false},
		{"PerDay", "18446744073709551615", true}, {"PerDay", "-1", false}, {"PerDay", "01", false},
		{"HTMLOnly", "true", true}, {"HTMLOnly", "1", false}, {"HTMLOnly", "TRUE", false},
	} {
		var k key
		v := reflect.ValueOf(&k).Elem()
		f := fields[test.field]
		if err := f.SetText(v, test.text); (err == nil) != test.ok {
			t.Errorf("%s of %q: %v", test.field, test.text, err)
		} else if again, textErr := f.Text(v); err == nil && (textErr != nil || again != test.text) {
			t.Errorf("%s of %q is then %q, %v", test.field, test.text, again, textErr)
		}
	}
}

// FuzzColumnNames makes column names of any text: they are valid ones.
func FuzzColumnNames(f *testing.F) {
	for _, seed := range []string{"ID", "trackID", "rowid", "_id", "Name", "a b", "日本", "", "X-Y"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		column := columnName(reflect.StructField{Name: "Field", Tag: reflect.StructTag(`path:` + quoteTag(name))})
		if driver.Reserved(column) {
			t.Errorf("%q became the reserved %q", name, column)
		}
	})
}

func quoteTag(s string) string {
	return `"` + strings.NewReplacer(`"`, "", `\`, "", "\n", "").Replace(s) + `"`
}

func TestAKeyWithoutFieldsIsOneEmptyText(t *testing.T) {
	kt, err := Of[empty]()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]driver.Column{{Name: "key", Kind: driver.String}}, kt.Columns()); diff != "" {
		t.Error(diff)
	}
	var key empty
	v := reflect.ValueOf(&key).Elem()
	values, err := kt.AppendValues(nil, v)
	if err != nil || len(values) != 1 || values[0] != "" {
		t.Errorf("the values are %v, %v", values, err)
	}
	if err := kt.Set(v, values); err != nil {
		t.Error(err)
	}
	if err := kt.Set(v, []driver.Value{"other"}); err == nil {
		t.Error("another text is taken for the key")
	}
}
