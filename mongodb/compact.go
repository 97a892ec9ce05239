package mongodb

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/endpointcache/endpointcache/driver"
)

var _ driver.Compactor = (*Store)(nil)

// Compact implements [driver.Compactor]. It has the server compact the collections, one after the other,
// see https://www.mongodb.com/docs/manual/reference/command/compact/: reads and writes go on
// meanwhile, on the primary of a replica set, too. The error wraps [errors.ErrUnsupported] where
// the server has no such command, or this user lacks the privilege compact.
func (s *Store) Compact(ctx context.Context) (freed int64, err error) {
	err = s.run(ctx, "compact", "", func() error {
		if s.opts.ReadOnly {
			return driver.ErrReadOnly
		}
		d := diagnosis{store: s}
		tables, err := d.tables(ctx)
		if err != nil {
			return err
		}
		for _, t := range tables {
			n, err := t.compact(ctx)
			freed += n
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return freed, nil
}

// unsupported are the codes of servers that compact nothing, or not for this user: unauthorized,
// command not found, command not supported, and that of a service that leaves it out.
var unsupported = []int{codeUnauthorized, 59, 115, 8000}

func (t *table) compact(ctx context.Context) (freed int64, err error) {
	command := bson.D{{Key: "compact", Value: t.docs.Name()}}
	if t.store.ferret == nil { // which would lock the collection
		command = append(command, bson.E{Key: "force", Value: true})
	}
	var answer struct {
		Freed float64 `bson:"bytesFreed"`
	}
	err = repeat(ctx, func() error { return t.store.db.RunCommand(ctx, command).Decode(&answer) })
	var refused mongo.CommandError
	switch {
	case !errors.As(err, &refused):
		return int64(answer.Freed), err
	case refused.HasErrorCode(codeNoCollection):
		return 0, nil // nothing has been saved, or it was dropped meanwhile
	case slices.ContainsFunc(unsupported, refused.HasErrorCode):
		return 0, fmt.Errorf("the server compacts nothing: %w: %w", errors.ErrUnsupported, err)
	}
	return 0, err
}

const codeNoCollection = 26
