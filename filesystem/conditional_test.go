package filesystem_test

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// claimed is how many entries the processes put if they are absent, and renew.
const claimed = 300

// seen is when the entries were saved that the processes renew.
var seen = time.Unix(1_700_000_000, 0).UTC()

// claimAll puts and renews, one by one and in bulk, what other processes do too, and
// returns how many of each it was that did.
func claimAll(ctx context.Context, table driver.Table) (stored, renewed int) {
	count := func(outcomes []bool, err error) (n int) {
		fail(err)
		for _, ok := range outcomes {
			if ok {
				n++
			}
		}
		return n
	}
	var entries []driver.Entry
	var renewals []driver.Renewal
	for i := range claimed {
		entries = append(entries, track("claimed", i, i))
		renewals = append(renewals, driver.Renewal{Key: driver.Key{"renewed", int64(i)}, Seen: seen, Header: `{"Etag":["1"]}`, CachedAt: seen.Add(time.Hour)})
	}
	for i := range claimed / 2 {
		stored += count(table.PutIf(ctx, entries[i:i+1], driver.Condition{If: driver.IfAbsent}))
		renewed += count(table.Renew(ctx, renewals[i:i+1]))
	}
	stored += count(table.PutIf(ctx, entries, driver.Condition{If: driver.IfAbsent}))
	renewed += count(table.Renew(ctx, renewals))
	return stored, renewed
}

func TestProcessesClaimEachEntryOnce(t *testing.T) {
	folder := fastFolder(t)
	table := openTracks(t, open(t, folder, nil))
	entries := make([]driver.Entry, claimed)
	for i := range entries {
		entries[i] = track("renewed", i, i)
		entries[i].CachedAt = seen
	}
	if err := table.Put(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	var outs []io.Reader
	var cmds []*exec.Cmd
	for range 4 {
		cmd, out := start(t, folder, "claim", "")
		cmds, outs = append(cmds, cmd), append(outs, out)
	}
	stored, renewed := 0, 0
	for i, out := range outs {
		text, err := io.ReadAll(out)
		if err != nil {
			t.Fatal(err)
		}
		var n, m int
		if _, err := fmt.Sscan(string(text), &n, &m); err != nil {
			t.Fatalf("a process failed: %s", text)
		}
		stored, renewed = stored+n, renewed+m
		if err := cmds[i].Wait(); err != nil {
			t.Fatal(err)
		}
	}
	if stored != claimed || renewed != claimed {
		t.Errorf("%d entries were stored and %d renewed in sum, want %d each", stored, renewed, claimed)
	}
	for e, err := range table.Entries(t.Context(), everything) {
		if err != nil || !whole(e) {
			t.Errorf("entry %v is torn, or %v", e.Key, err)
		}
	}
}
