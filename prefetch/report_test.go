package prefetch_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/prefetch"
)

func TestFailuresAreListedByCause(t *testing.T) {
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		switch key := path.Base(r.URL.Path); key[0] {
		case 'f':
			w.WriteHeader(http.StatusForbidden)
		case 'h':
			fmt.Fprintf(w, `<html>%s`, key)
		case 'c':
			cutShort(w, r)
		default:
			serveTrack(w, r)
		}
	})
	keys := []string{"a", "f1", "f2", "h10", "f3", "c", "f4", "h2222", ".."}
	result := run(t, over(t, tracksOf(t, byID), to(t, fetch.Options{BaseURL: server.URL, Client: quick(t), Retry: retries(origin.NoRetries)})), &prefetch.Options{
		Concurrency: 1,
	}, keys...)
	var got []string
	for _, cause := range result.Causes {
		got = append(got, fmt.Sprintf("%d %s", cause.Count, cause))
	}
	if len(got) != 4 || got[0] != "4 status 403 Forbidden: f1, f2, f3, …" || !strings.HasPrefix(got[1], "2 the body cannot be decoded: ") ||
		!strings.HasSuffix(got[1], ": h10, h2222") || !slices.Contains(got, "1 unexpected EOF: c") {
		t.Errorf("%q", got)
	}
	report := result.Report()
	for _, want := range []string{
		"9 keys in ", ": 0 cached, 1 fetched, 0 absent, 8 failed; 8 requests, 31 B saved\n", "4 failed: status 403 Forbidden: f1, f2, f3, …\n",
	} {
		if !strings.Contains(report, want) {
			t.Errorf("there is no %q in %q", want, report)
		}
	}
}

func TestCausesOfTheConnection(t *testing.T) {
	server := newOrigin(t, nil)
	server.Close()
	result := run(t, over(t, tracksOf(t, byID), to(t, fetch.Options{BaseURL: server.URL, Client: quick(t), Retry: retries(origin.NoRetries)})), nil, numbered(0, 20)...)
	if len(result.Causes) != 1 || result.Causes[0].Count != 20 || len(result.Causes[0].Keys) != 3 ||
		!strings.Contains(result.Causes[0].Text, strings.TrimPrefix(server.URL, "http://")) {
		t.Errorf("%q", result.Causes)
	}
}

func TestCausesAreBounded(t *testing.T) {
	mistakes := 0
	client := changed(t, func(*http.Request) error {
		mistakes++
		return origin.Permanent(errors.New(strings.Repeat("x", mistakes)))
	})
	result := run(t, over(t, tracksOf(t, byID), to(t, fetch.Options{BaseURL: "http://localhost", Client: client})), &prefetch.Options{
		Concurrency: 1,
	}, numbered(0, 100)...)
	n := 0
	for _, cause := range result.Causes {
		n += cause.Count
	}
	if last := result.Causes[len(result.Causes)-1]; len(result.Causes) != 21 || n != 100 || last.Text != "other causes" || last.Count != 80 {
		t.Errorf("%d causes of %d, the last %v", len(result.Causes), n, last)
	}
}

func TestRetryBudgetIsThatOfTheRun(t *testing.T) {
	server := newOrigin(t, status(http.StatusInternalServerError))
	client := to(t, fetch.Options{BaseURL: server.URL, Client: quick(t), Retry: retries(3)})
	for range 2 {
		before := server.total()
		result := run(t, over(t, tracksOf(t, byID), client), &prefetch.Options{RetryBudget: 5}, numbered(0, 20)...)
		if result.Failed != 20 || result.Requests != 25 || server.total()-before != 25 || !result.NoRetriesLeft {
			t.Errorf("%d failed after %d requests, no retries are left: %t", result.Failed, result.Requests, result.NoRetriesLeft)
		}
		if report := result.Report(); !strings.HasSuffix(report, "\nthe budget of retries is used up\n") {
			t.Errorf("the report is %q", report)
		}
	}
	result := run(t, over(t, tracksOf(t, byID), client), &prefetch.Options{RetryBudget: 3}, "a")
	if result.Requests != 4 || result.NoRetriesLeft || strings.Contains(result.Report(), "budget") {
		t.Errorf("one key: %q", result.Report())
	}
	// Without one of its own, a run has that of its context.
	ctx := origin.WithRetryBudget(t.Context(), origin.NewRetryBudget(2))
	result, err := prefetch.Run(ctx, over(t, tracksOf(t, byID), client), slices.Values(numbered(0, 5)), nil)
	if err != nil || result.Requests != 7 {
		t.Errorf("%d requests, %v", result.Requests, err)
	}
}

func TestAClosedClientEndsTheRun(t *testing.T) {
	client := to(t, fetch.Options{BaseURL: "http://localhost"})
	client.Close()
	result, err := prefetch.Run(t.Context(), over(t, tracksOf(t, byID), client), slices.Values(numbered(0, 5)), nil)
	if !errors.Is(err, fetch.ErrClosed) || len(result.Items) != 0 {
		t.Errorf("%v, %v", result, err)
	}
}

func TestLogger(t *testing.T) {
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(10 * time.Millisecond)
		if path.Base(r.URL.Path) == "t000000" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		serveTrack(w, r)
	})
	var out bytes.Buffer
	client := to(t, fetch.Options{BaseURL: server.URL})
	opts := &prefetch.Options{
		Concurrency: 1, Total: 40,
		Logger: slog.New(slog.NewJSONHandler(&out, nil)), LogEvery: 100 * time.Millisecond,
	}
	result := run(t, over(t, tracksOf(t, byID), client), opts, numbered(0, 40)...)
	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	if most := int(result.Elapsed/opts.LogEvery) + 2; len(lines) < 2 || len(lines) > most {
		t.Fatalf("%d lines in %v: %s", len(lines), result.Elapsed, &out)
	}
	var last struct {
		Level, Msg, Repository                         string
		Done, Total, Cached, Fetched, Failed, Requests int
		Rate                                           float64
		Elapsed                                        time.Duration
	}
	if err := json.Unmarshal(lines[len(lines)-1], &last); err != nil {
		t.Fatal(err)
	}
	if last.Level != "WARN" || last.Repository != "tracks" || last.Done != 40 || last.Total != 40 || last.Fetched != 39 || last.Failed != 1 ||
		last.Requests != 40 || last.Rate <= 0 || last.Elapsed <= 0 {
		t.Errorf("the last line is %+v", last)
	}
	if !bytes.Contains(lines[0], []byte(`"msg":"prefetch goes on"`)) || !bytes.Contains(lines[0], []byte(`"in_flight":`)) {
		t.Errorf("the first line is %s", lines[0])
	}

	out.Reset()
	opts.LogEvery = 0
	run(t, over(t, tracksOf(t, byID), client), opts, "a")
	if strings.Count(out.String(), "\n") != 1 || !strings.Contains(out.String(), `"level":"INFO"`) {
		t.Errorf("a short run logs %s", &out)
	}
}
