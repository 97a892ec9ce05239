package musicapi

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// albumTracks is a listing by offset. A track that is not licensed has null in
// its place, so that the others keep theirs.
func (s *Server) albumTracks(r *http.Request) (answer, error) {
	market := r.FormValue("market")
	album, err := find(s.data.albumNumbers, r.PathValue("id"), market)
	if err != nil {
		return answer{}, err
	}
	limit, err := number(r, "limit", DefaultPage, 1, MaxPage)
	if err != nil {
		return answer{}, err
	}
	total := s.data.tracksPerAlbum
	offset, err := number(r, "offset", 0, 0, maxNumber)
	if err != nil {
		return answer{}, err
	}
	first, last := min(offset, total), min(offset+limit, total)
	page := offsetPage{Items: []*Track{}, Limit: limit, Offset: offset, Total: total}
	for i := first; i < last; i++ {
		n := album*total + i
		if !licensed(n, market) {
			page.Items = append(page.Items, nil)
			continue
		}
		track := s.data.track(n)
		page.Items = append(page.Items, &track)
	}
	if last < total {
		page.Next = location(r, "offset", strconv.Itoa(last))
	}
	if offset > 0 {
		page.Previous = location(r, "offset", strconv.Itoa(max(0, offset-limit)))
	}
	return answer{value: page, maxAge: listingMaxAge}, nil
}

// offsetPage has null instead of a URL where there is none.
type offsetPage struct {
	Items    []*Track `json:"items"`
	Limit    int      `json:"limit"`
	Offset   int      `json:"offset"`
	Total    int      `json:"total"`
	Next     *string  `json:"next"`
	Previous *string  `json:"previous"`
}

// artistAlbums is a listing by number of the page, of albums and nothing else:
// where the others are stands in the Link header.
func (s *Server) artistAlbums(r *http.Request) (answer, error) {
	artist, err := find(s.data.artistNumbers, r.PathValue("id"), "")
	if err != nil {
		return answer{}, err
	}
	limit, err := number(r, "limit", DefaultPage, 1, MaxPage)
	if err != nil {
		return answer{}, err
	}
	page, err := number(r, "page", 1, 1, maxNumber)
	if err != nil {
		return answer{}, err
	}
	all := slices.DeleteFunc(s.data.albumsOf(artist), func(n int) bool { return !licensed(n, r.FormValue("market")) })
	lastPage := max(1, (len(all)+limit-1)/limit)
	albums := []Album{}
	if page <= lastPage {
		for _, n := range all[(page-1)*limit : min(page*limit, len(all))] {
			albums = append(albums, s.data.album(n))
		}
	}
	a := answer{value: albums, maxAge: listingMaxAge}
	link := func(rel string, page int) {
		a.links = append(a.links, fmt.Sprintf(`<%s>; rel="%s"`, *location(r, "page", strconv.Itoa(page)), rel))
	}
	link("first", 1)
	if page > 1 {
		link("prev", min(page-1, lastPage))
	}
	if page < lastPage {
		link("next", page+1)
	}
	link("last", lastPage)
	return a, nil
}

// newReleases is a listing by cursor. What is not licensed is left out, so a page
// may have fewer items than the limit, and another after it.
func (s *Server) newReleases(r *http.Request) (answer, error) {
	limit, err := number(r, "limit", DefaultPage, 1, MaxPage)
	if err != nil {
		return answer{}, err
	}
	first, err := fromCursor(r.FormValue("cursor"), s.data.albums)
	if err != nil {
		return answer{}, err
	}
	last := min(first+limit, s.data.albums)
	page := cursorPage{Items: []Album{}}
	for n := first; n < last; n++ {
		if licensed(n, r.FormValue("market")) {
			page.Items = append(page.Items, s.data.album(n))
		}
	}
	if last < s.data.albums {
		page.Cursors.After = toCursor(last)
	}
	return answer{value: page, maxAge: listingMaxAge}, nil
}

type cursorPage struct {
	Items   []Album `json:"items"`
	Cursors struct {
		After string `json:"after,omitempty"`
	} `json:"cursors"`
}

// A cursor is where a page begins, which is nothing to its clients.
func toCursor(n int) string {
	return base64.RawURLEncoding.EncodeToString(strconv.AppendInt([]byte("after:"), int64(n), 10))
}

func fromCursor(cursor string, end int) (int, error) {
	if cursor == "" {
		return 0, nil
	}
	var n int
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		_, err = fmt.Sscanf(string(text), "after:%d", &n)
	}
	if err != nil || n < 0 || n > end {
		return 0, badRequest("malformed cursor")
	}
	return n, nil
}

// maxNumber keeps offsets and pages where they can be counted with.
const maxNumber = 1_000_000

// number reads a parameter that is a number.
func number(r *http.Request, name string, otherwise, least, most int) (int, error) {
	text := r.FormValue(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, badRequest(fmt.Sprintf("%s is not a number from %d to %d", name, least, most))
	}
	return n, nil
}

// location is the URL of the request with another value of a parameter.
func location(r *http.Request, name, value string) *string {
	query := r.URL.Query()
	query.Set(name, value)
	u := url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path, RawQuery: query.Encode()}
	if r.TLS != nil {
		u.Scheme = "https"
	}
	text := u.String()
	return &text
}
