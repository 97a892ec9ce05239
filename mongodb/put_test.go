package mongodb

import (
	"context"
	"errors"
	"slices"
	"testing"

	"go.mongodb.org/mongo-driver/v2/mongo"
)

// Of a bulk write those are sent again that were not saved.
func TestOnlyWhatWasNotSavedIsSentAgain(t *testing.T) {
	models := []mongo.WriteModel{mongo.NewReplaceOneModel(), mongo.NewReplaceOneModel(), mongo.NewReplaceOneModel()}
	partly := mongo.BulkWriteException{WriteErrors: []mongo.BulkWriteError{{Request: models[0]}, {Request: models[2]}}}
	notEverywhere := partly
	notEverywhere.WriteConcernError = &mongo.WriteConcernError{}
	for _, tt := range []struct {
		name  string
		store *Store
		err   error
		want  []mongo.WriteModel
	}{
		{"two of three", &Store{}, partly, []mongo.WriteModel{models[0], models[2]}},
		{"two of three, on a server that stops at the first", &Store{ferret: newFerretDB()}, partly, models},
		{"an error of all", &Store{}, errors.New("lost"), models},
		{"two of three, and the others are not where they should be", &Store{}, notEverywhere, models},
		{"no error", &Store{}, nil, models},
	} {
		if got := tt.store.unsaved(models, tt.err); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %d are sent again, want %d", tt.name, len(got), len(tt.want))
		}
	}
}

func TestOnlyFerretDBIsWrittenOneAfterAnother(t *testing.T) {
	// inside reports whether a write can begin before another has ended.
	inside := func(s *Store) bool {
		begun := false
		_ = s.write(t.Context(), func() error {
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			return s.write(ended, func() error {
				begun = true
				return nil
			})
		})
		return begun
	}
	if !inside(&Store{}) {
		t.Error("MongoDB is written one command after another")
	}
	if inside(&Store{ferret: newFerretDB()}) {
		t.Error("FerretDB is written two commands at once")
	}
}
