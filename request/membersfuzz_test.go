package request_test

import (
	"encoding"
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/request"
)

// bodyKey is the key of a fuzz target.
type bodyKey struct {
	ID     string `path:"id"`
	Q      string `body:"q"`
	A      string `body:"a\\.b.c"`
	N      int    `body:"a\\.b.n" default:"1"`
	On     bool   `body:"on"`
	List   string `body:"list,list"`
	Set    string `body:"set,set"`
	Number string `body:"number,number"`
}

var bodyEndpoint = request.Pattern[bodyKey]("POST /v1/{id}", request.IgnoreMembers("ignored"))

// bodyRequest returns what is sent for k, or "" if nothing is.
func bodyRequest(t *testing.T, k bodyKey) string {
	req, err := bodyEndpoint.Request(t.Context(), api, k)
	if err != nil {
		return ""
	}
	k.Set = sorted(t, k.Set)
	wantKey(t, bodyEndpoint, req, k)
	var b strings.Builder
	if err := req.Write(&b); err != nil {
		t.Errorf("%+v: %v", k, err)
	}
	return b.String()
}

func FuzzBodyKeys(f *testing.F) {
	f.Add("i", "q", "a", 1, true, "a,b", "b,a", "1.0", "i", "q", "", 0, false, `\e`, "b", "-1e2")
	f.Add("i", "\ufffd", `"`, 1, true, "", "", "", "i", "\xff", `\`, 1, true, "", `\e`, "0")
	f.Fuzz(func(t *testing.T, id1, q1, a1 string, n1 int, on1 bool, list1, set1, number1,
		id2, q2, a2 string, n2 int, on2 bool, list2, set2, number2 string,
	) {
		k1 := bodyKey{id1, q1, a1, n1, on1, list1, set1, number1}
		k2 := bodyKey{id2, q2, a2, n2, on2, list2, set2, number2}
		wire1, wire2 := bodyRequest(t, k1), bodyRequest(t, k2)
		if wire1 == "" || wire1 != wire2 {
			return
		}
		k1.Set, k2.Set = sorted(t, k1.Set), sorted(t, k2.Set)
		if k1 != k2 {
			t.Errorf("%+v and %+v are both asked for with %q", k1, k2, wire1)
		}
	})
}

// FuzzBody makes requests of any body: one that has a key is the same as the one that
// is built for that key, but for what is documented to make no difference.
func FuzzBody(f *testing.F) {
	for _, body := range []string{
		`{"q":"a","a.b":{"c":"x","n":2},"on":true,"list":["a",""],"set":["b","a","b"],"number":-1.0e5}`,
		`{"ignored":{"q":1},"q":"\u00e9\/","set":[],"number":0}`, `{"a.b":{"n":1,"c":""}}`, `{"q":"\ud800"}`, `{"on":false,"q":"a","q":"b"}`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) { checkBody(t, body) })
}

// checkBody reports whether the body has a key.
func checkBody(t *testing.T, body string) bool {
	req := searchFor(t, body)
	req.URL.Path = "/v1/x"
	k, ok, err := bodyEndpoint.Key(req)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return false
	}
	built, err := bodyEndpoint.Request(t.Context(), api, k)
	if err != nil {
		t.Fatalf("%s has key %+v, but: %v", body, k, err)
	}
	data, err := request.Body(built, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := normalBody(t, string(data)), normalBody(t, body); got != want {
		t.Errorf("%s is asked for with %s:\n got %s\nwant %s", body, data, got, want)
	}
	return true
}

// As with queries, these come nearer to a match than the fuzzer does.
func TestABodyWithAKeyIsTheOneBuiltForIt(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	matched := 0
	for range 50_000 {
		text := func() string {
			return `"` + pick(r, "a", "b", `\"`, `\u0061`, `\ud800`, `\ud83d\ude00`, ",", `\\`, "é", "\xff") + `"`
		}
		number := func() string { return pick(r, "1", "0", "-", ".", "e") + "0" }
		var members []string
		for _, member := range []func() string{
			func() string { return `"q":` + text() },
			func() string { return `"a\u002eb":{"c":` + text() + `}` },
			func() string { return `"a.b":{"n":` + number() + `}` },
			func() string { return `"a.b":{}` },
			func() string { return `"on":` + pick(r, "true") },
			func() string { return `"on":false` },
			func() string { return `"list":[` + text() + "," + text() + `]` },
			func() string { return `"list":[]` },
			func() string { return `"set":[` + text() + "," + text() + `]` },
			func() string { return `"number":` + number() },
			func() string { return `"ignored":null` },
		} {
			if r.IntN(5) == 0 {
				members = append(members, member())
			}
		}
		r.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		if checkBody(t, "{"+strings.Join(members, ", ")+"}") {
			matched++
		}
	}
	if matched < 5_000 {
		t.Errorf("only %d bodies matched", matched)
	}
}

func TestNoTwoKeysMakeOneBody(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	seen := make(map[string]bodyKey)
	for range 50_000 {
		text := func() string { return pick(r, "a", `"`, `\`, "\u2028", "<", "{", "\xff", ",") }
		values := func() string { return pick(r, "a", "b", ",", `\e`, `\,`, `"`) }
		k := bodyKey{"i", text(), text(), r.IntN(3), r.IntN(2) == 0, values(), values(), pick(r, "1", "0", ".", "e", "-", " ")}
		wire := bodyRequest(t, k)
		if wire == "" {
			continue
		}
		k.Set = sorted(t, k.Set)
		if other, ok := seen[wire]; ok && other != k {
			t.Fatalf("%+v and %+v are both asked for with %q", k, other, wire)
		}
		seen[wire] = k
	}
	if len(seen) < 5_000 {
		t.Errorf("only %d requests were made", len(seen))
	}
}

// instantKey is the key of a fuzz target, of types that have a text.
type instantKey struct {
	At   time.Time    `path:"at"`
	To   time.Time    `body:"to"`
	From netip.Addr   `query:"from"`
	Net  netip.Prefix `header:"X-Net"`
}

var instantEndpoint = request.Pattern[instantKey]("POST /v1/{at}")

func FuzzKeysWithAText(f *testing.F) {
	f.Add(int64(1), 3600, int64(0), -3600, []byte{1, 2, 3, 4}, 8, int64(1), 0, int64(0), 0, []byte{}, 0)
	f.Fuzz(func(t *testing.T, at1 int64, zone1 int, to1 int64, zone2 int, from1 []byte, bits1 int, at2 int64, zone3 int, to2 int64, zone4 int, from2 []byte, bits2 int) {
		k1, k2 := instant(at1, zone1, to1, zone2, from1, bits1), instant(at2, zone3, to2, zone4, from2, bits2)
		wire1, wire2 := instantRequest(t, k1), instantRequest(t, k2)
		if wire1 != "" && wire1 == wire2 && texts(t, k1) != texts(t, k2) {
			t.Errorf("%+v and %+v are both asked for with %q", k1, k2, wire1)
		}
	})
}

func instant(at int64, zone1 int, to int64, zone2 int, from []byte, bits int) instantKey {
	k := instantKey{At: time.Unix(at, at%1000).In(time.FixedZone("", zone1)), To: time.Unix(to, 0).In(time.FixedZone("", zone2))}
	k.From, _ = netip.AddrFromSlice(from)
	k.Net = netip.PrefixFrom(k.From, bits)
	return k
}

// texts are the texts of a key, each on a line, or empty where one has none.
func texts(t *testing.T, k instantKey) string {
	t.Helper()
	var all []byte
	for _, m := range []encoding.TextMarshaler{k.At, k.To, k.From, k.Net} {
		text, err := m.MarshalText()
		if err != nil {
			return ""
		}
		all = append(append(all, text...), '\n')
	}
	return string(all)
}

// instantRequest returns what is sent for k, or "" if nothing is.
func instantRequest(t *testing.T, k instantKey) string {
	req, err := instantEndpoint.Request(t.Context(), api, k)
	if err != nil {
		return ""
	}
	if read, ok, err := instantEndpoint.Key(req); err != nil || !ok || texts(t, read) != texts(t, k) {
		t.Errorf("the key of the request for %+v is %+v, %t, %v", k, read, ok, err)
	}
	var b strings.Builder
	if err := req.Write(&b); err != nil {
		t.Errorf("%+v: %v", k, err)
	}
	return b.String()
}

// normalBody is a body without what is documented to make no difference.
func normalBody(t *testing.T, body string) string {
	dec := json.NewDecoder(strings.NewReader(body))
	dec.UseNumber()
	var root map[string]any
	if err := dec.Decode(&root); err != nil {
		t.Fatal(err)
	}
	delete(root, "ignored")
	inner, _ := root["a.b"].(map[string]any)
	for name, zero := range map[string]string{"q": `""`, "on": "false", "list": "[]", "set": "[]", "c": `""`, "n": "1"} {
		for _, object := range []map[string]any{root, inner} {
			if text, err := json.Marshal(object[name]); err == nil && string(text) == zero {
				delete(object, name)
			}
		}
	}
	if len(inner) == 0 {
		delete(root, "a.b")
	}
	if values, ok := root["set"].([]any); ok {
		slices.SortFunc(values, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
		root["set"] = slices.Compact(values)
	}
	text, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
