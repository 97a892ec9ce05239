package request_test

import (
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/request"
)

type joinedKey struct {
	In     string `path:"in,list,comma"`
	Comma  string `query:"comma,list,comma"`
	Space  string `query:"space,list,comma,space"`
	Pipe   string `query:"pipe,list,pipe"`
	Set    string `query:"set,set,comma"`
	Single string `query:"single"`
}

func TestListsInOneText(t *testing.T) {
	type key struct {
		In     string `path:"in,list,comma"`
		Comma  string `query:"comma,list,comma"`
		Space  string `query:"space,list,space"`
		Pipe   string `query:"pipe,list,pipe"`
		Set    string `query:"set,set,comma"`
		State  string `query:"state,list,comma" default:"open,new"`
		Single string `query:"single"`
	}
	e := parse[key](t, "/v{in}.json")
	zero := key{In: "x", State: "open,new"}
	with := func(change func(*key)) *key {
		k := zero
		change(&k)
		return &k
	}
	tests := []struct {
		text string
		want *key
	}{
		{"/vx.json", &zero},
		{"/va,b.json", with(func(k *key) { k.In = "a,b" })},
		{"/va%2Cb.json", with(func(k *key) { k.In = `a\,b` })},
		{"/va%2cb.json", with(func(k *key) { k.In = `a\,b` })},
		{"/v,.json", with(func(k *key) { k.In = `\e,\e` })},
		{"/v.json", nil},
		{"/va,b.jso", nil},
		{"/wa,b.json", nil},
		{"/vx.json?comma=a,b", with(func(k *key) { k.Comma = "a,b" })},
		{"/vx.json?comma=a%2Cb", with(func(k *key) { k.Comma = `a\,b` })},
		{"/vx.json?comma=a%2Cb,c%5c", with(func(k *key) { k.Comma = `a\,b,c\\` })},
		{"/vx.json?comma=", with(func(k *key) { k.Comma = `\e` })},
		{"/vx.json?comma", with(func(k *key) { k.Comma = `\e` })},
		{"/vx.json?comma=,a", with(func(k *key) { k.Comma = `\e,a` })},
		{"/vx.json?comma=b,a&comma=a", nil},
		{"/vx.json?comma=%zz,a", nil},
		{"/vx.json?space=a%20b", with(func(k *key) { k.Space = "a,b" })},
		{"/vx.json?space=a+b%20c", with(func(k *key) { k.Space = "a b,c" })},
		{"/vx.json?space=a,b%2Cc", with(func(k *key) { k.Space = `a\,b\,c` })},
		{"/vx.json?space=a%2520b", with(func(k *key) { k.Space = "a%20b" })},
		{"/vx.json?pipe=a%7Cb%7cc", with(func(k *key) { k.Pipe = "a,b,c" })},
		{"/vx.json?pipe=a|b", with(func(k *key) { k.Pipe = "a|b" })},
		{"/vx.json?set=b,a,b", with(func(k *key) { k.Set = "a,b" })},
		{"/vx.json?set=b,a%2Cb", with(func(k *key) { k.Set = `a\,b,b` })},
		{"/vx.json?state=new,open", with(func(k *key) { k.State = "new,open" })},
		{"/vx.json?single=a,b", with(func(k *key) { k.Single = "a,b" })},
		{"/vx.json?single=a%2Cb", with(func(k *key) { k.Single = "a,b" })},
	}
	for _, tt := range tests {
		req := get(t, "https://api.example.com"+tt.text)
		if tt.want == nil {
			wantNoKey(t, e, req)
		} else {
			wantKey(t, e, req, *tt.want)
		}
	}

	const start = "https://api.example.com/vx.json"
	for text, key := range map[string]key{
		start + "?comma=a,b&state=open,new":                        *with(func(k *key) { k.Comma = "a,b" }),
		start + "?comma=a%2Cb&state=open,new":                      *with(func(k *key) { k.Comma = `a\,b` }),
		start + "?comma=&state=open,new":                           *with(func(k *key) { k.Comma = `\e` }),
		start + "?comma=,&state=open,new":                          *with(func(k *key) { k.Comma = `\e,\e` }),
		start + "?space=a%20b&state=open,new":                      *with(func(k *key) { k.Space = "a,b" }),
		start + "?space=a+b&state=open,new":                        *with(func(k *key) { k.Space = "a b" }),
		start + "?space=a%2Cb%252B&state=open,new":                 *with(func(k *key) { k.Space = `a\,b%2B` }),
		start + "?pipe=a%7Cb&state=open,new":                       *with(func(k *key) { k.Pipe = "a,b" }),
		start + "?pipe=a|b&state=open,new":                         *with(func(k *key) { k.Pipe = "a|b" }),
		start + "?state=open,new&single=a%2Cb":                     *with(func(k *key) { k.Single = "a,b" }),
		"https://api.example.com/va%2Cb,c%2Fd.json?state=open,new": *with(func(k *key) { k.In = `a\,b,c/d` }),
	} {
		wantURL(t, e, key, text)
	}
	for _, bad := range []string{"", `\e`} {
		if req, err := e.Request(t.Context(), api, key{In: bad}); err == nil {
			t.Errorf("In %q is asked for with %s", bad, req.URL)
		}
	}
}

