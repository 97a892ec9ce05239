// Package human writes durations, sizes and counts as people read them, so that the same one looks the same wherever
// this project shows it, and reads durations as people write them.
package human

import "strconv"

// Count is a number with separators: "1,234".
func Count[N int | int64](n N) string {
	text := strconv.FormatInt(int64(n), 10)
	for at := len(text) - 3; at > 0 && text[at-1] != '-'; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// Things is a number of things: "1 entry", "2 entries".
func Things[N int | int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Count(n) + " " + many
}

// Size is a number of bytes in the greatest unit that leaves one before the point: "1.2 MiB", "12 MiB", "266 B".
// A negative one is "0 B".
func Size(bytes int64) string {
	if bytes < 1024 {
		return strconv.FormatInt(max(bytes, 0), 10) + " B"
	}
	units := []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	size := float64(bytes) / 1024
	for size >= 1023.5 && len(units) > 1 { // what would be rounded to 1024
		size, units = size/1024, units[1:]
	}
	digits := 0
	if size < 9.95 {
		digits = 1
	}
	return strconv.FormatFloat(size, 'f', digits, 64) + " " + units[0]
}
