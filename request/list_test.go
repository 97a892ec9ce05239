package request_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/request"
)

func TestJoinList(t *testing.T) {
	tests := []struct {
		values []string
		want   string
	}{
		{nil, ""},
		{[]string{""}, `\e`},
		{[]string{"", ""}, `\e,\e`},
		{[]string{"a", "b"}, "a,b"},
		{[]string{"a,b"}, `a\,b`},
		{[]string{`a\`, "b"}, `a\\,b`},
		{[]string{`\e`, "", "e"}, `\\e,\e,e`},
		{[]string{"é\xff"}, "é\xff"},
	}
	for _, tt := range tests {
		got := request.JoinList(tt.values...)
		if got != tt.want {
			t.Errorf("JoinList(%q) = %q, want %q", tt.values, got, tt.want)
		}
		values, err := request.SplitList(got)
		if err != nil {
			t.Errorf("SplitList(%q): %v", got, err)
		}
		if diff := cmp.Diff(tt.values, values); diff != "" {
			t.Errorf("SplitList(%q): -want +got\n%s", got, diff)
		}
	}
}

func TestSplitListRefusesTextThatJoinListDoesNotMake(t *testing.T) {
	for _, text := range []string{",", "a,", ",a", "a,,b", `\`, `a\`, `\x`, `a\e`, `\ea`, `\e\e`} {
		if values, err := request.SplitList(text); err == nil {
			t.Errorf("SplitList(%q) = %q, want an error", text, values)
		}
	}
}

func FuzzList(f *testing.F) {
	f.Add("a,b", `\`, "")
	f.Fuzz(func(t *testing.T, text, a, b string) {
		if values, err := request.SplitList(text); err == nil && request.JoinList(values...) != text {
			t.Errorf("SplitList(%q) = %q, which JoinList makes %q", text, values, request.JoinList(values...))
		}
		want := []string{a, b, text}
		got, err := request.SplitList(request.JoinList(want...))
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("%q came back as %q, %v", want, got, err)
		}
	})
}
