// Package tracks has a payload type of the user's own, for the tests.
package tracks

// Track is a track.
type Track struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}
