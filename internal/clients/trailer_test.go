package clients_test

import (
	"io"
	"net/http"
	"testing"
)

// withTrailers is an API whose answers have trailers, announced or not.
func withTrailers() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/announced", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Trailer", "X-Sum, X-Rows")
		io.WriteString(w, "some rows\n")
		w.(http.Flusher).Flush()
		io.WriteString(w, "and some more\n")
		w.Header().Set("X-Sum", "a1b2")
		w.Header().Set("X-Rows", "2")
	})
	mux.HandleFunc("/unannounced", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "a message")
		w.(http.Flusher).Flush()
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
		w.Header().Add(http.TrailerPrefix+"Grpc-Message", "fine")
		w.Header().Add(http.TrailerPrefix+"Grpc-Message", "indeed")
	})
	mux.HandleFunc("/empty", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Trailer", "X-Sum")
		w.(http.Flusher).Flush()
		w.Header().Set("X-Sum", "0")
	})
	mux.HandleFunc("/both", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, "text")
		w.(http.Flusher).Flush()
		w.Header().Set("X-Sum", "ff")
		w.Header().Set(http.TrailerPrefix+"X-Rows", "1")
	})
	return mux
}

func readTrailers(scheme string) func(testing.TB, int, http.RoundTripper) any {
	return func(t testing.TB, _ int, via http.RoundTripper) any {
		t.Helper()
		client := &http.Client{Transport: via}
		var read []string
		for _, path := range []string{"/announced", "/unannounced", "/empty", "/both", "/announced"} {
			resp, err := client.Get(scheme + "://" + host + path)
			check(t, err)
			body, err := io.ReadAll(resp.Body)
			check(t, err)
			check(t, resp.Body.Close())
			read = append(read, string(body)+resp.Trailer.Get("X-Sum")+resp.Trailer.Get("Grpc-Status"))
		}
		return read
	}
}

func TestTrailers(t *testing.T) {
	want := asked{cold: reached{4, 0}, warm: reached{0, 0}, expired: reached{4, 0}}
	for scheme, http2 := range map[string]bool{"http": false, "https": true} {
		t.Run(scheme, func(t *testing.T) {
			s := &scene{origin: withTrailers, tls: http2, client: readTrailers(scheme), policy: want, control: want}
			s.compare(t)
		})
	}
}
