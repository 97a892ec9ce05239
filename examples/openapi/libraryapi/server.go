// Package libraryapi is the API that library.yaml describes, as a server in memory, so that
// the examples have something to ask.
package libraryapi

import (
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Book is what the catalogue has of a book.
type Book struct {
	ISBN   string `json:"isbn"`
	Title  string `json:"title"`
	Author string `json:"author"`
	Copies int    `json:"copies"`
}

// Author has written some of the books.
type Author struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Loan is a book that a reader has borrowed.
type Loan struct {
	ID   int    `json:"id"`
	ISBN string `json:"isbn"`
	Due  string `json:"due"`
}

// Server is the API. Many requests may come at once.
type Server struct {
	mux *http.ServeMux

	mu      sync.Mutex
	log     []string
	books   []Book // the newest first
	authors []Author
	loans   map[string][]Loan // by the reader's token
}

// New returns a server with a few books. Any token is that of a reader.
func New() *Server {
	s := &Server{
		mux: http.NewServeMux(),
		books: []Book{
			{"9780141439587", "Emma", "austen", 2},
			{"9780141439518", "Pride and Prejudice", "austen", 3},
			{"9780141439556", "Wuthering Heights", "bronte", 1},
			{"9780141439662", "Sense and Sensibility", "austen", 1},
		},
		authors: []Author{{"austen", "Jane Austen"}, {"bronte", "Emily Brontë"}, {"eliot", "George Eliot"}},
		loans:   make(map[string][]Loan),
	}
	s.mux.HandleFunc("GET /v1/books/{isbn}", s.getBook)
	s.mux.HandleFunc("PUT /v1/books/{isbn}", s.putBook)
	s.mux.HandleFunc("GET /v1/books", s.getBooks)
	s.mux.HandleFunc("GET /v1/authors", s.listAuthors)
	s.mux.HandleFunc("GET /v1/authors/{author}/books", s.listBooksOfAuthor)
	s.mux.HandleFunc("POST /v1/search", s.searchBooks)
	s.mux.HandleFunc("GET /v1/loans", s.listLoans)
	s.mux.HandleFunc("POST /v1/loans", s.borrowBook)
	return s
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, r.Method+" "+r.URL.RequestURI())
	if r.Header.Get("Content-Encoding") == "gzip" { // as kiota sends bodies
		body, err := gzip.NewReader(r.Body)
		if err != nil {
			refuse(w, http.StatusBadRequest, err.Error())
			return
		}
		r.Body = body
	}
	s.mux.ServeHTTP(w, r)
}

// Requests returns the requests that have come since it was called last, in their order,
// such as "GET /v1/books/9780141439587".
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	log := s.log
	s.log = nil
	return log
}

func (s *Server) getBook(w http.ResponseWriter, r *http.Request) {
	i := s.index(r.PathValue("isbn"))
	if i < 0 {
		refuse(w, http.StatusNotFound, "no such book")
		return
	}
	answer(w, http.StatusOK, s.books[i])
}

func (s *Server) putBook(w http.ResponseWriter, r *http.Request) {
	if token(w, r) == "" {
		return
	}
	i := s.index(r.PathValue("isbn"))
	if i < 0 {
		refuse(w, http.StatusNotFound, "no such book")
		return
	}
	book := s.books[i]
	if err := json.NewDecoder(r.Body).Decode(&book); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	book.ISBN = s.books[i].ISBN
	s.books[i] = book
	answer(w, http.StatusOK, book)
}

func (s *Server) getBooks(w http.ResponseWriter, r *http.Request) {
	found := []Book{}
	for isbn := range strings.SplitSeq(r.URL.Query().Get("isbn"), ",") {
		if i := s.index(isbn); i >= 0 {
			found = append(found, s.books[i])
		}
	}
	answer(w, http.StatusOK, found)
}

func (s *Server) listAuthors(w http.ResponseWriter, r *http.Request) {
	page, size := number(r, "page", 1), number(r, "per_page", 30)
	start := min((page-1)*size, len(s.authors))
	end := min(start+size, len(s.authors))
	if end < len(s.authors) {
		next := url.Values{"page": {strconv.Itoa(page + 1)}, "per_page": {strconv.Itoa(size)}}
		w.Header().Set("Link", fmt.Sprintf("<http://%s/v1/authors?%s>; rel=\"next\"", r.Host, next.Encode()))
	}
	answer(w, http.StatusOK, s.authors[start:end])
}

// page is a part of a listing of books.
type page struct {
	Books []Book `json:"books"`
	Next  string `json:"next_cursor,omitempty"`
}

func (s *Server) listBooksOfAuthor(w http.ResponseWriter, r *http.Request) {
	author := r.PathValue("author")
	if !slices.ContainsFunc(s.authors, func(a Author) bool { return a.ID == author }) {
		refuse(w, http.StatusNotFound, "no such author")
		return
	}
	books := slices.DeleteFunc(slices.Clone(s.books), func(b Book) bool { return b.Author != author })
	if r.URL.Query().Get("sort") == "title" {
		slices.SortFunc(books, func(a, b Book) int { return cmp.Compare(a.Title, b.Title) })
	}
	start := 0
	if cursor := r.URL.Query().Get("cursor"); cursor != "" {
		start = slices.IndexFunc(books, func(b Book) bool { return b.ISBN == cursor })
		if start < 0 {
			refuse(w, http.StatusBadRequest, "no such cursor")
			return
		}
	}
	end := min(start+number(r, "limit", 10), len(books))
	p := page{Books: books[start:end]}
	if end < len(books) {
		p.Next = books[end].ISBN
	}
	answer(w, http.StatusOK, p)
}

func (s *Server) searchBooks(w http.ResponseWriter, r *http.Request) {
	var search struct{ Words, Author string }
	if err := json.NewDecoder(r.Body).Decode(&search); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	p := page{Books: []Book{}}
	for _, b := range s.books {
		if strings.Contains(strings.ToLower(b.Title), strings.ToLower(search.Words)) && (search.Author == "" || search.Author == b.Author) {
			p.Books = append(p.Books, b)
		}
	}
	answer(w, http.StatusOK, p)
}

func (s *Server) listLoans(w http.ResponseWriter, r *http.Request) {
	if reader := token(w, r); reader != "" {
		answer(w, http.StatusOK, append([]Loan{}, s.loans[reader]...))
	}
}

func (s *Server) borrowBook(w http.ResponseWriter, r *http.Request) {
	reader := token(w, r)
	if reader == "" {
		return
	}
	loan := Loan{ID: len(s.loans[reader]) + 1, Due: "2030-01-31"}
	if err := json.NewDecoder(r.Body).Decode(&loan); err != nil || s.index(loan.ISBN) < 0 {
		refuse(w, http.StatusBadRequest, "no such book")
		return
	}
	s.loans[reader] = append(s.loans[reader], loan)
	answer(w, http.StatusCreated, loan)
}

func (s *Server) index(isbn string) int {
	return slices.IndexFunc(s.books, func(b Book) bool { return b.ISBN == isbn })
}

// token returns who asks. Without one it has refused the request, and returns "".
func token(w http.ResponseWriter, r *http.Request) string {
	reader, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || reader == "" {
		refuse(w, http.StatusUnauthorized, "a token is needed")
		return ""
	}
	return reader
}

// number is a parameter of the query, or what it is where there is none.
func number(r *http.Request, name string, absent int) int {
	n, err := strconv.Atoi(r.URL.Query().Get(name))
	if err != nil || n < 1 {
		return absent
	}
	return n
}

func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // whoever asked has gone
}

func refuse(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]string{"message": message})
}
