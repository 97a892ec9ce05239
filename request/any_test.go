package request_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/internal/endpoint"
	"github.com/endpointcache/endpointcache/request"
)

// anyKey is the key of a request that has to have one.
func anyKey(t testing.TB, e request.Endpoint[request.AnyKey], req *http.Request) request.AnyKey {
	t.Helper()
	key, ok, err := e.Key(req)
	if err != nil || !ok {
		t.Fatalf("Key(%s %s) = %t, %v", req.Method, req.URL, ok, err)
	}
	return key
}

func TestAnyURLIsNormalized(t *testing.T) {
	wantURLs(t, request.Any(nil), map[string]string{
		"https://api.example.com/v1/tracks?b=1&a=2":   "https://api.example.com/v1/tracks?b=1&a=2",
		"HTTPS://API.Example.com:443":                 "https://api.example.com/",
		"http://api.example.com:80/":                  "http://api.example.com/",
		"http://api.example.com:/":                    "http://api.example.com/",
		"http://api.example.com:443/":                 "http://api.example.com:443/",
		"https://[::1]:443/":                          "https://[::1]/",
		"https://[::1]/":                              "https://[::1]/",
		"https://[fe80::1%25en0]/":                    "https://[fe80::1{25}en0]/",
		"https://h/a#fragment":                        "https://h/a",
		"https://h/%7e%41%2fb%c3%a9":                  "https://h/~A%2Fb%C3%A9",
		"https://h/é":                                 "https://h/%C3%A9",
		"https://h/a/../%2e%2E/b/./":                  "https://h/a/../%2E%2E/b/./",
		"https://h/a//b/":                             "https://h/a//b/",
		"https://h/?":                                 "https://h/?",
		"https://h/?a&a=&b":                           "https://h/?a&a=&b",
		"https://h/?b=2&a=2&b=1&a=1":                  "https://h/?b=2&a=2&b=1&a=1",
		"https://h/?b&a[]=2&A=1&a%5b1%5D=0&a.b":       "https://h/?b&a[]=2&A=1&a%5B1%5D=0&a.b",
		"https://h/?q=a+b&p=a%20b&n=%2e%7E%2f%26":     "https://h/?q=a+b&p=a%20b&n=.~%2F%26",
		"https://h/?b=1;a=2&a=1":                      "https://h/?b=1;a=2&a=1",
		"https://h/?b=%zz&a=%4":                       "https://h/?b={25}zz&a={25}4",
		"https://h/?b=é&a={7B}|\"":                    "https://h/?b={C3}{A9}&a={7B}7B{7D}{7C}{22}",
		"https://user:pass@h/":                        "https://h/",
		"https://h/" + strings.Repeat("a", 1014):      "https://h/" + strings.Repeat("a", 1014),
		"https://h/?" + strings.Repeat("%41", 1013):   "https://h/?" + strings.Repeat("A", 1013),
		"https://h/?page_token=a&country_code=b&fq=k": "https://h/?page_token=a&country_code=b&fq=k",
	})
	wantURLs(t, request.Any(&request.AnyOptions{SortQuery: true}), map[string]string{
		"https://api.example.com/v1/tracks?b=1&a=2": "https://api.example.com/v1/tracks?a=2&b=1",
		"https://h/?b=2&a=2&b=1&a=1":                "https://h/?a=2&a=1&b=2&b=1",
		"https://h/?b&a[]=2&A=1&a%5b1%5D=0&a.b":     "https://h/?a[]=2&A=1&a%5B1%5D=0&a.b&b",
		"https://h/?b=1;a=2&a=1":                    "https://h/?b=1;a=2&a=1",
		"https://h/?b=%zz&a=%4":                     "https://h/?b={25}zz&a={25}4",
	})
}

func wantURLs(t *testing.T, e request.Endpoint[request.AnyKey], urls map[string]string) {
	t.Helper()
	for raw, want := range urls {
		if got := anyKey(t, e, get(t, raw)).URL; got != want {
			t.Errorf("%s\nbecame %s\nwant   %s", raw, got, want)
		}
	}
}

