package human

import (
	"math"
	"testing"
)

func TestCount(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1: "-1", -999: "-999", -1000: "-1,000", -123456: "-123,456",
		math.MaxInt64: "9,223,372,036,854,775,807", math.MinInt64: "-9,223,372,036,854,775,808",
	} {
		if got := Count(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
}

func TestThings(t *testing.T) {
	for n, want := range map[int]string{0: "0 entries", 1: "1 entry", 2: "2 entries", 1000: "1,000 entries", -1: "-1 entries"} {
		if got := Things(n, "entry", "entries"); got != want {
			t.Errorf("%d are %s, want %s", n, got, want)
		}
	}
}

func TestSize(t *testing.T) {
	for bytes, want := range map[int64]string{
		math.MinInt64: "0 B", -1: "0 B", 0: "0 B", 9: "9 B", 1023: "1023 B", 1024: "1.0 KiB", 1200: "1.2 KiB", 1536: "1.5 KiB",
		10_188: "9.9 KiB", 10_189: "10 KiB", 1023 << 10: "1023 KiB", 1023<<10 + 511: "1023 KiB", 1023<<10 + 512: "1.0 MiB", 5 << 20: "5.0 MiB",
		50 << 20: "50 MiB", 3 << 30: "3.0 GiB", 100 << 30: "100 GiB", 2 << 40: "2.0 TiB", 3 << 50: "3.0 PiB", 1 << 62: "4.0 EiB", math.MaxInt64: "8.0 EiB",
	} {
		if got := Size(bytes); got != want {
			t.Errorf("%d is %s, want %s", bytes, got, want)
		}
	}
}
