package request_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/endpointcache/endpointcache/request"
)

// once is a request whose body can be read only once.
func once(t testing.TB, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequest("POST", "https://api.example.com/search", struct{ io.Reader }{body})
	if err != nil {
		t.Fatal(err)
	}
	if req.GetBody != nil {
		t.Fatal("the request has GetBody")
	}
	return req
}

func again(t testing.TB, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequest("POST", "https://api.example.com/search", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestBodyIsLeftAsItWas(t *testing.T) {
	for _, body := range []string{"", "hello"} {
		for name, req := range map[string]*http.Request{
			"once":  once(t, strings.NewReader(body)),
			"again": again(t, body),
		} {
			for range 2 {
				got, err := request.Body(req, int64(len(body)))
				if err != nil || string(got) != body {
					t.Errorf("%s: Body = %q, %v, want %q", name, got, err, body)
				}
				clear(got) // belongs to the caller
			}
			if got, err := io.ReadAll(req.Body); err != nil || string(got) != body {
				t.Errorf("%s: afterwards the body is %q, %v, want %q", name, got, err, body)
			}
			if req.GetBody == nil {
				t.Fatalf("%s: GetBody is not set", name)
			}
			rc, err := req.GetBody()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(rc); err != nil || string(got) != body {
				t.Errorf("%s: GetBody gives %q, %v, want %q", name, got, err, body)
			}
		}
	}
}

func TestBodyThatIsTooLargeCanStillBeSent(t *testing.T) {
	body := strings.Repeat("x", 100)
	for name, req := range map[string]*http.Request{
		"once":  once(t, strings.NewReader(body)),
		"again": again(t, body),
	} {
		data, err := request.Body(req, 99)
		if !errors.Is(err, request.ErrBodyTooLarge) || data != nil {
			t.Errorf("%s: Body = %q, %v, want ErrBodyTooLarge", name, data, err)
		}
		if got, err := io.ReadAll(req.Body); err != nil || string(got) != body {
			t.Errorf("%s: afterwards the body is %q, %v", name, got, err)
		}
	}
}

func TestBodyLimits(t *testing.T) {
	if _, err := request.Body(once(t, bytes.NewReader(make([]byte, request.DefaultBodyLimit))), 0); err != nil {
		t.Errorf("body of the default limit: %v", err)
	}
	if _, err := request.Body(once(t, bytes.NewReader(make([]byte, request.DefaultBodyLimit+1))), -1); !errors.Is(err, request.ErrBodyTooLarge) {
		t.Errorf("body above the default limit: %v", err)
	}
	if got, err := request.Body(once(t, strings.NewReader("a")), math.MaxInt64); err != nil || string(got) != "a" {
		t.Errorf("the largest limit: %q, %v", got, err)
	}
}

func TestBodyThatCannotBeReadFailsAgainWhenSent(t *testing.T) {
	broken := errors.New("broken")
	req := once(t, io.MultiReader(strings.NewReader("he"), iotest.ErrReader(broken)))
	for range 2 {
		if _, err := request.Body(req, 0); !errors.Is(err, broken) {
			t.Errorf("Body: %v, want %v", err, broken)
		}
	}
	if got, err := io.ReadAll(req.Body); !errors.Is(err, broken) || string(got) != "he" {
		t.Errorf("afterwards the body is %q, %v", got, err)
	}
	if _, err := request.BodyHash(req); !errors.Is(err, broken) {
		t.Errorf("BodyHash: %v, want %v", err, broken)
	}
	if _, err := request.JSONBodyHash(req); !errors.Is(err, broken) {
		t.Errorf("JSONBodyHash: %v, want %v", err, broken)
	}
}

func TestBodyHash(t *testing.T) {
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for name, req := range map[string]*http.Request{
		"no body":    get(t, "https://api.example.com"),
		"empty body": once(t, strings.NewReader("")),
	} {
		if got, err := request.BodyHash(req); err != nil || got != empty {
			t.Errorf("%s: BodyHash = %q, %v", name, got, err)
		}
	}
	a, _ := request.BodyHash(again(t, "a=1&b=2"))
	b, _ := request.BodyHash(again(t, "a=1%26b=2"))
	if a == b || len(a) != 64 {
		t.Errorf("hashes are %q and %q", a, b)
	}
}

func TestJSONBodyHash(t *testing.T) {
	hash := func(text string) string {
		t.Helper()
		h, err := request.JSONBodyHash(once(t, strings.NewReader(text)))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return h
	}
	same := [][2]string{
		{`{"a":1,"b":[1,{"c":null,"d":"x"}]}`, ` { "b" : [ 1 , { "d" : "x" , "c" : null } ] , "a" : 1 } ` + "\n"},
		{`[]`, `[ ]`},
		{`{}`, "{\n}"},
		{`"a, : b"`, ` "a, : b"`},
	}
	for _, s := range same {
		if hash(s[0]) != hash(s[1]) {
			t.Errorf("%s and %s have two hashes", s[0], s[1])
		}
	}
	different := []string{
		`1`, `1.0`, `1e0`, `10000000000000000000000001`, `10000000000000000000000002`, `"1"`, `true`, `null`,
		`[]`, `[[]]`, `[[],[]]`, `[1,2]`, `[2,1]`, `[12]`, `["1,2"]`, `["1","2"]`,
		`{}`, `[{}]`, `{"a":{}}`, `{"a":[]}`, `{"a":1}`, `{"a":"1"}`, `{"b":1}`, `{"a":{"b":1}}`, `{"a":1,"b":1}`,
		`{"a":1,"a":2}`, `{"a":2,"a":1}`, `{"a":2}`, `{"a":1,"\u0061":2}`, `{"\u0061":2,"a":1}`,
		`"\ud800"`, `"\ud801"`, `"\ufffd"`, "\"\xff\"", "\"\xfe\"", `{"\ud800":1,"\ud801":2}`, `{"\ud801":2,"\ud800":1}`,
	}
	seen := make(map[string]string)
	for _, text := range different {
		h := hash(text)
		if other, ok := seen[h]; ok {
			t.Errorf("%s and %s have one hash", text, other)
		}
		seen[h] = text
	}
}

func TestJSONBodyHashOfWhatIsNotJSON(t *testing.T) {
	for _, text := range []string{"", " ", "{", `{"a"}`, `{} {}`, `[1,]`, `01`, "nul", strings.Repeat("[", 1<<19), "<html>"} {
		req := once(t, strings.NewReader(text))
		if h, err := request.JSONBodyHash(req); err == nil || !strings.HasPrefix(err.Error(), "request: ") {
			t.Errorf("%.20s: hash %q, error %v", text, h, err)
		}
		if got, _ := io.ReadAll(req.Body); string(got) != text {
			t.Errorf("%.20s: afterwards the body is %.20q", text, got)
		}
	}
}

func TestFunc(t *testing.T) {
	e := request.Func(func(req *http.Request) (string, bool, error) {
		h, err := request.BodyHash(req)
		return h, err == nil, err
	}, nil)
	if err := e.Validate(); err != nil {
		t.Errorf("Validate: %v", err)
	}
	if _, ok, err := e.Key(again(t, "a")); !ok || err != nil {
		t.Errorf("Key: %t, %v", ok, err)
	}
	if _, err := e.Request(t.Context(), api, "x"); !errors.Is(err, request.ErrNoRequest) {
		t.Errorf("Request: %v, want ErrNoRequest", err)
	}
	none := request.Func[string](nil, nil)
	if err := none.Validate(); err == nil {
		t.Error("Validate without a key function: no error")
	}
	if _, ok, err := none.Key(again(t, "a")); ok || err == nil {
		t.Errorf("Key without a key function: %t, %v", ok, err)
	}
}
