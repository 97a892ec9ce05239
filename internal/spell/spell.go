// Package spell keeps what is found again and again from being told as often: the first of its
// kind is told at once, and then all that is found in a minute together.
package spell

import (
	"sync"
	"time"
)

// Every is how often a kind is told, at most.
const Every = time.Minute

// Spells are what was found, by kind. Many goroutines may use them at once, once Tell is set.
type Spells[K comparable] struct {
	// Tell is called with how many were found since it was called last, by one goroutine at a
	// time.
	Tell func(kind K, n int)

	mu    sync.Mutex
	kinds map[K]*spell
}

type spell struct {
	told time.Time
	n    int
}

// Found counts n of a kind, found at an instant.
func (s *Spells[K]) Found(kind K, n int, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kinds == nil {
		s.kinds = make(map[K]*spell)
	}
	of := s.kinds[kind]
	if of == nil {
		of = &spell{}
		s.kinds[kind] = of
	}
	of.n += n
	if of.told.IsZero() || now.Sub(of.told).Abs() >= Every {
		of.told = now
		s.tell(kind, of)
	}
}

// TellAll tells what was not told yet.
func (s *Spells[K]) TellAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for kind, of := range s.kinds {
		if of.n > 0 {
			s.tell(kind, of)
		}
	}
}

// tell is called with the lock held.
func (s *Spells[K]) tell(kind K, of *spell) {
	s.Tell(kind, of.n)
	of.n = 0
}
