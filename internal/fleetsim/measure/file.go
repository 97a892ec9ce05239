package measure

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/endpointcache/endpointcache/internal/fleetsim/model"
	"github.com/endpointcache/endpointcache/internal/fleetsim/simulation"
)

// File is what was measured, and when.
type File struct {
	Date   string                  `json:"date"`
	Cores  int                     `json:"cores"` // of the machine, which the servers and the client share
	Memory simulation.Distribution `json:"memory_get_us"`
	Stores map[string]*Store       `json:"stores"` // by their kind
}

// Store is what was measured of one.
type Store struct {
	model.Costs
	GetMany model.Cost `json:"get_100"` // a bulk get of 100 entries, for comparison: no process of the model makes one
}

// Parse reads the text of a file.
func Parse(text []byte) (*File, error) {
	f := &File{}
	if err := json.Unmarshal(text, f); err != nil {
		return nil, fmt.Errorf("the costs: %w", err)
	}
	return f, nil
}

// Costs are those of a process that uses the store of that kind.
func (f *File) Costs(kind string) (model.Costs, error) {
	s := f.Stores[kind]
	if s == nil {
		return model.Costs{}, fmt.Errorf("there are costs of %v, and not of a store %q", slices.Sorted(maps.Keys(f.Stores)), kind)
	}
	costs := s.Costs
	costs.Memory = f.Memory
	return costs, nil
}

// Text is the file's.
func (f *File) Text() ([]byte, error) {
	text, err := json.MarshalIndent(f, "", "\t")
	return append(text, '\n'), err
}
