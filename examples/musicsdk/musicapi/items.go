package musicapi

import (
	"fmt"
	"net/http"
	"strings"
)

func (s *Server) track(r *http.Request) (answer, error) {
	n, err := find(s.data.trackNumbers, r.PathValue("id"), r.FormValue("market"))
	if err != nil {
		return answer{}, err
	}
	return answer{value: s.data.track(n), maxAge: maxAge}, nil
}

func (s *Server) album(r *http.Request) (answer, error) {
	n, err := find(s.data.albumNumbers, r.PathValue("id"), r.FormValue("market"))
	if err != nil {
		return answer{}, err
	}
	return answer{value: s.data.album(n), maxAge: maxAge}, nil
}

func (s *Server) artist(r *http.Request) (answer, error) {
	n, err := find(s.data.artistNumbers, r.PathValue("id"), "")
	if err != nil {
		return answer{}, err
	}
	return answer{value: s.data.artist(n), maxAge: maxAge}, nil
}

// find returns the number of the item with that id.
func find(numbers map[string]int, id, market string) (int, error) {
	if !isID(id) {
		return 0, badRequest("malformed id")
	}
	n, ok := numbers[id]
	switch {
	case !ok:
		return 0, notFound("no such id")
	case !licensed(n, market):
		return 0, notFound("not licensed in this market")
	}
	return n, nil
}

// tracks answers in the order of the ids, with null for what it does not have.
func (s *Server) tracks(r *http.Request) (answer, error) {
	ids, err := batch(r)
	if err != nil {
		return answer{}, err
	}
	tracks := make([]*Track, len(ids))
	for i, id := range ids {
		if n, err := find(s.data.trackNumbers, id, r.FormValue("market")); err == nil {
			track := s.data.track(n)
			tracks[i] = &track
		}
	}
	return answer{value: map[string]any{"tracks": tracks}, maxAge: maxAge}, nil
}

// albums leaves out what it does not have, and the same album twice.
func (s *Server) albums(r *http.Request) (answer, error) {
	ids, err := batch(r)
	if err != nil {
		return answer{}, err
	}
	albums := []Album{}
	seen := make(map[string]bool, len(ids))
	for _, id := range ids {
		n, err := find(s.data.albumNumbers, id, r.FormValue("market"))
		if err == nil && !seen[id] {
			albums = append(albums, s.data.album(n))
			seen[id] = true
		}
	}
	return answer{value: map[string]any{"albums": albums}, maxAge: maxAge}, nil
}

// artists answers an object, by id.
func (s *Server) artists(r *http.Request) (answer, error) {
	ids, err := batch(r)
	if err != nil {
		return answer{}, err
	}
	artists := make(map[string]Artist, len(ids))
	for _, id := range ids {
		if n, err := find(s.data.artistNumbers, id, ""); err == nil {
			artists[id] = s.data.artist(n)
		}
	}
	return answer{value: map[string]any{"artists": artists}, maxAge: maxAge}, nil
}

// batch returns the ids of a request for many. One that is malformed has the whole
// request refused, as does one too many.
func batch(r *http.Request) ([]string, error) {
	ids := strings.Split(r.FormValue("ids"), ",")
	if len(ids) > MaxBatch {
		return nil, badRequest(fmt.Sprintf("%d ids, at most %d", len(ids), MaxBatch))
	}
	for _, id := range ids {
		if !isID(id) {
			return nil, badRequest("malformed id among ids")
		}
	}
	return ids, nil
}