func TestAnyMatchesWhatIsSentToAServer(t *testing.T) {
	e := request.Any(nil)
	wantKey(t, e, do(t, "POST", "http://h/a"), request.AnyKey{Method: "POST", URL: "http://h/a"})
	req := get(t, "http://h/a")
	req.Method = ""
	wantKey(t, e, req, request.AnyKey{Method: "GET", URL: "http://h/a"})
	wantKey(t, e, do(t, "get", "http://h/a"), request.AnyKey{Method: "get", URL: "http://h/a"})

	for _, raw := range []string{"ftp://h/a", "/a", "//h/a", "http:opaque", "mailto:a@b", "http:///a"} {
		wantNoKey(t, e, get(t, raw))
	}
	relative := get(t, "http://h")
	relative.URL.Path = "a"
	wantNoKey(t, e, relative)
	bad := get(t, "http://h")
	bad.Method = "A B"
	wantNoKey(t, e, bad)
	wantNoKey(t, e, nil)
	wantNoKey(t, e, &http.Request{})
}

func TestAnyKeyHoldsNoSecrets(t *testing.T) {
	e := request.Any(&request.AnyOptions{Secret: []string{"Own-Thing"}})
	for _, name := range []string{
		"access_token", "api_key", "apikey", "api-key", "key", "Key", "KEY", "token", "sig", "signature", "X-Amz-Signature",
		"client_secret", "password", "X-Goog-Credential", "auth[token]", "k%65y", "own_thing", "user%5Fpassword", "my.api.key",
		"a;token", "%zz;token", "a;b&key", "session-id", "private_token", "job_token", "bearer_token", "deploy_token",
		"user_key", "application_key", "code", "passphrase", "PHPSESSID", "otp", "SAMLResponse", "assertion", "ticket", "hmac",
		"csrf", "token_v2", "tok", "email",
	} {
		for _, value := range []string{"s3cret", "s3cret&a=1", "s3cret%zz", "s3cret;b=1"} {
			key := anyKey(t, e, get(t, "https://h/?"+name+"="+value))
			if strings.Contains(key.URL, "s3cret") || !strings.Contains(key.URL, "={sha256:") {
				t.Errorf("URL of %s=%s is %s", name, value, key.URL)
			}
		}
	}
	one, two := anyKey(t, e, get(t, "https://h/?token=%7ea")), anyKey(t, e, get(t, "https://h/?token=%7eb"))
	if one == two {
		t.Error("two tokens share a key")
	}
	if same := anyKey(t, e, get(t, "https://h/?token=~a")); same != one {
		t.Errorf("the same token has the keys %s and %s", same.URL, one.URL)
	}
	if got := anyKey(t, e, get(t, "https://h/?token&sig=")).URL; got != "https://h/?token&sig=" {
		t.Errorf("URL is %s", got)
	}
	for _, req := range []*http.Request{
		get(t, "https://user:s3cret@h/"),
		get(t, "https://h/", "Authorization", "Bearer s3cret"),
		get(t, "https://h/", "Cookie", "id=s3cret"),
		get(t, "https://h/", "X-Whatever", "s3cret"),
	} {
		if key := anyKey(t, e, req); strings.Contains(key.URL+key.Headers, "s3cret") || !strings.Contains(key.Headers, ": {sha256:") {
			t.Errorf("key is %+v", key)
		}
	}
	for _, raw := range []string{
		"https://h/a;jsessionid=s3cret/b", "https://h/a;b=1;token=s3cret", "https://h/?next=%2Fa%3Ftoken%3Ds3cret",
		"https://h/?url=https://u:s3cret@h", "https://h/?variables=%7B%22password%22:%22s3cret%22%7D",
	} {
		if key := anyKey(t, e, get(t, raw)); strings.Contains(key.URL, "s3cret") || !strings.Contains(key.URL, "{sha256:") {
			t.Errorf("URL of %s is %s", raw, key.URL)
		}
	}
	want := "X-Api-Key: {sha256:" + request.HeaderHash("abc") + "}"
	if got := anyKey(t, e, get(t, "https://h/", "x-api-key", " abc ")).Headers; got != want {
		t.Errorf("headers are %s, want %s", got, want)
	}
}

