package fetch_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/endpointcache/endpointcache/fetch"
)

// BenchmarkHit compares a hit with what the repository alone takes for it.
func BenchmarkHit(b *testing.B) {
	repo := repositoryOf(b, settingsOf(byID, batchOf(10)))
	e := fetcherIn(b, newOrigin(b, nil), repo, nil)
	if _, err := e.Fetch(b.Context(), "a"); err != nil {
		b.Fatal(err)
	}
	b.Run("Get", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, ok, err := repo.Get(b.Context(), "a"); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	})
	b.Run("Fetch", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := e.Fetch(b.Context(), "a"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkMiss compares what asks the origin with an http.Client. The server allocates
// nothing, so all that is counted is of the side that asks.
func BenchmarkMiss(b *testing.B) {
	url := frugal(b)
	client, err := fetch.NewClient(&fetch.Options{BaseURL: url})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { client.Close() })
	transport := &http.Transport{}
	b.Cleanup(transport.CloseIdleConnections)
	b.Run("Client", func(b *testing.B) {
		own := &http.Client{Transport: transport}
		b.ReportAllocs()
		for b.Loop() {
			resp, err := own.Get(url + "/tracks/a")
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				b.Fatal(err)
			}
			resp.Body.Close()
		}
	})
	b.Run("Source", func(b *testing.B) {
		source := sourceOf(b, client, settingsOf(byID, nil))
		keys := []string{"a"}
		b.ReportAllocs()
		for b.Loop() {
			source.Fetch(b.Context(), keys, func(_ int, a fetch.Answer) {
				if a.Err != nil {
					b.Fatal(a.Err)
				}
			})
		}
	})
	b.Run("Fetch", func(b *testing.B) {
		e, err := fetch.New(client, repositoryOf(b, settingsOf(byID, nil)), nil)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := e.Fetch(b.Context(), "a", fetch.Refresh()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// frugal is the URL of a server that answers each request alike, and allocates nothing
// for it.
func frugal(b *testing.B) string {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { listener.Close() })
	body := trackBody("a")
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"+
		"Date: Sat, 21 Nov 2026 10:00:00 GMT\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serveFrugally(conn, answer)
		}
	}()
	return "http://" + listener.Addr().String()
}

func serveFrugally(conn net.Conn, answer []byte) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		if len(line) > len("\r\n") {
			continue
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}
