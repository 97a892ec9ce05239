package prove

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// server answers from a document.
type server struct {
	document *Document

	mu       sync.Mutex
	requests int
	problems []string
	asked    map[string]int // in a walk: the requests of each operation
	walking  bool
}

// NextURL stands in a body for the URL of the next page.
const NextURL = "/the-next-page"

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests++
	op := s.document.find(r.URL.EscapedPath())
	if op == nil {
		s.problems = append(s.problems, "the document has no "+r.URL.EscapedPath())
		s.mu.Unlock()
		http.Error(w, "no such operation", http.StatusBadRequest)
		return
	}
	body := op.Body
	if s.walking {
		s.asked[op.Path]++
		body = op.Full
		if s.asked[op.Path] > 1 {
			body = op.Last
		} else if next := nextOf(op, r.URL); next != "" {
			w.Header().Set("Link", fmt.Sprintf("<http://%s%s>; rel=\"next\"", r.Host, next))
			body = bytes.ReplaceAll(body, []byte(NextURL), []byte(next))
		}
	}
	s.mu.Unlock()
	if op.ContentType != "" {
		w.Header().Set("Content-Type", op.ContentType)
	}
	w.WriteHeader(op.Status)
	_, _ = w.Write(body) // #nosec G705 -- the client is the test's own; if it has gone, it does not matter
}

// taken returns how many requests there were since it was called last, and what was wrong with
// them.
func (s *server) taken() (requests int, problems []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	requests, problems = s.requests, s.problems
	s.requests, s.problems = 0, nil
	return requests, problems
}

// walk makes the first answer of each operation lead to a second one, which is the last.
func (s *server) walk() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.walking, s.asked = true, make(map[string]int)
}

// nextOf is the URL of the page after one, where a parameter of the operation can tell.
func nextOf(op *Operation, page *url.URL) string {
	for _, name := range []string{"page", "since", "cursor", "after"} {
		if slices.Contains(op.Query, name) {
			query := page.Query()
			query.Set(name, "2")
			if name == "since" && strings.Contains(string(op.Full), "gist") {
				query.Set(name, "2020-01-01T00:00:00Z")
			}
			return page.EscapedPath() + "?" + query.Encode()
		}
	}
	return ""
}
