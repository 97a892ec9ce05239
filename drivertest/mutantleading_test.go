package drivertest_test

import (
	"context"
	"errors"
	"iter"
	"regexp"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/driver"
)

// leading are mutants that do not keep to the leading values of a filter.
var leading = []mutant{
	{"counts whatever the key begins with", "Leading", "columns", forgetting("count")},
	{"clears whatever the key begins with", "Leading", "columns", forgetting("clear")},
	{"yields whatever the key begins with", "Leading", "columns", forgetting("iterate")},
	{"gets whatever the key begins with", "Leading", "a_get_visits", forgetting("get")},
	{"pops whatever the key begins with", "Leading", "a_pop", forgetting("pop")},
	{"selects all states of those that begin so", "Leading", "state", filterOf(func(op string, f *driver.Filter) {
		if len(f.Leading) > 0 && op != "get" {
			f.State = driver.All
		}
	})},
	{"selects nothing by no values", "Leading", "columns", filterOf(func(_ string, f *driver.Filter) {
		if f.Leading != nil && len(f.Leading) == 0 {
			f.Leading = driver.Key{"nobody's"}
		}
	})},
	{"takes an empty string for no restriction", "Leading", "columns", filterOf(func(_ string, f *driver.Filter) {
		if len(f.Leading) > 0 && f.Leading[0] == "" {
			f.Leading = nil
		}
	})},
	{"looks at the first value alone", "Leading", "columns", filterOf(func(_ string, f *driver.Filter) { f.Leading = f.Leading[:min(len(f.Leading), 1)] })},
	{"clears by the first value alone", "Leading", "columns", filterOf(func(op string, f *driver.Filter) {
		if op == "clear" {
			f.Leading = f.Leading[:min(len(f.Leading), 1)]
		}
	})},
	{"takes the first bytes of a value for the value", "Leading", "columns", selectingBy(func(v, leading driver.Value) bool {
		s, isString := v.(string)
		l, _ := leading.(string)
		return isString && strings.HasPrefix(s, l) || !isString && v == leading
	})},
	{"takes values for patterns", "Leading", "values/string", selectingBy(selectingStrings(func(v, leading string) bool {
		pattern := strings.NewReplacer("%", ".*", "_", ".").Replace(regexp.QuoteMeta(strings.ToValidUTF8(leading, "?")))
		matched, err := regexp.MatchString("^(?s:"+pattern+")$", v)
		return err == nil && matched
	}))},
	{"folds the case of leading values", "Leading", "values/string", selectingBy(selectingStrings(strings.EqualFold))},
	{"ends leading values at NUL", "Leading", "values/string", selectingBy(selectingStrings(func(v, leading string) bool {
		v, _, _ = strings.Cut(v, "\x00")
		leading, _, _ = strings.Cut(leading, "\x00")
		return v == leading
	}))},
	{"looks at the first 1,000 bytes of a value", "Leading", "long_values", selectingBy(selectingStrings(func(v, leading string) bool {
		return v[:min(len(v), 1_000)] == leading[:min(len(leading), 1_000)]
	}))},
	{"finds no value of more than 2,000 bytes", "Leading", "long_values", selectingBy(selectingStrings(func(v, leading string) bool {
		return v == leading && len(v) <= 2_000
	}))},
	{"compares integers as floating point", "Leading", "values/int", selectingBy(func(v, leading driver.Value) bool {
		n, isInt := v.(int64)
		l, _ := leading.(int64)
		return isInt && float64(n) == float64(l) || !isInt && v == leading
	})},
	{"yields one page of those that begin so", "Leading", "of_many", faults{entries: func(ctx context.Context, t driver.Table, sel driver.Selection) iter.Seq2[driver.Entry, error] {
		return func(yield func(driver.Entry, error) bool) {
			n := 0
			for e, err := range t.Entries(ctx, sel) {
				if n++; len(sel.Leading) > 0 && n > 500 || !yield(e, err) {
					return
				}
			}
		}
	}}},
	{"clears one batch of those that begin so", "Leading", "of_many", faults{clear: func(ctx context.Context, t driver.Table, f driver.Filter) (int, error) {
		if len(f.Leading) == 0 {
			return t.Clear(ctx, f)
		}
		return clearBy(ctx, t, f, func(driver.Key) bool { return true }, 1_000)
	}}},
	{"gets nothing of ruled out keys, and no error", "Leading", "a_context_that_is_done", faults{get: func(ctx context.Context, t driver.Table, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
		narrowed, narrowedVisit := sel.Narrow(keys, visit)
		if len(narrowed) == 0 && len(keys) > 0 {
			return nil
		}
		return t.Get(ctx, narrowed, sel, narrowedVisit)
	}}},
	{"numbers the keys that are not ruled out", "Leading", "a_get_visits", faults{get: func(ctx context.Context, t driver.Table, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
		keys, _ = sel.Narrow(keys, visit)
		return t.Get(ctx, keys, sel, visit)
	}}},
}

func filterOf(change func(op string, f *driver.Filter)) faults { return faults{filterOf: change} }

// forgetting leaves the leading values out of account in one operation.
func forgetting(forgetful string) faults {
	return filterOf(func(op string, f *driver.Filter) {
		if op == forgetful {
			f.Leading = nil
		}
	})
}

// selectingStrings compares strings by equal, and other values as they are.
func selectingStrings(equal func(v, leading string) bool) func(v, leading driver.Value) bool {
	return func(v, leading driver.Value) bool {
		s, isString := v.(string)
		l, both := leading.(string)
		return isString && both && equal(s, l) || !isString && v == leading
	}
}

// selectingBy walks through all entries and compares the leading values by equal.
func selectingBy(equal func(v, leading driver.Value) bool) faults {
	match := func(k, leading driver.Key) bool {
		for i, l := range leading {
			if !equal(k[i], l) {
				return false
			}
		}
		return true
	}
	entries := func(ctx context.Context, t driver.Table, sel driver.Selection) iter.Seq2[driver.Entry, error] {
		return func(yield func(driver.Entry, error) bool) {
			all := sel
			all.Leading = nil
			for e, err := range t.Entries(ctx, all) {
				if (err != nil || match(e.Key, sel.Leading)) && !yield(e, err) {
					return
				}
			}
		}
	}
	return faults{
		entries: entries,
		count: func(ctx context.Context, t driver.Table, f driver.Filter) (n int, err error) {
			for _, err = range entries(ctx, t, driver.Selection{Filter: f}) {
				n++
			}
			return n, err
		},
		clear: func(ctx context.Context, t driver.Table, f driver.Filter) (int, error) {
			all := f
			all.Leading = nil
			return clearBy(ctx, t, all, func(k driver.Key) bool { return match(k, f.Leading) }, -1)
		},
	}
}

// clearBy deletes the entries that f selects and whose keys match, at most so many.
func clearBy(ctx context.Context, t driver.Table, f driver.Filter, match func(driver.Key) bool, most int) (int, error) {
	var keys []driver.Key
	var errs []error
	for e, err := range t.Entries(ctx, driver.Selection{Filter: f}) {
		if err != nil {
			errs = append(errs, err)
		} else if match(e.Key) {
			keys = append(keys, slices.Clone(e.Key))
		}
	}
	if most >= 0 {
		keys = keys[:min(most, len(keys))]
	}
	n, err := t.Delete(ctx, keys)
	return n, errors.Join(append(errs, err)...)
}
