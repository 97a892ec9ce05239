package keytype

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/driver"
)

// level is an integer with a text.
type level int8

func (l level) MarshalText() ([]byte, error) {
	if l != 0 && l != 1 {
		return nil, errors.New("no such level")
	}
	return []byte([]string{"low", "high"}[l]), nil
}

func (l *level) UnmarshalText(text []byte) error {
	*l = 0
	if strings.EqualFold(string(text), "high") {
		*l = 1
	}
	return nil
}

type textualKey struct {
	time.Time `query:"at"`
	Addr      netip.Addr
	Level     level
	Tags      string `query:"tags,set"`
	Names     string `body:"a\\,b,list"`
	Sector    string `body:"filter.sector"`
}

func TestTypesWithATextAreColumnsOfText(t *testing.T) {
	kt, err := Of[textualKey]()
	if err != nil {
		t.Fatal(err)
	}
	want := []driver.Column{
		{Name: "at", Kind: driver.String},
		{Name: "addr", Kind: driver.String},
		{Name: "level", Kind: driver.String},
		{Name: "tags", Kind: driver.String},
		{Name: "a_b", Kind: driver.String},
		{Name: "filter_sector", Kind: driver.String},
	}
	if d := cmp.Diff(want, kt.Columns()); d != "" {
		t.Error(d)
	}
	key := textualKey{
		Time: time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC), Addr: netip.MustParseAddr("1.2.3.4"), Level: 1, Tags: "b,a,b", Names: "b,a", Sector: "x",
	}
	values, err := kt.AppendValues(nil, reflect.ValueOf(key))
	if d := cmp.Diff([]driver.Value{"2024-02-01T00:00:00Z", "1.2.3.4", "high", "a,b", "b,a", "x"}, values); err != nil || d != "" {
		t.Errorf("%v, %s", err, d)
	}
	var read textualKey
	if err := kt.Set(reflect.ValueOf(&read).Elem(), values); err != nil {
		t.Fatal(err)
	}
	if read.Level != 1 || read.Tags != "a,b" || !kt.Same(reflect.ValueOf(read), reflect.ValueOf(key)) || kt.Comparable() {
		t.Errorf("%+v came back as %+v", key, read)
	}
	if err := kt.Set(reflect.ValueOf(&read).Elem(), append([]driver.Value{"soon"}, values[1:]...)); err == nil {
		t.Error("a text that is none of the type's is taken from a store")
	}
	key.Level = 2
	if _, err := kt.AppendValues(nil, reflect.ValueOf(key)); err == nil || !strings.Contains(err.Error(), "field Level has no text: no such level") {
		t.Errorf("a value without a text: %v", err)
	}
}

func TestASingleValueWithATextIsAKey(t *testing.T) {
	for name, of := range map[string]func() (*Type, error){
		"time": Of[time.Time], "address": Of[netip.Addr], "integer": Of[level],
	} {
		kt, err := of()
		if err != nil || len(kt.Fields) != 1 || kt.Fields[0].Kind != driver.String || kt.Fields[0].Column != "key" || kt.Fields[0].Plain() {
			t.Errorf("%s: %+v, %v", name, kt, err)
		}
	}
	if kt, err := Of[string](); err != nil || !kt.Comparable() || !kt.Fields[0].Plain() {
		t.Errorf("string: %+v, %v", kt, err)
	}
}

// onlyOneWay has a text that it cannot be read from.
type onlyOneWay [2]byte

func (onlyOneWay) MarshalText() ([]byte, error) { return nil, nil }

func TestTypesThatHaveOnlyAPartOfATextAreRefused(t *testing.T) {
	for reason, of := range map[string]func() (*Type, error){
		"MarshalText and UnmarshalText": Of[[16]byte],
		"key type [2]netip.Addr":        Of[[2]netip.Addr],
		"field At is a [2]time.Time":    Of[struct{ At [2]time.Time }],
		"field A is a keytype.onlyOne":  Of[struct{ A onlyOneWay }],
		"field A is a *time.Time":       Of[struct{ A *time.Time }],
	} {
		if _, err := of(); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("the error is %v, want one that tells %q", err, reason)
		}
	}
}

func TestATextIsTakenOnlyAsItIsWritten(t *testing.T) {
	kt, err := Of[textualKey]()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		field int
		text  string
		ok    bool
	}{
		{0, "2024-02-01T00:00:00Z", true}, {0, "2024-02-01T00:00:00.0Z", false}, {0, "2024-02-01", false}, {0, "", false},
		{1, "::1", true}, {1, "0::1", false}, {1, "", true}, {1, "x", false},
		{2, "high", true}, {2, "HIGH", false}, {2, "other", false},
	} {
		var k textualKey
		err := kt.Fields[test.field].SetText(reflect.ValueOf(&k).Elem(), test.text)
		if (err == nil) != test.ok {
			t.Errorf("%s of %q: %v", &kt.Fields[test.field], test.text, err)
		}
		if err != nil && k != (textualKey{}) {
			t.Errorf("%q has left %+v", test.text, k)
		}
	}
}
