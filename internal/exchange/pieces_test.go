package exchange

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"testing"
	"testing/iotest"
)

// lengths are those of bodies up to a limit, and about the places where parts begin.
func lengths(limit int64) []int64 {
	all := []int64{0, 1, endPart, smallestPart, largestPart, believed}
	for n := int64(1); n <= limit; n = n*3/2 + 1 {
		all = append(all, n)
	}
	for _, n := range []int64{limit / 32 * 15, limit / 2, limit} {
		all = append(all, n-1, n, n+1)
	}
	return all
}

// bounded is a context with a share of so many bytes. With more, it fails.
func bounded(t *testing.T, bytes int64) (context.Context, *budget) {
	g := &budget{limit: bytes, through: &Share{}}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	return &sharing{ended, &Share{budget: g}, nil}, g
}

func TestABodyIsWholeWhateverItAnnounces(t *testing.T) {
	for _, limit := range []int64{1, 20, 5_000, 100_000, 3 << 20} {
		for _, length := range lengths(limit) {
			if length < 0 || length > limit+1 {
				continue
			}
			content := make([]byte, length)
			for i := range content {
				content[i] = byte(i ^ i>>8)
			}
			for _, announced := range []int64{-1, 0, length, length / 2, length / 3 * 2, min(length+100, limit)} {
				for name, r := range map[string]io.Reader{
					"at once": bytes.NewReader(content), "in halves": iotest.HalfReader(bytes.NewReader(content)),
					"with its end": iotest.DataErrReader(bytes.NewReader(content)),
				} {
					what := fmt.Sprintf("%d bytes of %d that announce %d, %s", length, limit, announced, name)
					got, err := ReadBody(t.Context(), r, announced, limit)
					switch {
					case length > limit && !errors.Is(err, ErrTooLarge):
						t.Errorf("%s: %v", what, err)
					case length <= limit && (err != nil || !bytes.Equal(got, content)):
						t.Fatalf("%s: %d bytes, %v", what, len(got), err)
					}
				}
			}
		}
	}
}

// An origin that announces much and sends little has little memory taken.
func TestAnAnnouncedLengthIsNotBelievedWithoutLimit(t *testing.T) {
	for _, sent := range []int64{0, 1, 1 << 10, 1 << 20, 3 << 20} {
		ctx, g := bounded(t, max(believed, 66*sent))
		r := io.MultiReader(bytes.NewReader(make([]byte, sent)), iotest.ErrReader(io.ErrUnexpectedEOF))
		if _, err := ReadBody(ctx, r, 1<<40, 1<<40); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes take %d: %v", sent, g.used, err)
		}
	}
}

// What a body takes at its peak bounds the largest, and what it takes in all any other.
func TestABodyTakesLittleMoreMemoryThanItIsLong(t *testing.T) {
	const limit = 16 << 20
	content := make([]byte, limit)
	for _, length := range lengths(limit) {
		if length < 64<<10 || length > limit {
			continue
		}
		for _, announced := range []int64{-1, length} {
			ctx, g := bounded(t, largestShare(limit))
			r := bytes.NewReader(content[:length])
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := ReadBody(ctx, r, announced, limit)
			runtime.ReadMemStats(&after)
			if err != nil {
				t.Errorf("%d bytes that announce %d: %v", length, announced, err)
			}
			factor := 2.5
			switch {
			case announced == length:
				factor = 1.15
			case length > limit*7/16 && length < limit*5/8:
				factor = 3.2 // it must be prepared for the largest, or else take twice that in the end
			}
			if cost := float64(after.TotalAlloc-before.TotalAlloc) / float64(length); cost > factor {
				t.Errorf("%d bytes that announce %d cost %.2f times their size", length, announced, cost)
			}
			ShareOf(ctx).Release()
			if g.used != 0 {
				t.Errorf("%d bytes are counted afterwards", g.used)
			}
		}
	}
}

func TestTheLargestLimitsOverflowNothing(t *testing.T) {
	x, err := New(Options{Limits: Limits{MaxBody: math.MaxInt64}})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if x.MaxBody() <= 0 || x.budget.limit < x.MaxBody() {
		t.Errorf("bodies of %d, and %d beside", x.MaxBody(), x.budget.limit)
	}
}
