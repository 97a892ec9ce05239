package keytype_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/internal/keytype"
)

type inner struct {
	Token string `query:"access_token"`
	Page  string `query:"page_token"`
}

type shown struct {
	inner
	ID       string    `path:"key"`
	Pin      int       `query:"pin"`
	Code     string    `path:"code"`
	User     string    `header:"Authorization,hash"`
	Password string    `body:"user.password"`
	Secret   time.Time `column:"x"`
	Empty    string    `query:"otp"`
}

type Inner = inner

func TestErrorsOfFieldsAreWithoutSecrets(t *testing.T) {
	type key struct {
		Pin  int    `query:"pin"`
		Page int    `query:"page"`
		Keys string `query:"api_key,set"`
	}
	kt, err := keytype.Of[key]()
	if err != nil {
		t.Fatal(err)
	}
	v := reflect.ValueOf(&key{Keys: `s3cret\`}).Elem()
	for i, want := range []string{`"REDACTED" is not a plain int`, `"s3cret" is not a plain int`} {
		if err := kt.Fields[i].SetText(v, "s3cret"); err == nil || err.Error() != want {
			t.Errorf("SetText: %v, want %s", err, want)
		}
	}
	if _, err := kt.Fields[2].Text(v); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("Text: %v", err)
	}
}

func TestKeysAreShownWithoutSecrets(t *testing.T) {
	type embedded struct {
		Inner
		ID string `path:"id"`
	}
	for want, key := range map[string]any{
		"6fW": "6fW", "7": 7, "<nil>": nil,
		"{inner:{Token:REDACTED Page:} ID:a Pin:0 Code:b User:REDACTED Password:REDACTED Secret:0001-01-01 00:00:00 +0000 UTC Empty:}": shown{
			inner: inner{Token: "s"}, ID: "a", Pin: 1234, Code: "b", User: "s", Password: "s", Secret: time.Unix(1, 0),
		},
		"{Inner:{Token:REDACTED Page:b} ID:c}": embedded{Inner: Inner{"a", "b"}, ID: "c"},
	} {
		if got := keytype.Show(key); got != want {
			t.Errorf("Show = %s, want %s", got, want)
		}
	}
}
