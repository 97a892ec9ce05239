package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// conn is a connection that a call has for itself. Statements run below pgx's
// own interface, which looks at the type of each value.
type conn struct {
	*pgx.Conn
	prepare bool
}

// statement is the text of a statement and the name under which it is prepared.
// One without a name is planned each time: what is best depends on how many keys
// there are, and on how large the table has become since.
type statement struct{ name, text string }

// query runs s and calls each for every row, which is valid during that call,
// until it returns an error. It returns how many rows the statement has selected
// or changed.
func (c *conn) query(ctx context.Context, s *statement, args *arguments, each func(row [][]byte) error) (int, error) {
	result, p, err := c.start(ctx, s, args)
	if err != nil {
		return 0, err
	}
	defer func() { _, _ = result.Close() }() // also if each panics
	for result.NextRow() {
		if err := each(result.Values()); err != nil {
			return 0, err
		}
	}
	tag, err := result.Close()
	if p != nil && err == nil {
		p.ran()
	}
	return int(tag.RowsAffected()), err
}

func (c *conn) start(ctx context.Context, s *statement, args *arguments) (*pgconn.ResultReader, *plan, error) {
	if !c.prepare || s.name == "" {
		return c.PgConn().ExecParams(ctx, s.text, args.values, nil, binaryFormat, binaryFormat), nil, nil
	}
	prepared, p, err := c.prepared(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	p.start = time.Now()
	return c.PgConn().ExecStatement(ctx, prepared, args.values, binaryFormat, binaryFormat), p, nil
}

// prepared prepares a statement, once, or anew where its plan has become slow.
func (c *conn) prepared(ctx context.Context, s *statement) (*pgconn.StatementDescription, *plan, error) {
	p := c.plan(s)
	if p.slow {
		if err := c.Deallocate(ctx, s.name); err != nil {
			return nil, nil, err
		}
		*p = plan{since: time.Now()}
	}
	prepared, err := c.Prepare(ctx, s.name, s.text)
	return prepared, p, err
}

// plan is what is known of a prepared statement's plan. The server keeps one that was
// good for a small table while that grows, until it gathers statistics again: a
// minute as a rule, and for ever where nobody does. So a statement that has become
// much slower is prepared anew.
type plan struct {
	since, start time.Time     // when it was prepared, and last run
	best         time.Duration // of a run
	slow         bool
}

const (
	minPlanAge = 2 * time.Second  // how long a plan is kept in any case
	slowRun    = time.Millisecond // what is quicker is not slow
	slowFactor = 8                // times the best
)

// plans is where a connection keeps them, by the names of the statements.
const plans = "endpointcache plans"

func (c *conn) plan(s *statement) *plan {
	data := c.PgConn().CustomData()
	all, ok := data[plans].(map[string]*plan)
	if !ok {
		all = make(map[string]*plan)
		data[plans] = all
	}
	p := all[s.name]
	if p == nil {
		p = &plan{since: time.Now()}
		all[s.name] = p
	}
	return p
}

func (p *plan) ran() {
	took := time.Since(p.start)
	if p.best == 0 || took < p.best {
		p.best = took
	}
	p.slow = took > slowRun && took > slowFactor*p.best && p.start.Sub(p.since) > minPlanAge
}

func noRow([][]byte) error { return nil }

// exec runs a statement that answers with no rows.
func (c *conn) exec(ctx context.Context, s *statement, args *arguments) (int, error) {
	return c.query(ctx, s, args, noRow)
}

// transaction is a number of statements that are all done, or none of them. They
// are sent without waiting for one another.
type transaction struct {
	conn     *conn
	pipeline *pgconn.Pipeline
	prepared map[*statement]*pgconn.StatementDescription
	each     []func(row [][]byte) error // for the rows of each statement
}

// atOnce sends the statements that send adds as one transaction and returns how
// many rows they have changed. The server may be working on the first ones while
// others are being made. Those that are to be prepared are given beforehand.
func (c *conn) atOnce(ctx context.Context, statements []*statement, send func(*transaction) error) (int, error) {
	t := &transaction{conn: c}
	var plans []*plan
	if c.prepare {
		t.prepared = make(map[*statement]*pgconn.StatementDescription)
		for _, s := range statements {
			if s.name == "" {
				continue
			}
			prepared, p, err := c.prepared(ctx, s)
			if err != nil {
				return 0, err
			}
			t.prepared[s], plans = prepared, append(plans, p)
		}
	}
	start := time.Now()
	t.pipeline = c.PgConn().StartPipeline(ctx)
	err := send(t)
	if err == nil {
		err = t.pipeline.Sync()
	}
	if err != nil {
		// Without its end the transaction is undone.
		return 0, errors.Join(err, c.PgConn().Close(ctx))
	}
	affected := 0
	for next := 0; ; {
		result, err := t.pipeline.GetResults()
		if err != nil {
			return 0, errors.Join(err, ignore(t.pipeline.Close()))
		}
		switch result := result.(type) {
		case *pgconn.ResultReader:
			for err == nil && result.NextRow() {
				err = t.each[next](result.Values())
			}
			next++
			tag, closeErr := result.Close()
			if err = cmp.Or(err, closeErr); err != nil {
				return 0, errors.Join(err, ignore(t.pipeline.Close()))
			}
			if !tag.Select() {
				affected += int(tag.RowsAffected())
			}
		case *pgconn.PipelineSync:
			if next == len(plans) { // each was run once
				for _, p := range plans {
					p.start = start
					p.ran()
				}
			}
			return affected, t.pipeline.Close()
		}
	}
}

// ignore is for the error of a close after another error, which it repeats.
func ignore(error) error { return nil }

// add sends a statement whose rows nobody wants.
func (t *transaction) add(s *statement, args *arguments) error { return t.read(s, args, noRow) }

// read sends a statement. Each of its rows is valid while each is called with it.
func (t *transaction) read(s *statement, args *arguments, each func(row [][]byte) error) error {
	t.each = append(t.each, each)
	if prepared := t.prepared[s]; prepared != nil {
		t.pipeline.SendQueryStatement(prepared, args.values, binaryFormat, binaryFormat)
	} else {
		t.pipeline.SendQueryParams(s.text, args.values, nil, binaryFormat, binaryFormat)
	}
	return t.pipeline.Flush()
}

// texts runs a statement with values as text and returns its rows.
func (c *conn) texts(ctx context.Context, text string, args ...string) ([][]string, error) {
	values := make([][]byte, len(args))
	for i, arg := range args {
		values[i] = []byte(arg)
	}
	result := c.PgConn().ExecParams(ctx, text, values, nil, nil, nil)
	var rows [][]string
	for result.NextRow() {
		var row []string
		for _, value := range result.Values() {
			row = append(row, string(value))
		}
		rows = append(rows, row)
	}
	_, err := result.Close()
	return rows, err
}

// text is texts for a statement that answers with one row.
func (c *conn) text(ctx context.Context, text string, args ...string) ([]string, error) {
	rows, err := c.texts(ctx, text, args...)
	if err == nil && len(rows) != 1 {
		err = fmt.Errorf("%d rows, want 1", len(rows))
	}
	if err != nil {
		return nil, err
	}
	return rows[0], nil
}
