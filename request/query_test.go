package request_test

import (
	"testing"

	"github.com/endpointcache/endpointcache/request"
)

func TestQuery(t *testing.T) {
	type key struct {
		Q     string `query:"q"`
		Page  int    `query:"page" default:"1"`
		Full  bool   `query:"full"`
		IDs   string `query:"ids,list"`
		Tags  string `query:"tags,set"`
		State string `query:"state" default:"open"`
	}
	zero := key{Page: 1, State: "open"}
	with := func(change func(*key)) *key {
		k := zero
		change(&k)
		return &k
	}
	e := parse[key](t, "/s?v=2&fl+ag", request.IgnoreQuery("api_key", "utm_*"))
	tests := []struct {
		query string
		want  *key
	}{
		{"v=2&fl+ag", &zero},
		{"fl%20ag=&v=2&", &zero},
		{"&&v=%32&&fl+ag", &zero},
		{"", nil},
		{"v=2", nil},
		{"v=3&fl+ag", nil},
		{"v=2&v=2&fl+ag", nil},
		{"v=2&fl+ag=1", nil},
		{"v=2&fl+ag&q=a+b%26&page=2&full=true", with(func(k *key) { k.Q, k.Page, k.Full = "a b&", 2, true })},
		{"full=true&q=a%20b%26&v=2&page=2&fl+ag", with(func(k *key) { k.Q, k.Page, k.Full = "a b&", 2, true })},
		{"v=2&fl+ag&q=a=b", with(func(k *key) { k.Q = "a=b" })},
		{"v=2&fl+ag&q=", &zero},
		{"v=2&fl+ag&page=1", &zero},
		{"v=2&fl+ag&page=0", with(func(k *key) { k.Page = 0 })},
		{"v=2&fl+ag&page=01", nil},
		{"v=2&fl+ag&page=", nil},
		{"v=2&fl+ag&full=1", nil},
		{"v=2&fl+ag&state=", with(func(k *key) { k.State = "" })},
		{"v=2&fl+ag&q=a&q=a", nil},
		{"v=2&fl+ag&Q=a", nil},
		{"v=2&fl+ag&other=1", nil},
		{"v=2&fl+ag&api_key=1&utm_source=x&utm_=&api_key=2", &zero},
		{"v=2&fl+ag&api_keys=1", nil},
		{"v=2&fl+ag&=1", nil},
		{"v=2&fl+ag&ids=b&ids=a&ids=b", with(func(k *key) { k.IDs = "b,a,b" })},
		{"v=2&fl+ag&ids=a,b&ids=c%5C", with(func(k *key) { k.IDs = `a\,b,c\\` })},
		{"v=2&fl+ag&ids=", with(func(k *key) { k.IDs = `\e` })},
		{"v=2&fl+ag&tags=b&tags=a&tags=b", with(func(k *key) { k.Tags = "a,b" })},
		{"v=2&fl+ag&q=%zz", nil},
		{"v=2&fl+ag&q=%", nil},
		{"v=2&fl+ag&api_key=%zz", nil},
		{"v=2&fl+ag&q=a;b", nil},
		{"v=2;fl+ag", nil},
	}
	for _, tt := range tests {
		req := get(t, "https://api.example.com/s")
		req.URL.RawQuery = tt.query
		if tt.want == nil {
			wantNoKey(t, e, req)
		} else {
			wantKey(t, e, req, *tt.want)
		}
	}

	const fixed = "https://api.example.com/s?v=2&fl+ag="
	wantURL(t, e, zero, fixed+"&page=1&state=open")
	wantURL(t, e, key{}, fixed+"&page=0&state=")
	wantURL(t, e, *with(func(k *key) { k.Q, k.Full = "a b&=+;", true }), fixed+"&q=a+b%26%3D%2B%3B&page=1&full=true&state=open")
	wantURL(t, e, *with(func(k *key) { k.IDs, k.Tags = "b,a,b", `\e,x` }), fixed+"&page=1&ids=b&ids=a&ids=b&tags=&tags=x&state=open")
}

func TestRequiredQuery(t *testing.T) {
	type key struct {
		Q string `query:"q,required"`
		N int    `query:"n,required"`
		L string `query:"l,list"`
	}
	e := parse[key](t, "/")
	wantNoKey(t, e, get(t, "https://api.example.com?q=1"))
	wantKey(t, e, get(t, "https://api.example.com?q&n=0"), key{})
	wantURL(t, e, key{}, "https://api.example.com/?q=&n=0")
}

func TestIgnoreAnyQuery(t *testing.T) {
	e := parse[track](t, "/{id}?v=1", request.IgnoreAnyQuery())
	wantKey(t, e, get(t, "/a?v=1&x=2&x=3&market=DE"), track{"a", "DE"})
	wantNoKey(t, e, get(t, "/a?v=2&x=2"))
	wantNoKey(t, e, get(t, "/a?v=1&market=DE&market=DE"))
}

func TestScalarKeyHasNoQuery(t *testing.T) {
	e := parse[string](t, "/{id}")
	wantNoKey(t, e, get(t, "/a?x=1"))
	wantKey(t, e, get(t, "/a?"), "a")
}
