// Package layer gives a table that stands before another one the abilities of that.
package layer

import (
	"context"

	"github.com/endpointcache/endpointcache/driver"
)

// PutIf is the method of a [driver.Table], or PutIfKept of a [driver.KeepingTable].
type PutIf = func(context.Context, []driver.Entry, driver.Condition) ([]bool, error)

// Like returns t as a [driver.PromptTable] if below is one, and as a [driver.KeepingTable] if
// below is one: kept makes the PutIfKept of t out of that of below.
func Like(t, below driver.Table, kept func(below PutIf) PutIf) driver.Table {
	_, isPrompt := below.(driver.PromptTable)
	keeper, keeps := below.(driver.KeepingTable)
	switch {
	case isPrompt && keeps:
		return promptKeeping{keeping{t, kept(keeper.PutIfKept)}}
	case isPrompt:
		return prompt{t}
	case keeps:
		return keeping{t, kept(keeper.PutIfKept)}
	default:
		return t
	}
}

type prompt struct{ driver.Table }

// GetsPromptly implements [driver.PromptTable].
func (prompt) GetsPromptly() {}

type keeping struct {
	driver.Table
	putIfKept PutIf
}

// PutIfKept implements [driver.KeepingTable].
func (t keeping) PutIfKept(ctx context.Context, entries []driver.Entry, c driver.Condition) ([]bool, error) {
	return t.putIfKept(ctx, entries, c)
}

type promptKeeping struct{ keeping }

// GetsPromptly implements [driver.PromptTable].
func (promptKeeping) GetsPromptly() {}
