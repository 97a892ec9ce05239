package prefetch

import (
	"fmt"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

func TestPaceIsThatOfTheLastWhile(t *testing.T) {
	var p pace
	at := func(elapsed time.Duration, done int) float64 { return p.rate(&Progress{Elapsed: elapsed, Done: done}) }
	if rate := at(0, 0); rate != 0 {
		t.Errorf("at the beginning the rate is %v", rate)
	}
	// Much is cached, and then a key takes a second.
	if rate := at(100*time.Millisecond, 10_000); rate != 100_000 {
		t.Errorf("the rate is %v", rate)
	}
	for i := range 300 {
		elapsed := 100*time.Millisecond + time.Duration(i)*100*time.Millisecond
		rate := at(elapsed, 10_000+i/10)
		if i > 110 && (rate < 0.8 || rate > 1.2) {
			t.Fatalf("after %v the rate is %v", elapsed, rate)
		}
	}
	if len(p.marks) > 110 {
		t.Errorf("%d marks are kept", len(p.marks))
	}
}

func TestLeft(t *testing.T) {
	for _, test := range []struct {
		p    Progress
		want time.Duration
	}{
		{Progress{Done: 50, Total: 150, Rate: 10}, 10 * time.Second},
		{Progress{Done: 150, Total: 150, Rate: 10}, 0},
		{Progress{Done: 151, Total: 150}, 0},
		{Progress{Done: 50, Total: 150}, Unknown},
		{Progress{Done: 50, Rate: 10}, Unknown},
	} {
		if got := left(&test.p); got != test.want {
			t.Errorf("%+v: %v, want %v", test.p, got, test.want)
		}
	}
	if got := left(&Progress{Total: 1 << 30, Rate: 1e-9}); got <= 0 {
		t.Errorf("a very long time is %v", got)
	}
}

type pair struct {
	Group int `query:"group"`
	ID    int `path:"id"`
}

// What is held is bounded, however many groups there are.
func TestHolderSendsTheOldestWhenItHoldsTooMuch(t *testing.T) {
	client, err := fetch.NewClient(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	source, err := fetch.NewSource(client, settings.RepositorySettings[pair, []byte]{
		Name: "pairs", Payload: payload.Bytes(),
		Batch: request.BatchPattern[pair]("/pairs?ids={id}", 3, payload.SplitArray(""), nil),
	})
	if err != nil {
		t.Fatal(err)
	}
	requests := make(chan []job[pair], 3*heldKeys)
	h := newHolder(source, requests)
	add := func(group, id int) { h.add(job[pair]{key: pair{group, id}}) }
	for i := range heldKeys {
		add(i, 0)
	}
	if len(requests) != 0 || h.patience() == nil {
		t.Errorf("%d requests", len(requests))
	}
	add(0, 1)
	if jobs := <-requests; fmt.Sprint(keysOf(jobs)) != "[{0 0} {0 1}]" {
		t.Errorf("the first request is for %v", jobs)
	}
	add(1, 1)
	add(1, 2)
	if jobs := <-requests; fmt.Sprint(keysOf(jobs)) != "[{1 0} {1 1} {1 2}]" {
		t.Errorf("the second request is for %v", jobs)
	}
	h.flush()
	if len(requests) != heldKeys-2 || h.keys != 0 || len(h.groups) != 0 || h.patience() != nil {
		t.Errorf("%d requests, %d keys and %d groups are left", len(requests), h.keys, len(h.groups))
	}
}