func TestSeparatorsThatCannotBe(t *testing.T) {
	type a struct {
		In string `path:"in,list"`
	}
	type b struct {
		In string `path:"in,comma"`
	}
	type c struct {
		In string `path:"in,list,comma"`
	}
	type d struct {
		In int `path:"in,list,comma"`
	}
	type f struct {
		In string `path:"in"`
		Q  string `query:"q,space"`
	}
	for reason, err := range map[string]error{
		"need the option comma":            errOf[a]("/{in}"),
		"a separator is for a list or set": errOf[b]("/{in}"),
		"spans segments is no list":        errOf[c]("/{in...}"),
		"no comma in the text beside it":   errOf[c]("/a%2C{in}"),
		"a list or set needs a string":     errOf[d]("/{in}"),
		"field Q: a separator is for":      errOf[f]("/{in}"),
		"it has two separators":            errOf[joinedKey]("/{in}"),
		`a header tag has no option "comma`: errOf[struct {
			H string `header:"h,comma"`
		}]("/"),
	} {
		if err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("the error is %v, not one with %q", err, reason)
		}
	}
}

func errOf[K comparable](pattern string) error {
	_, err := request.ParsePattern[K](pattern)
	return err
}

// separated is a key of a list for each way to write it.
type separated struct {
	In    string `path:"in,list,comma"`
	Comma string `query:"comma,list,comma"`
	Space string `query:"space,list,space"`
	Pipe  string `query:"pipe,list,pipe"`
}

var separatedEndpoint = request.Pattern[separated]("/v/{in}")

func separatedRequest(in, comma, space, pipe string) *http.Request {
	path, err := url.PathUnescape(in)
	if err != nil {
		return nil
	}
	return &http.Request{URL: &url.URL{
		Scheme: "https", Host: api.Host, Path: "/v/" + path, RawPath: "/v/" + in,
		RawQuery: "comma=" + comma + "&space=" + space + "&pipe=" + pipe,
	}}
}

// asWritten is a text as a server that splits it before it decodes it reads it: the values,
// each decoded.
func asWritten(text, separator string, plus bool) (values []string) {
	value := ""
	for text != "" {
		n := 1
		if text[0] == '%' {
			n = 3
		}
		part := text[:n]
		text = text[n:]
		switch {
		case strings.EqualFold(part, separator):
			values = append(values, value)
			value = ""
		case part == "+" && plus:
			value += " "
		default:
			decoded, _ := url.PathUnescape(part)
			value += decoded
		}
	}
	return append(values, value)
}

