package prefetch

import (
	"testing"
	"time"
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
