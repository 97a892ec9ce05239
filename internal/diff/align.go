package diff

import (
	"cmp"
	"slices"
)

// span is from an index up to another.
type span struct{ begin, end int }

// gaps yields the parts of two lists that have no equal in the other, in order; one of the two may be empty.
func gaps(a, b []uint64, yield func(i, j span)) {
	var x, y int
	between := func(i, j int) {
		if x < i || y < j {
			yield(span{x, i}, span{y, j})
		}
		x, y = i+1, j+1
	}
	align(a, b, between)
	between(len(a), len(b))
}

// align yields pairs of equal elements in increasing order of both indexes: as many as there can be in short
// lists, in long ones at least those around what is there once.
func align(a, b []uint64, yield func(i, j int)) {
	aligner{a, b, yield}.align(span{0, len(a)}, span{0, len(b)}, 0)
}

type aligner struct {
	a, b  []uint64
	yield func(i, j int)
}

const (
	mostCells = 1 << 20 // of the table that finds the most pairs
	mostTurns = 20      // of a search within what a search has left
)

func (al aligner) align(i, j span, turn int) {
	for i.begin < i.end && j.begin < j.end && al.a[i.begin] == al.b[j.begin] {
		al.yield(i.begin, j.begin)
		i.begin++
		j.begin++
	}
	same := 0 // at the ends
	for i.begin < i.end-same && j.begin < j.end-same && al.a[i.end-same-1] == al.b[j.end-same-1] {
		same++
	}
	al.inner(span{i.begin, i.end - same}, span{j.begin, j.end - same}, turn)
	for k := same; k > 0; k-- {
		al.yield(i.end-k, j.end-k)
	}
}

// inner aligns what neither begins nor ends alike.
func (al aligner) inner(i, j span, turn int) {
	n, m := i.end-i.begin, j.end-j.begin
	switch {
	case n == 0 || m == 0:
	case m <= mostCells/n:
		al.most(i, j)
	case turn < mostTurns:
		x, y := i.begin, j.begin
		for _, p := range al.anchors(i, j) {
			al.align(span{x, p.begin}, span{y, p.end}, turn+1)
			al.yield(p.begin, p.end)
			x, y = p.begin+1, p.end+1
		}
		if x > i.begin { // else there are no anchors
			al.align(span{x, i.end}, span{y, j.end}, turn+1)
		}
	}
}

// most yields a longest common subsequence.
func (al aligner) most(i, j span) {
	a, b := al.a[i.begin:i.end], al.b[j.begin:j.end]
	width := len(b) + 1
	length := make([]int32, (len(a)+1)*width) // of the longest behind a pair of indexes
	for x := len(a) - 1; x >= 0; x-- {
		for y := len(b) - 1; y >= 0; y-- {
			if a[x] == b[y] {
				length[x*width+y] = length[(x+1)*width+y+1] + 1
			} else {
				length[x*width+y] = max(length[(x+1)*width+y], length[x*width+y+1])
			}
		}
	}
	for x, y := 0, 0; x < len(a) && y < len(b); {
		switch {
		case a[x] == b[y]:
			al.yield(i.begin+x, j.begin+y)
			x++
			y++
		case length[(x+1)*width+y] >= length[x*width+y+1]:
			x++
		default:
			y++
		}
	}
}

// anchors are pairs of elements that are there once in each part: the most that are in order, as patience diff has them. A
// pair is a span of the two indexes.
func (al aligner) anchors(i, j span) []span {
	type place struct{ a, b, inA, inB int }
	places := map[uint64]*place{}
	for x := i.begin; x < i.end; x++ {
		p := places[al.a[x]]
		if p == nil {
			p = &place{}
			places[al.a[x]] = p
		}
		p.a, p.inA = x, p.inA+1
	}
	for y := j.begin; y < j.end; y++ {
		if p := places[al.b[y]]; p != nil {
			p.b, p.inB = y, p.inB+1
		}
	}
	var pairs []span
	for _, p := range places {
		if p.inA == 1 && p.inB == 1 {
			pairs = append(pairs, span{p.a, p.b})
		}
	}
	slices.SortFunc(pairs, func(p, q span) int { return cmp.Compare(p.begin, q.begin) })
	return increasing(pairs)
}

// increasing is a longest subsequence whose second indexes increase.
func increasing(pairs []span) []span {
	var tops []int // of the subsequence of each length, the one that ends lowest
	before := make([]int, len(pairs))
	for k, p := range pairs {
		n, _ := slices.BinarySearchFunc(tops, p.end, func(top, end int) int { return cmp.Compare(pairs[top].end, end) })
		before[k] = -1
		if n > 0 {
			before[k] = tops[n-1]
		}
		if n == len(tops) {
			tops = append(tops, k)
		} else {
			tops[n] = k
		}
	}
	longest := make([]span, len(tops))
	if len(tops) > 0 {
		for k, n := tops[len(tops)-1], len(tops)-1; n >= 0; k, n = before[k], n-1 {
			longest[n] = pairs[k]
		}
	}
	return longest
}