// With a key, nobody else can find by trying what a digest stands for.
func TestDigestsOfAnyAreKeyed(t *testing.T) {
	key, other := []byte("0123456789abcdef"), []byte("fedcba9876543210")
	req := func() *http.Request {
		req := again(t, "body")
		req.URL = mustParse(t, "https://u:p@h/?pin=1234&long="+strings.Repeat("a", 2000))
		return req
	}
	plain := request.Any(nil)
	one := anyKey(t, request.Any(&request.AnyOptions{DigestKey: key}), req())
	two := anyKey(t, endpoint.WithDigestKey(plain, key).(request.Endpoint[request.AnyKey]), req())
	three := anyKey(t, request.Any(&request.AnyOptions{DigestKey: other}), req())
	if one != two {
		t.Errorf("with one key the requests have the keys\n%+v\n%+v", one, two)
	}
	if one.URL == three.URL || one.Headers == three.Headers || one.Body == three.Body {
		t.Errorf("with two keys the requests have the keys\n%+v\n%+v", one, three)
	}
	if text := one.URL + one.Headers; strings.Contains(text, "sha256") || strings.Count(text, "{hmac:") != 3 || len(one.Body) != 22 {
		t.Errorf("the key is %+v", one)
	}
	if !endpoint.WantsDigestKey(plain) || endpoint.WantsDigestKey(request.Any(&request.AnyOptions{DigestKey: key})) {
		t.Error("an endpoint wants a key if it has none")
	}
	if e := request.Pattern[string]("/{id}"); endpoint.WantsDigestKey(e) || endpoint.WithDigestKey(e, key) != any(e) {
		t.Error("a pattern has no digests with a key")
	}
}

func TestAnyHeadersAreReadable(t *testing.T) {
	req := get(t, "https://10.0.0.1/", "Accept-Language", "de", "accept", "text/html", "Accept", " a|b{c}é ", "User-Agent", "x",
		"Content-Type", "text/plain", "X-Request-Id", "1", "Range", "bytes=0-1")
	req.Host = "API.example.com:443"
	want := "Host: api.example.com | Accept: text/html | Accept: a{7C}b{7B}c{7D}{C3}{A9} | Accept-Language: de | Range: bytes=0-1"
	if got := anyKey(t, request.Any(nil), req).Headers; got != want {
		t.Errorf("headers are %s\nwant        %s", got, want)
	}
	for range 8 { // more than fit
		req.Header.Add("X-Long", "x")
	}
	long := anyKey(t, request.Any(nil), req)
	req.Header["X-Long"][7] = "y"
	if other := anyKey(t, request.Any(nil), req); len(other.Headers) != 512+73 || len(long.Headers) != 512+73 || other == long {
		t.Errorf("headers are %s and %s", other.Headers, long.Headers)
	}
}

