package request_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/internal/endpoint"
	"github.com/endpointcache/endpointcache/request"
)

func TestHeader(t *testing.T) {
	type key struct {
		Accept  string `header:"accept" default:"*/*"`
		Lang    string `header:"Accept-Language"`
		Version int    `header:"X-Version,required"`
	}
	e := parse[key](t, "/")
	const u = "https://api.example.com/"
	wantKey(t, e, get(t, u, "X-Version", "2"), key{Accept: "*/*", Version: 2})
	wantKey(t, e, get(t, u, "X-Version", "2", "Accept", " a ", "Accept", "b", "X-Other", "x"), key{Accept: "a, b", Version: 2})
	wantKey(t, e, get(t, u, "X-Version", "0", "Accept", "", "Accept-Language", "de"), key{Lang: "de"})
	wantNoKey(t, e, get(t, u))
	wantNoKey(t, e, get(t, u, "X-Version", "02"))
	wantNoKey(t, e, get(t, u, "X-Version", "2", "X-Version", "2"))

	req := get(t, u, "X-Version", "2")
	req.Header["accept-language"] = []string{"de"} // is sent as well
	wantNoKey(t, e, req)

	built, err := e.Request(t.Context(), api, key{Accept: "", Lang: "de, en", Version: 0})
	if err != nil {
		t.Fatal(err)
	}
	wantKey(t, e, built, key{Lang: "de, en"})
	if got := built.Header.Values("Accept"); len(got) != 1 {
		t.Errorf("Accept is %q, want it sent empty", got)
	}
	for _, value := range []string{"a\r\nX-Evil: 1", "a\nb", "a\x00", " a", "a\t", "\x7f"} {
		_, err := e.Request(t.Context(), api, key{Lang: value})
		if err == nil || !strings.Contains(err.Error(), "field Lang") {
			t.Errorf("Request with header %q: %v", value, err)
		} else if strings.Contains(err.Error(), "Evil") {
			t.Errorf("error %q shows the header's value", err)
		}
	}
}

func TestHashedHeader(t *testing.T) {
	type key struct {
		ID   string `path:"id"`
		User string `header:"Authorization,hash"`
	}
	e := parse[key](t, "/{id}")
	keyOf := func(req *http.Request) key {
		t.Helper()
		k, ok, err := e.Key(req)
		if err != nil || !ok {
			t.Fatalf("Key: %t, %v", ok, err)
		}
		return k
	}
	const u = "https://api.example.com/a"
	alice := keyOf(get(t, u, "Authorization", "Bearer alice"))
	if strings.Contains(alice.User, "alice") || len(alice.User) != 64 {
		t.Errorf("User is %q, want a hash", alice.User)
	}
	if bob := keyOf(get(t, u, "Authorization", "Bearer bob")); bob == alice {
		t.Error("two users share a key")
	}
	if nobody := keyOf(get(t, u)); nobody.User != "" {
		t.Errorf("User without the header is %q", nobody.User)
	}
	req, err := e.Request(t.Context(), api, alice)
	if err != nil {
		t.Fatal(err)
	}
	if got := req.Header.Values("Authorization"); len(got) != 0 {
		t.Errorf("built request has Authorization %q", got)
	}
	if req.Header.Set("Authorization", "Bearer alice"); keyOf(req) != alice {
		t.Error("with the header set by the client, the key is another")
	}

	// A client makes the header of the URL's user.
	basic := get(t, u)
	basic.SetBasicAuth("alice", "secret")
	if got, want := keyOf(get(t, "https://alice:secret@api.example.com/a")), keyOf(basic); got != want {
		t.Errorf("key with a user in the URL is %v, want %v", got, want)
	}
}

func TestReadsHeaders(t *testing.T) {
	type key struct {
		ID   string `path:"id"`
		User string `header:"Authorization,hash"`
	}
	for name, test := range map[string]struct {
		endpoint any
		want     bool
	}{
		"no header":         {request.Pattern[string]("/tracks/{id}"), false},
		"a header's hash":   {request.Pattern[key]("/tracks/{id}"), true},
		"a mistake":         {request.Pattern[key]("/tracks"), true},
		"functions":         {request.Func[string](nil, nil), true},
		"there is none yet": {nil, true},
	} {
		if got := endpoint.ReadsHeaders(test.endpoint); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
