package request_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/internal/endpoint"
	"github.com/endpointcache/endpointcache/request"
)

type (
	id struct {
		ID string `path:"id"`
	}
	track struct {
		ID     string `path:"id"`
		Market string `query:"market"`
	}
)

func TestPatternThatCannotWorkIsRefused(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want string // part of the error
	}{
		{"empty", bad[id](""), "no path"},
		{"no path", bad[id]("GET api.example.com"), "no path"},
		{"relative path", bad[id]("tracks"), "no path"},
		{"scheme", bad[id]("GET https://api.example.com/{id}"), `leave out the scheme "https://"`},
		{"scheme without method", bad[id]("https://api.example.com/{id}"), `leave out the scheme`},
		{"lower-case method", bad[id]("get /{id}"), "upper case"},
		{"empty method", bad[id](" /{id}"), "upper case"},
		{"method that is no token", bad[id]("GÉT /{id}"), "upper case"},
		{"method twice", bad[id]("GET|GET /{id}"), "named twice"},
		{"several methods", bad[id]("GET|HEAD /{id}"), "would share keys"},
		{"wildcard in host", bad[id]("{id}.example.com/{id}"), "not a host"},
		{"user in host", bad[id]("me@example.com/{id}"), "not a host"},
		{"port only", bad[id](":80/{id}"), "not a host"},
		{"bad port", bad[id]("example.com:http/{id}"), "not a host"},
		{"segment taken for a host", bad[id]("GET v1/tracks/{id}"), `"v1" would be the host: a path begins with a slash, as in "GET /v1/tracks/{id}"`},
		{"segment taken for a host without a method", bad[id]("api/{id}"), `as in "/api/{id}"; such a host is written with a dot at its end, as in "api."`},
		{"version taken for a host", bad[id]("GET v1.0/{id}"), `as in "GET /v1.0/{id}"`},
		{"number taken for a host", bad[id]("GET 1.1/{id}"), `as in "GET /1.1/{id}"`},
		{"method without a space", bad[id]("GET/{id}"), `"GET" would be the host`},
		{"wildcard taken for a host", bad[id]("GET {id}/x"), `a path begins with a slash, as in "GET /{id}/x"`},
		{"space in path", bad[id]("GET /a b/{id}"), "not escaped"},
		{"fragment", bad[id]("GET /{id}#x"), "not escaped"},
		{"control character", bad[id]("GET /\n/{id}"), "control character"},
		{"two wildcards in a segment", bad[id]("/{id}-{x}"), `segment "{id}-{x}": a segment has one wildcard`},
		{"wildcard twice", bad[id]("/{id}/{id}"), "{id} is there twice"},
		{"unclosed", bad[id]("/a/{id"), `segment "{id"`},
		{"unclosed across segments", bad[id]("/{a/b}"), `segment "{a"`},
		{"not opened", bad[id]("/id}"), `segment "id}"`},
		{"not opened before a wildcard", bad[id]("/}{id}"), `segment "}{id}"`},
		{"empty name", bad[id]("/{}"), "not a wildcard's name"},
		{"empty span name", bad[id]("/{...}"), "not a wildcard's name"},
		{"strange name", bad[id]("/{id:[0-9]+}"), "not a wildcard's name"},
		{"two spans", bad[id]("/{id...}/{x...}"), "two wildcards that span"},
		{"span with text", bad[id]("/v{id...}"), "no text beside it"},
		{"dot segment", bad[id]("/./{id}"), `segment "."`},
		{"escaped dot segment", bad[id]("/%2e%2E/{id}"), `segment "%2e%2E"`},
		{"bad escape", bad[id]("/%zz/{id}"), "%zz"},
		{"bad query", bad[id]("/{id}?a=%zz"), "malformed"},
		{"fixed parameter twice", bad[id]("/{id}?a=1&a=2"), `"a" is given twice`},
		{"wildcard in query", bad[id]("/{id}?q={q}"), "query tag"},

		{"field without a tag", bad[struct {
			ID   string `path:"id"`
			Page int
		}]("/{id}"), "field Page: it has no path, query"},
		{"wildcard without a field", bad[id]("/{id}/{other}"), `wildcard {other}: the key has no field with the tag path:"other"`},
		{"field without a wildcard", bad[track]("/tracks"), "field ID: the pattern has no wildcard {id}"},
		{"two fields for a wildcard", bad[struct {
			A string `path:"id"`
			B string `path:"id" column:"b"`
		}]("/{id}"), "field B: wildcard {id} has two fields"},
		{"two tags", bad[struct {
			A string `path:"id" query:"id"`
		}]("/{id}"), "field A: it has both a path and a query tag"},
		{"two fields for a parameter", bad[struct {
			A string `query:"q"`
			B string `query:"q" column:"b"`
		}]("/"), `field B: query parameter "q" is there twice`},
		{"parameter is fixed", bad[struct {
			A string `query:"q"`
		}]("/?q=1"), `field A: query parameter "q" is there twice`},
		{"two fields for a header", bad[struct {
			A string `header:"X-A"`
			B string `header:"x-a" column:"b"`
		}]("/"), "field B: header X-A has two fields"},
		{"header that is not sent", bad[struct {
			A string `header:"host"`
		}]("/"), "field A: clients do not send Host"},
		{"bad header name", bad[struct {
			A string `header:"X A"`
		}]("/"), `field A: "X A" is not a header's name`},
		{"hash of an integer", bad[struct {
			A int `header:"X-A,hash"`
		}]("/"), "field A: a hash needs a string"},
		{"hash with a default", bad[struct {
			A string `header:"X-A,hash" default:"x"`
		}]("/"), "field A: a hash needs a string without a default"},
		{"unknown option", bad[struct {
			A string `query:"q,omitempty"`
		}]("/"), `field A: a query tag has no option "omitempty"`},
		{"option of another tag", bad[struct {
			A string `path:"id,required"`
		}]("/{id}"), `field A: a path tag has no option "required"`},
		{"option twice", bad[struct {
			A string `query:"q,list,list"`
		}]("/"), `option "list" is there twice`},
		{"list and set", bad[struct {
			A string `query:"q,list,set"`
		}]("/"), "exclude each other"},
		{"list of integers", bad[struct {
			A int `query:"q,list"`
		}]("/"), "field A: a list or set needs a string"},
		{"query without a name", bad[struct {
			A string `query:""`
		}]("/"), "field A: its query tag has the name"},
		{"method with a name", bad[struct {
			A string `method:"x"`
		}]("/"), "field A: its method tag has the name"},
		{"method that is an integer", bad[struct {
			A int `method:""`
		}]("/"), "field A: a method is a string"},
		{"two methods", bad[struct {
			A string `method:""`
			B string `method:""`
		}]("/"), "field B: the key has two fields with a method tag"},
		{"default on path", bad[struct {
			A string `path:"id" default:"x"`
		}]("/{id}"), "field A: a path is never absent"},
		{"default and required", bad[struct {
			A string `query:"q,required" default:"x"`
		}]("/"), "field A: it is required"},
		{"default that is no integer", bad[struct {
			A int `query:"q" default:"x"`
		}]("/"), "field A: default:"},
		{"default that is not canonical", bad[struct {
			A int `query:"q" default:"07"`
		}]("/"), "field A: default:"},
		{"default that is no list", bad[struct {
			A string `query:"q,list" default:"a,,b"`
		}]("/"), "field A: default"},
		{"default that is no set", bad[struct {
			A string `query:"q,set" default:"b,,a"`
		}]("/"), "field A: default"},
		{"span of integers", bad[struct {
			A int `path:"id"`
		}]("/{id...}"), "field A: wildcard {id...} needs a string"},

		{"member without a method", bad[struct {
			A string `body:"a"`
		}]("/search"), "the key has a body: name the method"},
		{"member without a name", bad[struct {
			A string `body:""`
		}]("POST /"), "field A: its body tag has the name"},
		{"malformed member", bad[struct {
			A string `body:"a\\"`
		}]("POST /"), "field A: path"},
		{"member twice", bad[struct {
			A string `body:"a.b"`
			B string `body:"a.b" column:"b"`
		}]("POST /"), `field B: member "a.b": another field has it, or a part of it`},
		{"member within a field's", bad[struct {
			A string `body:"a"`
			B string `body:"a.b"`
		}]("POST /"), `field B: member "a.b"`},
		{"member around a field's", bad[struct {
			A string `body:"a.b"`
			B string `body:"a"`
		}]("POST /"), `field B: member "a"`},
		{"numbers of integers", bad[struct {
			A int `body:"a,number"`
		}]("POST /"), "field A: the option number needs a string"},
		{"default that is no number", bad[struct {
			A string `body:"a,number" default:"x"`
		}]("POST /"), "field A: default"},
		{"list of bools", bad[struct {
			A bool `body:"a,list"`
		}]("POST /"), "field A: a list or set needs a string"},
		{"ignored body beside a member", bad[struct {
			A string `body:"a"`
		}]("POST /", request.IgnoreBody()), "IgnoreMembers is for"},
		{"ignored members of no body", bad[id]("/{id}", request.IgnoreMembers("a")), "IgnoreMembers: the key has no field"},
		{"ignored member of the key", bad[struct {
			A string `body:"a.b"`
		}]("POST /", request.IgnoreMembers("a")), `IgnoreMembers: member "a" is part of the key`},
		{"ignored member within one of the key", bad[struct {
			A string `body:"a"`
		}]("POST /", request.IgnoreMembers("a.b")), `IgnoreMembers: member "a.b" is part of the key`},
		{"ignored members within one of the key", bad[struct {
			A string `body:"a"`
		}]("POST /", request.IgnoreMembers("a.*")), `IgnoreMembers: member "a.*" is part of the key`},
		{"ignored member that is malformed", bad[struct {
			A string `body:"a"`
		}]("POST /", request.IgnoreMembers(`b\`)), "IgnoreMembers: path"},
		{"array that has no text", bad[struct {
			A [2]string `path:"id"`
		}]("/{id}"), "field A is a [2]string"},
		{"array of what has a text", bad[[2]netip.Addr]("/{id}"), "key type [2]netip.Addr"},
		{"hash of what has a text", bad[struct {
			A netip.Addr `header:"X-A,hash"`
		}]("/"), "field A: a hash needs a string"},
		{"set of what has a text", bad[struct {
			A netip.Addr `query:"a,set"`
		}]("/"), "field A: a list or set needs a string"},
		{"default that has no text", bad[struct {
			A netip.Addr `query:"a" default:"x"`
		}]("/"), "field A: default"},

		{"scalar without a wildcard", bad[string]("/"), "no wildcard"},
		{"scalar with two wildcards", bad[string]("/{a}/{b}"), "several wildcards"},
		{"key that is no key", bad[float64]("/{id}"), "float64"},

		{"ignored parameter without a name", bad[id]("/{id}", request.IgnoreQuery("")), "empty name"},
		{"ignored parameter with a star inside", bad[id]("/{id}", request.IgnoreQuery("a*b")), `"a*b"`},
		{"ignored parameter of the key", bad[track]("/{id}", request.IgnoreQuery("market")), `"market" is part of`},
		{"ignored parameter of the pattern", bad[id]("/{id}?a=1", request.IgnoreQuery("a")), `"a" is part of`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.err == nil {
				t.Fatal("no error")
			}
			if got := tt.err.Error(); !strings.HasPrefix(got, "request: pattern ") || !strings.Contains(got, tt.want) {
				t.Errorf("error is %q, want one with %q", got, tt.want)
			}
		})
	}
}

func bad[K comparable](pattern string, opts ...request.PatternOption) error {
	_, err := request.ParsePattern[K](pattern, opts...)
	return err
}

func TestDeclaredPatternReportsItsMistakeEverywhere(t *testing.T) {
	e := request.Pattern[id]("GET /tracks")
	want := e.Validate()
	if want == nil {
		t.Fatal("Validate: no error")
	}
	if _, ok, err := e.Key(get(t, "https://api.example.com/tracks")); ok || err != want {
		t.Errorf("Key: %t, %v, want %v", ok, err, want)
	}
	if _, err := e.Request(t.Context(), api, id{"1"}); err != want {
		t.Errorf("Request: %v, want %v", err, want)
	}
	if got := endpoint.SpecificityOf(e); got != (endpoint.Specificity{}) {
		t.Errorf("Specificity is %v, want the least", got)
	}
}

func TestPatternThatWorksIsTaken(t *testing.T) {
	for name, err := range map[string]error{
		"nil option": bad[id]("/{id}", nil),
		"spaces":     bad[id]("GET   /{id}"),
		"scalar":     bad[int64]("/{id}"),
		"IPv6 host":  bad[id]("[::1]:8080/{id}"),
		"IPv6 alone": bad[id]("[::1]/{id}"),
		"IPv4 host":  bad[id]("127.0.0.1/{id}"),
		"this host":  bad[id]("GET LocalHost/{id}"),
		"a port":     bad[id]("GET backend:80/{id}"),
		"a dot":      bad[id]("GET backend./{id}"),
		"one with method": bad[struct {
			M string `method:""`
		}]("GET /"),
		"escaped braces": bad[id]("/%7B{id}%7D"),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