func TestAnyLeavesTheBody(t *testing.T) {
	e := request.Any(&request.AnyOptions{MaxBody: 5})
	for _, body := range []string{"hello", "hello!"} {
		for name, req := range map[string]*http.Request{"once": once(t, strings.NewReader(body)), "again": again(t, body)} {
			key, ok, err := e.Key(req)
			if err != nil || ok != (len(body) <= 5) || ok != (key.Body != "") {
				t.Errorf("%s: Key = %v, %t, %v", name, key, ok, err)
			}
			if got, err := io.ReadAll(req.Body); err != nil || string(got) != body {
				t.Errorf("%s: afterwards the body is %q, %v", name, got, err)
			}
		}
	}
	broken := errors.New("broken")
	if _, ok, err := e.Key(once(t, failing{broken})); ok || !errors.Is(err, broken) {
		t.Errorf("Key with a body that cannot be read: %t, %v", ok, err)
	}
	ignoring := request.Any(&request.AnyOptions{IgnoreBody: []string{"*"}})
	if key := anyKey(t, ignoring, once(t, failing{broken})); key.Body != "" {
		t.Errorf("Body is %s, want it ignored", key.Body)
	}
	if key := anyKey(t, e, once(t, strings.NewReader(""))); key.Body != "" {
		t.Errorf("Body of no bytes is %s", key.Body)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestAnyBuildsRequestsForKeys(t *testing.T) {
	e := request.Any(nil)
	for _, raw := range []string{
		"https://api.example.com/v1/a%2Fb/..?b=1&a=%20+", "http://h:8080/?", "https://h/a?a[]=1&a[]=2;3",
	} {
		req := get(t, raw, "Accept", "a, b", "Accept", "", "X-Empty", "")
		req.Host = "other"
		want := anyKey(t, e, req)
		built, err := e.Request(t.Context(), nil, want)
		if err != nil {
			t.Errorf("Request(%+v): %v", want, err)
			continue
		}
		wantKey(t, e, built, want)
		if built.Host != "other" {
			t.Errorf("Host is %s", built.Host)
		}
	}
	for _, req := range []*http.Request{
		get(t, "https://h/?token=a"),
		get(t, "https://h/", "Authorization", "a"),
		get(t, "https://h/?q={"),
		get(t, "https://h/"+strings.Repeat("a", 2000)),
		again(t, "body"),
		do(t, "DELETE", "https://h/"),
	} {
		if _, err := e.Request(t.Context(), nil, anyKey(t, e, req)); !errors.Is(err, request.ErrNoRequest) {
			t.Errorf("Request for %s %s: %v", req.Method, req.URL, err)
		}
	}
	for _, key := range []request.AnyKey{
		{},
		{Method: "GET"},
		{Method: "GET", URL: "https://H/"},
		{Method: "GET", URL: "https://user@h/"},
		{Method: "GET", URL: "https://h/", Headers: "Accept"},
		{Method: "GET", URL: "https://h/", Headers: "accept: a"},
		{Method: "GET", URL: "https://h/", Headers: "User-Agent: a"},
		{Method: "GET", URL: "https://h/", Headers: "Authorization: a"},
	} {
		if req, err := e.Request(t.Context(), nil, key); err == nil {
			t.Errorf("Request(%+v) = %s %v", key, req.URL, req.Header)
		}
	}
}

func TestAnyIsTheLeastSpecific(t *testing.T) {
	spec := endpoint.SpecificityOf(request.Any(nil))
	function := endpoint.SpecificityOf(request.Func[string](nil, nil))
	if spec.Compare(function) >= 0 || function.Compare(spec) <= 0 {
		t.Error("Any is not less specific than a Func")
	}
	if spec.Compare(rank[string](t, "/{path...}", request.IgnoreAnyQuery()).spec) >= 0 {
		t.Error("Any is not less specific than a pattern")
	}
}

func TestAnyOptionsThatCannotWorkAreRefused(t *testing.T) {
	for want, opts := range map[string]request.AnyOptions{
		"MaxBody":                       {MaxBody: -1},
		"DigestKey has 15 bytes":        {DigestKey: make([]byte, 15)},
		`Headers: "a b"`:                {Headers: []string{"a b"}},
		"Headers has an empty":          {Headers: []string{""}},
		`IgnoreHeaders: "a:"`:           {IgnoreHeaders: []string{"a:"}},
		`IgnoreQuery: "a*b"`:            {IgnoreQuery: []string{"a*b"}},
		"IgnoreBody has an empty":       {IgnoreBody: []string{""}},
		`IgnoreBody: "/a~2"`:            {IgnoreBody: []string{"/a~2"}},
		`Secret: "-" has no letter`:     {Secret: []string{"-"}},
		"IgnoreHeaders has an empty na": {IgnoreHeaders: []string{""}},
	} {
		e := request.Any(&opts)
		err := e.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), "request: Any: "+want) {
			t.Errorf("Validate: %v, want %s", err, want)
			continue
		}
		if _, ok, got := e.Key(get(t, "https://h/")); ok || got != err {
			t.Errorf("Key: %t, %v", ok, got)
		}
		if _, got := e.Request(context.Background(), nil, request.AnyKey{Method: "GET", URL: "https://h/"}); got != err {
			t.Errorf("Request: %v", got)
		}
	}
	if err := request.Any(nil).Validate(); err != nil {
		t.Error(err)
	}
}
