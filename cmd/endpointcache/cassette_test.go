package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// server is a command that serves until it is interrupted.
type server struct {
	base string // what it prints first
	end  func() result
}

// serve begins a command that serves.
func (p *location) serve(t *testing.T, args ...string) server {
	t.Helper()
	t.Setenv(storeVariable, p.url)
	if p.kind != "sqlite" && p.kind != "filesystem" && p.kind != "memory" {
		args = withName(args, p.name)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	program := p.program
	reader, writer := io.Pipe()
	var stderr bytes.Buffer
	program.stdout, program.stderr = writer, &stderr
	ended := make(chan int, 1)
	go func() {
		code := program.run(ctx, args)
		writer.Close()
		ended <- code
	}()
	lines := bufio.NewReader(reader)
	base, err := lines.ReadString('\n')
	if err != nil {
		t.Fatalf("%v ends with %d: %s", args, <-ended, &stderr)
	}
	return server{strings.TrimSpace(base), func() result {
		interrupt()
		rest, err := io.ReadAll(lines)
		check(t, err)
		return result{string(rest), stderr.String(), <-ended}
	}}
}

// get is an answer as a text.
func get(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	check(t, err)
	resp, err := http.DefaultClient.Do(req)
	check(t, err)
	body, err := io.ReadAll(resp.Body)
	check(t, err)
	check(t, resp.Body.Close())
	return fmt.Sprintf("%d %s", resp.StatusCode, body)
}

func TestRecordAndReplayOnEveryStore(t *testing.T) {
	onEveryStore(t, func(t *testing.T, p *location) {
		requests := 0
		api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests++
			w.Header().Set("Cache-Control", "no-store")
			w.Header().Set("Content-Type", "application/json")
			if strings.HasSuffix(r.URL.Path, "9") {
				w.WriteHeader(http.StatusNotFound)
			}
			fmt.Fprintf(w, `{"path":%q,"n":%d,"email":"me@example.com"}`, r.URL.RequestURI(), requests)
		}))
		defer api.Close()
		session := func(base string) (all []string) {
			for _, path := range []string{"/tracks/1", "/tracks/1", "/tracks?q=a+b", "/tracks/9"} {
				all = append(all, get(t, base+path))
			}
			return all
		}
		recording := p.serve(t, "record", api.URL+"/v1", "--redact-json", "/email")
		heard := session(recording.base)
		r := recording.end()
		if r.code != 0 || !strings.Contains(r.stderr, "4 responses recorded, 0 answered from the recording, 0 not recorded") {
			t.Errorf("record ends with %d: %s", r.code, r.stderr)
		}
		api.Close()

		replaying := p.serve(t, "replay")
		for i, got := range session(replaying.base) {
			want := strings.Replace(heard[i], `"me@example.com"`, "null", 1)
			if got != want {
				t.Errorf("replayed is %s, want %s", got, want)
			}
		}
		if got := get(t, replaying.base+"/tracks/2"); !strings.HasPrefix(got, "504 endpointcache replay: this request was not recorded:\n\n  GET "+api.URL+"/v1/tracks/2\n") {
			t.Error(got)
		}
		if r := replaying.end(); r.code != 0 || !strings.Contains(r.stderr, "4 requests answered, 1 not recorded") {
			t.Errorf("replay ends with %d: %s", r.code, r.stderr)
		}
	})
}

// TestChild is the command that a proxy runs in the next test.
func TestChild(t *testing.T) {
	url := os.Getenv("MUSIC_URL")
	if url == "" {
		t.Skip("it is a part of another test")
	}
	fmt.Println("child:", get(t, url+"/tracks/1"))
	os.Exit(7)
}

func TestACommandRunsWithTheProxy(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) }))
	defer api.Close()
	p := newLocation(t, "sqlite")
	child := []string{"--env", "MUSIC_URL", "--", os.Args[0], "-test.run", "^TestChild$"}
	for _, command := range [][]string{{"record", api.URL + "/v1"}, {"replay"}} {
		r := p.run(t, "", append(command, child...)...)
		if r.code != 7 || r.stdout != "child: 200 /v1/tracks/1\n" {
			t.Errorf("%s ends with %d: %s%s", command[0], r.code, r.stdout, r.stderr)
		}
		api.Close()
	}
}

func TestMistakesOfRecordAndReplay(t *testing.T) {
	filled(t, newLocation(t, "sqlite")).golden(t, "cassette")
}
