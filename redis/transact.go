package redis

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/endpointcache/endpointcache/internal/parallel"
)

// transaction returns the commands of one transaction, which are of one bucket. They are
// made anew for each try: a client takes them to pieces.
type transaction func() rueidis.Commands

// once and repeatable tell whether work may be done again of which it is not known
// whether the server has done it.
const (
	once       = false
	repeatable = true
)

// transact does transactions and returns the answers of their commands, or nil for those
// that were not done, of which one has the error. On one server all are sent at once, on a
// cluster each to its own, at the same time.
func (s *Store) transact(ctx context.Context, repeatable bool, all []transaction) ([][]rueidis.RedisMessage, error) {
	answers := make([][]rueidis.RedisMessage, len(all))
	if !s.cluster {
		return answers, s.send(ctx, repeatable, all, answers)
	}
	return answers, parallel.Do(len(all), func(i int) error {
		return s.send(ctx, repeatable, all[i:i+1], answers[i:i+1])
	})
}

func (s *Store) send(ctx context.Context, repeatable bool, all []transaction, answers [][]rueidis.RedisMessage) error {
	return persist(ctx, repeatable, func() (err error) {
		var commands rueidis.Commands
		ends := make([]int, len(all))
		for i, t := range all {
			if answers[i] == nil {
				commands = append(commands, t()...)
			}
			ends[i] = len(commands)
		}
		results, from := s.client.DoMulti(ctx, commands...), 0
		for i, end := range ends {
			if from < end {
				var failed error
				answers[i], failed = executed(results[from:end])
				err = cmp.Or(err, failed)
			}
			from = end
		}
		return err
	})
}

// begin begins a transaction. A client of a cluster tells its slot by the commands that
// follow. One of a single server sends what has no slot on its first connection, and
// anything else on any.
func (s *Store) begin(repeatable bool) rueidis.Completed {
	multi := resendable(s.client.B().Multi().Build())
	if s.cluster || !repeatable {
		return multi
	}
	return multi.SetSlot("any")
}

// executed returns the answers of one transaction from the results of MULTI, its
// commands, and EXEC. Where there is none, what a command was refused for tells more
// than the answer of EXEC, which is that one was.
func executed(results []rueidis.RedisResult) ([]rueidis.RedisMessage, error) {
	last := len(results) - 1
	for _, r := range results[:last] {
		if err := r.Error(); err != nil {
			return nil, err
		}
	}
	answers, err := results[last].ToArray()
	if err != nil {
		return nil, err
	}
	for i := range answers {
		if err := answers[i].Error(); err != nil && !rueidis.IsRedisNil(err) {
			return nil, err
		}
	}
	return answers, nil
}

// persist does again what the server has refused as a whole because it cannot do it yet:
// while it starts, or while a slot of a cluster moves. What is repeatable is done again
// also where the connection is lost, or its transaction was. rueidis, which does so with
// single commands, would send only the end of a transaction.
func persist(ctx context.Context, repeatable bool, do func() error) error {
	for attempts := 1; ; attempts++ {
		err := do()
		delay := retryDelay(attempts, rueidis.Completed{}, err)
		if err == nil || ctx.Err() != nil || delay < 0 {
			return err
		}
		if again := refused(err) || repeatable && (lost(err) || halved(err)); !again {
			return err
		}
		timer := time.NewTimer(delay)
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
	}
}

// refused reports whether the server has done nothing, and might do it later.
func refused(err error) bool {
	answer, ok := rueidis.IsRedisErr(err)
	if !ok {
		return false
	}
	for _, word := range []string{"TRYAGAIN", "CLUSTERDOWN", "LOADING", "EXECABORT"} {
		if beginsWith(answer, word) {
			return true
		}
	}
	return false
}

// halved reports whether the end of a transaction came to a node that had not got its
// beginning, as when a slot moves in between: some of its commands may have been done.
func halved(err error) bool {
	answer, ok := rueidis.IsRedisErr(err)
	return ok && beginsWith(answer, "EXEC without MULTI")
}

// lost reports whether there was no answer.
func lost(err error) bool {
	var answer *rueidis.RedisError
	return !errors.As(err, &answer) && !errors.Is(err, rueidis.ErrClosing)
}

func beginsWith(answer *rueidis.RedisError, word string) bool {
	return strings.HasPrefix(answer.Error(), word)
}

// resendable is a command that the client may send again by itself when a connection is
// lost. Were it not pinned, rueidis would give its memory to the next command after an
// answer to the second sending, though the first connection may still be writing it.
func resendable(command rueidis.Completed) rueidis.Completed { return command.Pin() }
