package origin

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
)

// A client that asks many hosts does not keep them all, and none that is in use is
// forgotten.
func TestHostsAreForgotten(t *testing.T) {
	var hs hosts
	hs.init(&Options{})
	used := hs.use("used.test")
	for i := range 3 * remembered {
		hs.done(hs.use(fmt.Sprintf("%d.test", i)))
	}
	if n := len(hs.byName); n != remembered+1 || hs.unused.Len() != remembered {
		t.Errorf("%d hosts are kept, %d of them unused; want %d", n, hs.unused.Len(), remembered)
	}
	if again := hs.use("used.test"); again != used {
		t.Error("a host in use was forgotten")
	}
	last := fmt.Sprintf("%d.test", 3*remembered-1)
	if hs.byName[last] == nil {
		t.Error("the host that was used last was forgotten")
	}
}

func TestHostNames(t *testing.T) {
	for text, want := range map[string]string{
		"https://API.example.com/v1":    "api.example.com",
		"https://api.example.com:443/":  "api.example.com",
		"http://api.example.com:80/":    "api.example.com",
		"http://api.example.com:443/":   "api.example.com:443",
		"https://api.example.com:80/":   "api.example.com:80",
		"https://me:pw@api.example.com": "api.example.com",
		"http://[::1]/":                 "[::1]",
		"http://[::1]:8080/":            "[::1]:8080",
		"https://[2001:DB8::1]:443/":    "[2001:db8::1]",
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := hostName(u); got != want {
			t.Errorf("%s is %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]string{"API.example.com:443": "api.example.com", "[::1]:80": "[::1]", "[::1]:8080": "[::1]:8080", "localhost:8080": "localhost:8080"} {
		if got, err := parseHost(text); got != want || err != nil {
			t.Errorf("%s is %q, %v, want %q", text, got, err, want)
		}
	}
}

// Who gives up at the moment at which the request may be sent takes no place.
func TestGivingUpWhenAdmitted(t *testing.T) {
	h := &host{name: "a.test", most: 1, firstPause: 1, maxPause: 1}
	p, err := h.enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h.answered(p, plea{refused: true, pause: true, told: true})
	h.leave()
	if p, err = h.enter(t.Context()); err != nil || h.trying != 1 {
		t.Fatalf("error %v, %d requests try whether the host answers, want 1", err, h.trying)
	}
	h.giveUp(p)
	if h.inFlight != 0 || h.trying != 0 || h.queue.Len() != 0 {
		t.Errorf("left behind: %d in flight, %d that try, %d in the queue", h.inFlight, h.trying, h.queue.Len())
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	base := answers{&http.Response{StatusCode: http.StatusOK, Body: http.NoBody}}
	rt := New(base, &Options{Limits: Limits{InFlight: 8}})
	req, _ := http.NewRequest(http.MethodGet, "https://api.test/", nil)
	for b.Loop() {
		if _, err := rt.RoundTrip(req); err != nil {
			b.Fatal(err)
		}
	}
}

// answers is a base that costs nothing, to measure what the transport adds.
type answers struct{ resp *http.Response }

func (a answers) RoundTrip(*http.Request) (*http.Response, error) { return a.resp, nil }
