// Package layer gives a table that stands before another one the abilities of that.
package layer

import (
	"context"

	"github.com/endpointcache/endpointcache/driver"
)

// PutIf is the method of a [driver.Table], or PutIfKept of a [driver.KeepingTable].
type PutIf = func(context.Context, []driver.Entry, driver.Condition) ([]bool, error)

// Like returns t as a [driver.PromptTable] if below is one, and as a [driver.KeepingTable] if
// below is one: kept makes the PutIfKept of t out of that of below. It is a [driver.NearTable]
// if both are; of what is near, nothing is kept as it is given.
func Like(t, below driver.Table, kept func(below PutIf) PutIf) driver.Table {
	_, isPrompt := below.(driver.PromptTable)
	keeper, keeps := below.(driver.KeepingTable)
	_, isNear := below.(driver.NearTable)
	nearer, hasNear := t.(driver.NearTable)
	switch {
	case isNear && hasNear && isPrompt:
		return promptNear{nearer}
	case isNear && hasNear:
		return near{nearer}
	case isPrompt && keeps:
		return promptKeeping{keeping{t, kept(keeper.PutIfKept)}}
	case isPrompt:
		return prompt{t}
	case keeps:
		return keeping{t, kept(keeper.PutIfKept)}
	case hasNear:
		return plain{t}
	default:
		return t
	}
}

// plain has no ability of t.
type plain struct{ driver.Table }

type prompt struct{ driver.Table }

// GetsPromptly implements [driver.PromptTable].
func (prompt) GetsPromptly() {}

// near has no other ability of t than that one.
type near struct{ driver.NearTable }

type promptNear struct{ driver.NearTable }

// GetsPromptly implements [driver.PromptTable].
func (promptNear) GetsPromptly() {}

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
