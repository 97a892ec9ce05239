package musicsdk

import "time"

// Track is a recording on an album.
type Track struct {
	ID         string `json:"id"`
	Title      string `json:"title"`
	Number     int    `json:"number"` // on its album, from 1
	DurationMS int    `json:"duration_ms"`
	Album      Ref    `json:"album"`
	Artists    []Ref  `json:"artists"`
}

// Duration is how long the track plays.
func (t Track) Duration() time.Duration { return time.Duration(t.DurationMS) * time.Millisecond }

// Album is an album without its tracks, which are a listing of their own.
type Album struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Released    string `json:"released"` // a date, as in 2026-01-31
	TotalTracks int    `json:"total_tracks"`
	Artists     []Ref  `json:"artists"`
}

// Artist is a band or a person.
type Artist struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Followers int      `json:"followers"`
	Genres    []string `json:"genres"`
}

// Ref refers to an album or artist.
type Ref struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// TrackPage is one answer of [AlbumTracks]. A track that is not licensed in the
// market is null.
type TrackPage struct {
	Items []*Track `json:"items"`
	Total int      `json:"total"`
	Next  string   `json:"next"` // the URL of the next page, or empty
}

// ReleasePage is one answer of [NewReleases].
type ReleasePage struct {
	Items   []Album `json:"items"`
	Cursors struct {
		After string `json:"after"` // of the next page, or empty
	} `json:"cursors"`
}
