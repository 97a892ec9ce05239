package endpoint

import "testing"

// ranked is an endpoint that tells how specific it is and covers all.
type ranked struct {
	specificity Specificity
	more        any
}

func (r ranked) Specificity() Specificity { return r.specificity }
func (ranked) Covers(any) bool            { return true }

// silent is one that tells nothing.
type silent struct{ more any }

func TestWhatHidesAnotherEndpointIsTheSameOrAsSpecificAndCoversIt(t *testing.T) {
	for name, test := range map[string]struct {
		first, second any
		want          bool
	}{
		"none":                   {nil, nil, false},
		"one of two":             {&silent{}, nil, false},
		"the same":               {silent{1}, silent{1}, true},
		"another":                {&silent{1}, &silent{1}, false},
		"what has no equality":   {silent{[]int{1}}, silent{[]int{1}}, false},
		"as specific":            {ranked{Specificity{1}, 1}, ranked{Specificity{1}, 2}, true},
		"more specific":          {ranked{Specificity{2}, 1}, ranked{Specificity{1}, 2}, false},
		"less specific":          {ranked{Specificity{1}, 1}, ranked{Specificity{2}, 2}, false},
		"one that tells no more": {silent{1}, ranked{Specificity{}, 2}, false},
	} {
		if got := Hides(test.first, test.second); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
