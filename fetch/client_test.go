package fetch_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/fetch"
	polite "github.com/endpointcache/endpointcache/origin"
)

// The default client keeps to limits, which its timeout does not count.
func TestDefaultClient(t *testing.T) {
	t.Parallel() // it waits
	o := newOrigin(t, nil)
	client, err := fetch.NewClient(&fetch.Options{
		BaseURL: o.URL,
		Origin:  &polite.Options{Limits: polite.Limits{Rate: 2}},
		Timeout: 2 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	source := sourceOf(t, client, settingsOf(byID, nil))
	start := time.Now()
	var callers sync.WaitGroup
	for range 6 {
		callers.Go(func() {
			source.Fetch(t.Context(), []string{"a"}, func(_ int, a fetch.Answer) {
				if a.Err != nil {
					t.Error(a.Err)
				}
			})
		})
	}
	callers.Wait()
	if d := time.Since(start); d < 2*time.Second || o.total() != 6 {
		t.Errorf("%d requests in %v, at 2 in a second", o.total(), d)
	}
}

func TestCredentials(t *testing.T) {
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer 2" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		serve(w, r)
	})
	var tokens atomic.Int32
	client, err := fetch.NewClient(&fetch.Options{
		BaseURL: o.URL,
		Origin: &polite.Options{Credentials: &polite.Credentials{
			Hosts: []string{strings.TrimPrefix(o.URL, "http://")},
			Token: func(context.Context, string) (polite.Token, error) {
				return polite.Token{Value: strconv.Itoa(int(tokens.Add(1)))}, nil
			},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, a := range answers(t, sourceOf(t, client, settingsOf(byID, batchOf(2))), "a", "b", "c") {
		if a.Err != nil {
			t.Error(a.Err)
		}
	}
	if tokens.Load() != 2 || o.total() != 3 {
		t.Errorf("%d tokens for %d requests", tokens.Load(), o.total())
	}
}

func TestTransportOfTheCaller(t *testing.T) {
	o := newOrigin(t, nil)
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	shared := polite.New(base, nil)
	client, err := fetch.NewClient(&fetch.Options{BaseURL: o.URL + "/?x=1", Transport: shared})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	u := client.Base()
	if u.String() != o.URL+"/?x=1" {
		t.Errorf("Base is %s", u)
	}
	u.Host = "changed"
	if client.Base().Host == "changed" {
		t.Error("Base is not the caller's own")
	}
	client, err = fetch.NewClient(&fetch.Options{Transport: shared})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if client.Base() != nil {
		t.Errorf("Base is %s", client.Base())
	}
}
