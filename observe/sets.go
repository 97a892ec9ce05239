package observe

import (
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// sets are sets of attributes by what they are made of. There are few of them, and making one
// costs more than counting: each is made once. Many goroutines may use them at once.
type sets[K comparable] struct {
	own  []attribute.KeyValue
	make func(K) []attribute.KeyValue

	mu   sync.RWMutex
	made map[K]set
}

// set is a set of attributes as instruments take it.
type set struct {
	attributes attribute.Set
	add        []metric.AddOption
	record     []metric.RecordOption
}

func (s *sets[K]) init(own []attribute.KeyValue, make func(K) []attribute.KeyValue) {
	s.own, s.make, s.made = own, make, map[K]set{}
}

func (s *sets[K]) of(labels K) set {
	s.mu.RLock()
	known, ok := s.made[labels]
	s.mu.RUnlock()
	if ok {
		return known
	}
	attributes := attribute.NewSet(append(s.make(labels), s.own...)...)
	option := metric.WithAttributeSet(attributes)
	known = set{attributes, []metric.AddOption{option}, []metric.RecordOption{option}}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made[labels] = known
	return known
}
