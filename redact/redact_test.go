package redact_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/redact"
)

func redactor(t testing.TB, rules ...redact.Rules) *redact.Redactor {
	t.Helper()
	r, err := redact.New(rules...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestHeadersThatAreNotStored(t *testing.T) {
	r := redactor(t, redact.Rules{Headers: []string{"x-own", "X-User-*", "C*"}}, redact.Rules{Query: []string{"ssid", "x_*"}})
	h := http.Header{
		"Authorization": {"a"}, "Authentication-Info": {"a"}, "X-Auth-Token": {"a"}, "Refresh-Token": {"a"}, "x-api-key": {"a"},
		"X-Own": {"a"}, "X-User-Name": {"a"},
		"Content-Type": {"text/plain"}, "Cache-Control": {"no-cache"}, "Content-Encoding": {"gzip"},
		"Set-Cookie": {"a"}, "Signature": {"a"}, "Etag": {`"a="`}, "Date": {"now"},
		"Content-Location": {"a?a=1&Token=s&s-sid=2&x_y=3"},
		"Location":         {"https://u:p@h/a;sid=s/b;c=d?token=s&a=%2Fc%3Fcode%3Ds&d#access_token=s&e=f"},
		"Link":             {`<https://h/a?a=1,2&api_key=s>; rel="next", </b?page_token=2>; title="a=b"`, "</c>"},
		"Refresh":          {"5; URL=/a?b=c&sig=s"},
		"X-Next":           {"/a?email=a@b&b=c;otp=s", "?a=b&otp=s", "HTTPS://u:p@h/a?otp=s", "wss://h/?otp=s"},
		"X-Pagination":     {`{"next":"https://h/?a=b&otp=s","page":"a=b"}`, "a=b, https://u@h/ c@d"},
		"X-Text":           {"token=s", "a@b"},
	}
	before := h.Clone()
	want := http.Header{
		"Content-Type": {"text/plain"}, "Cache-Control": {"no-cache"}, "Content-Encoding": {"gzip"},
		"Set-Cookie": {"a"}, "Signature": {"a"}, "Etag": {`"a="`}, "Date": {"now"},
		"Location": {"https://REDACTED@h/a;sid=REDACTED/b;c=d?token=REDACTED&a=REDACTED&d#access_token=REDACTED&e=f"},
		"Link":     {`<https://h/a?a=1,2&api_key=REDACTED>; rel="next", </b?page_token=2>; title="a=b"`, "</c>"},
		"Refresh":  {"5; URL=/a?b=c&sig=REDACTED"},
		"X-Next": {"/a?email=REDACTED&b=REDACTED", "?a=b&otp=REDACTED", "HTTPS://REDACTED@h/a?otp=REDACTED",
			"wss://h/?otp=REDACTED"},
		"X-Pagination": {`{"next":"https://h/?a=b&otp=REDACTED","page":"a=b"}`, "a=b, https://REDACTED@h/ c@d"},
		"X-Text":       {"token=s", "a@b"},
	}
	if diff := cmp.Diff(want, r.Header(h)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(before, h); diff != "" {
		t.Errorf("the header itself has changed: %s", diff)
	}
	h = http.Header{"Content-Location": {"a?a=1&Token=s&s-sid=2&x_y=3"}}
	if got := redactor(t, redact.Rules{Query: []string{"ssid", "x_*"}}).Header(h).Get("Content-Location"); got != "a?a=1&Token=REDACTED&s-sid=REDACTED&x_y=REDACTED" {
		t.Errorf("Content-Location is %s", got)
	}
	plain := http.Header{"Location": {"/a?b=c"}, "Content-Type": {"text/plain"}}
	if got := redactor(t).Header(plain); reflect.ValueOf(got).Pointer() != reflect.ValueOf(plain).Pointer() {
		t.Error("a header without secrets was copied")
	}
}

func TestRedirectsToSecretsAreNotStored(t *testing.T) {
	r := redactor(t)
	for location, keep := range map[string]bool{"/a?b=c": true, "/a?token=s": false, "https://u@h/": false, "": true} {
		for status, redirect := range map[int]bool{301: true, 302: true, 308: true, 201: false, 200: false} {
			h := http.Header{"Location": {location}}
			want := keep || !redirect
			if got := r.Keeps(status, h); got != want {
				t.Errorf("%d to %q: Keeps is %t", status, location, got)
			}
			if _, _, err := r.Response(status, h, nil); (err == nil) != want || err != nil && !errors.Is(err, redact.ErrNotStored) {
				t.Errorf("%d to %q: %v", status, location, err)
			}
		}
	}
}

// Of a part nobody can tell which member it is of.
func TestPartsOfJSONAreNotStored(t *testing.T) {
	r := redactor(t, redact.Rules{JSON: []string{"token"}})
	for contentType, keep := range map[string]bool{"": false, "text/plain": false, "application/json": false, "video/mp4": true} {
		h := http.Header{"Content-Type": {contentType}}
		if got := r.Keeps(206, h); got != keep {
			t.Errorf("a part of %q: Keeps is %t", contentType, got)
		}
		if !r.Keeps(200, h) || !redactor(t).Keeps(206, h) {
			t.Errorf("%q is not kept whole, or without a rule", contentType)
		}
	}
}

func TestMembersThatAreNotStored(t *testing.T) {
	rules := redact.Rules{JSON: []string{"token", "tmp_*", "/user/email", "/items/*/card/number", "/list/1", "/a~1b/~0"}}
	for body, want := range map[string]string{
		`{"token":"s","a":1.10}`:                           `{"token":null,"a":1.10}`,
		` { "Token" : "s" , "a" : 1e5 } `:                  ` { "Token" : null , "a" : 1e5 } `,
		`{"token":{"a":[1,{"b":2}]},"token":[1],"b":null}`: `{"token":null,"token":null,"b":null}`,
		`{"tmp_a":1,"TMP_B":true,"tmp":2}`:                 `{"tmp_a":null,"TMP_B":null,"tmp":2}`,
		`{"user":{"email":"a@b","name":"n"},"email":"c"}`:  `{"user":{"email":null,"name":"n"},"email":"c"}`,
		`{"items":[{"card":{"number":1}},{"card":[]},{}]}`: `{"items":[{"card":{"number":null}},{"card":[]},{}]}`,
		`{"items":{"x":{"card":{"number":"1"}}}}`:          `{"items":{"x":{"card":{"number":null}}}}`,
		`{"list":[1,2,3]}`:                                 `{"list":[1,null,3]}`,
		`{"a/b":{"~":1}}`:                                  `{"a/b":{"~":null}}`,
		`{"\u0074oken":"s\"}","b":"\\"}`:                   `{"\u0074oken":null,"b":"\\"}`,
		`{"x":{"token":"t"}}`:                              `{"x":{"token":"t"}}`,
		`[{"token":1}]`:                                    `[{"token":1}]`,
		`{"token":null}`:                                   `{"token":null}`,
		"{\"token\":1}\n{\"token\":2}\n":                   "{\"token\":null}\n{\"token\":null}\n",
		`1{"token":1}`:                                     `1{"token":null}`,
		"\ufeff{\"token\":1}":                              "\ufeff{\"token\":null}",
		`{}`:                                               `{}`, `[]`: `[]`, `"token"`: `"token"`, ` `: ` `, ``: ``,
	} {
		for _, contentType := range []string{"application/json", "application/problem+json; charset=utf-8", "text/plain", ""} {
			h := http.Header{"Content-Type": {contentType}, "Content-Length": {"9"}, "Content-Digest": {"x"}}
			stored, got, err := redactor(t, rules).Response(200, h, []byte(body))
			if err != nil || string(got) != want {
				t.Errorf("%s\nbecame %s, %v\nwant   %s", body, got, err, want)
			}
			if changed := body != want; changed != (stored.Get("Content-Digest") == "") || changed && stored.Get("Content-Length") == "9" {
				t.Errorf("%s: the header is %v", body, stored)
			}
		}
	}
}

func TestBodiesThatOnlySayThatTheyAreJSON(t *testing.T) {
	r := redactor(t, redact.Rules{JSON: []string{"token"}})
	for _, test := range []struct {
		contentType, coding, body string
		kept                      bool
	}{
		{"application/json", "", `{"token":"s"`, false},
		{"text/JSON; x", "", `{"token":"s"`, false},
		{"application/x-ndjson", "", "{\"a\":1}\n{", false},
		{"application/json-seq", "", "\x1e{}\n", false},
		{"application/json", "gzip", "\x1f\x8b", false},
		{"application/json", "identity", "{}", true},
		{"text/plain", "gzip", "\x1f\x8b", false},
		{"", "br", "\x1f\x8b", false},
		{"image/svg+xml", "gzip", "\x1f\x8b", true},
		{"text/html", "", "<html>", true},
		{"", "", "token", true},
	} {
		h := http.Header{"Content-Type": {test.contentType}, "Content-Encoding": {test.coding}}
		got, err := r.Body(h, []byte(test.body))
		if test.kept && (err != nil || string(got) != test.body) || !test.kept && !errors.Is(err, redact.ErrNotStored) {
			t.Errorf("%s %s: %q, %v", test.contentType, test.coding, got, err)
		}
		if got, err := redactor(t).Body(h, []byte(test.body)); err != nil || string(got) != test.body {
			t.Errorf("without a rule: %q, %v", got, err)
		}
	}
}

func TestRulesThatCannotWorkAreRefused(t *testing.T) {
	for want, rules := range map[string]redact.Rules{
		"Headers has an empty name":           {Headers: []string{""}},
		`Headers: "a*b" has a`:                {Headers: []string{"a*b"}},
		"a stored response needs its Vary":    {Headers: []string{"vary"}},
		"Query has an empty name":             {Query: []string{""}},
		`Query: "-" has no letter`:            {Query: []string{"-"}},
		"JSON has an empty name":              {JSON: []string{""}},
		`JSON: "/a~2" has a "~"`:              {JSON: []string{"/a~2"}},
		`JSON: "a*b" has a "*" that is not i`: {JSON: []string{"a*b"}},
	} {
		if err := rules.Validate(); err == nil || !strings.HasPrefix(err.Error(), "redact: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate: %v, want %s", err, want)
		}
	}
	if err := (redact.Rules{}).Validate(); err != nil {
		t.Error(err)
	}
}

// FuzzJSON redacts any text and compares with what another way makes of its value.
func FuzzJSON(f *testing.F) {
	f.Add(`{"a":{"token":"s"},"token":[1,"\u0041"],"x":[{"y":"z"}]} {"token":1}`)
	f.Add(`1"a"true{"token":"b"}`)
	r := redactor(f, redact.Rules{JSON: []string{"token", "/x/*/y"}})
	f.Fuzz(func(t *testing.T, text string) {
		got, err := r.Body(nil, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		want, one := values(text), values(string(got))
		for i := range want {
			top, _ := want[i].(map[string]any)
			for _, name := range slices.Collect(maps.Keys(top)) {
				if strings.EqualFold(name, "token") {
					top[name] = nil
				} else if strings.EqualFold(name, "x") {
					hide(top[name])
				}
			}
		}
		if diff := cmp.Diff(want, one); diff != "" {
			t.Errorf("%q became %q: %s", text, got, diff)
		}
	})
}

func hide(in any) {
	members := func(of any) {
		if object, ok := of.(map[string]any); ok {
			for name := range object {
				if strings.EqualFold(name, "y") {
					object[name] = nil
				}
			}
		}
	}
	switch in := in.(type) {
	case []any:
		for _, of := range in {
			members(of)
		}
	case map[string]any:
		for _, of := range in {
			members(of)
		}
	}
}

// values are those of a text, none where it is no JSON.
func values(text string) (all []any) {
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	for {
		var value any
		if err := decoder.Decode(&value); err != nil {
			if err.Error() != "EOF" {
				return nil
			}
			return all
		}
		all = append(all, value)
	}
}
