package inspector

import (
	"math"
	"math/bits"
	"time"
)

// histogram counts durations by their size: four classes for each power of two, so what it tells
// of them is wrong by a tenth at most.
type histogram struct {
	counts [classes]uint32
}

const (
	shortest = 10 // the first class ends at 2^10 ns, about a microsecond
	longest  = 37 // the last begins at 2^37 ns, about two minutes
	classes  = (longest-shortest)*4 + 1
)

func classOf(d time.Duration) int {
	n := uint64(max(d, 0))
	power := bits.Len64(n) - 1
	switch {
	case power < shortest:
		return 0
	case power >= longest:
		return classes - 1
	}
	quarter := int(n>>(power-2)) & 3
	return (power-shortest)*4 + quarter
}

func (h *histogram) add(d time.Duration) { h.counts[classOf(d)]++ }

func (h *histogram) merge(other *histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
}

// quantile is the duration that a share of those counted do not exceed, 0 where none is.
func (h *histogram) quantile(share float64) time.Duration {
	var total uint64
	for _, n := range h.counts {
		total += uint64(n)
	}
	if total == 0 {
		return 0
	}
	wanted := uint64(math.Ceil(share * float64(total)))
	var seen uint64
	for class, n := range h.counts {
		if seen += uint64(n); seen >= wanted {
			return middle(class)
		}
	}
	return middle(classes - 1)
}

// middle is the middle of a class.
func middle(class int) time.Duration {
	base := time.Duration(1) << (shortest + class/4)
	return base + base*time.Duration(2*(class%4)+1)/8
}