func allAsWritten(u *url.URL) (all [][]string) {
	all = append(all, asWritten(strings.TrimPrefix(u.EscapedPath(), "/v/"), ",", false))
	for i, separator := range []string{",", "%20", "%7c"} {
		raw := ""
		for pair := range strings.SplitSeq(u.RawQuery, "&") {
			if value, ok := strings.CutPrefix(pair, []string{"comma=", "space=", "pipe="}[i]); ok {
				raw = value
			}
		}
		all = append(all, asWritten(raw, separator, true))
	}
	return all
}

// FuzzSeparators makes requests of any texts: the one that is built for a key has the same
// values as the one that it is of.
func FuzzSeparators(f *testing.F) {
	f.Add("a,b", "a%2Cb", "a+b%20", "a|b%7c%7C")
	f.Add("%2C,%2f", ",", "%2520", "")
	f.Fuzz(func(t *testing.T, in, comma, space, pipe string) { checkSeparators(t, in, comma, space, pipe) })
}

// checkSeparators reports whether the request has a key.
func checkSeparators(t *testing.T, in, comma, space, pipe string) bool {
	if strings.ContainsAny(comma+space+pipe, "&") {
		return false
	}
	req := separatedRequest(in, comma, space, pipe)
	if req == nil {
		return false
	}
	key, ok, err := separatedEndpoint.Key(req)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return false
	}
	built, err := separatedEndpoint.Request(t.Context(), api, key)
	if err != nil {
		t.Fatalf("%s has key %+v, but: %v", req.URL, key, err)
	}
	if diff := cmp.Diff(allAsWritten(req.URL), allAsWritten(built.URL)); diff != "" {
		t.Errorf("%s is asked for with %s: -want +got\n%s", req.URL, built.URL, diff)
	}
	wantKey(t, separatedEndpoint, get(t, built.URL.String()), key)
	return true
}

func TestEachListHasAKeyOfItsOwn(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	matched := 0
	for range 20_000 {
		text := func() string {
			return pick(r, "a", ",", "%2C", "%2c", "%20", "+", "|", "%7C", "%7c", "%25", "20", `\`, "%5C", "e", "%2B", "=", "é", "%FF")
		}
		if checkSeparators(t, text(), text(), text(), text()) {
			matched++
		}
	}
	if matched < 2_000 {
		t.Errorf("only %d requests matched", matched)
	}
	seen := make(map[string][]string)
	for range 20_000 {
		var values []string
		for range r.IntN(4) {
			values = append(values, pick(r, "a", ",", " ", "|", "+", "%", "20", "2C", "7C", `\`, "/", "é"))
		}
		if slices.Equal(values, []string{""}) || len(values) == 0 || slices.Contains(values, ".") {
			continue
		}
		text := request.JoinList(values...)
		key := separated{In: text, Comma: text, Space: text, Pipe: text}
		req, err := separatedEndpoint.Request(t.Context(), api, key)
		if err != nil {
			t.Fatalf("%q: %v", values, err)
		}
		wantKey(t, separatedEndpoint, get(t, req.URL.String()), key)
		for name, raw := range map[string]string{"path": req.URL.EscapedPath(), "query": req.URL.RawQuery} {
			if other, ok := seen[name+raw]; ok && !slices.Equal(other, values) {
				t.Fatalf("%q and %q are both asked for with %s", values, other, req.URL)
			}
			seen[name+raw] = values
		}
	}
}

// A set of one value that no path can have is no key, however often the value is there.
func TestASetInThePathCanBeAskedForAgain(t *testing.T) {
	type key struct {
		In string `path:"in,set,comma"`
	}
	for pattern, tests := range map[string]map[string]string{
		"/{in}":  {"/,": "", "/,,": "", "/.,.": "", "/..,..": "", "/.,..": ".,..", "/a,": `\e,a`, "/a,a": "a"},
		"/.{in}": {"/..,.": "", "/.a,.": ".,a", "/.a,a": "a"},
	} {
		e := parse[key](t, pattern)
		for text, want := range tests {
			req := get(t, "https://api.example.com"+text)
			if want == "" {
				wantNoKey(t, e, req)
				continue
			}
			wantKey(t, e, req, key{want})
			if _, err := e.Request(t.Context(), api, key{want}); err != nil {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
}
