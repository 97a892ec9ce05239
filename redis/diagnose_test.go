package redis_test

import (
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/testserver"
	"github.com/endpointcache/endpointcache/internal/tracktest"
	"github.com/endpointcache/endpointcache/redis"
)

func TestFindings(t *testing.T) {
	url := serverURL(t)
	s := open(t, url, &redis.Options{Prefix: newPrefix(t, url)})
	entries, _ := trackEntries(20)
	put(t, openTable(t, s), entries...)
	tracktest.WantFinding(t, s, true, "entries", "20 can be read", driver.Good)
	tracktest.WantFinding(t, s, false, "role", "a primary", driver.Good)
	tracktest.WantFinding(t, s, false, "clock", "agrees", driver.Good)
	tracktest.WantFinding(t, s, false, "changes of others", "told", driver.Good)
}

// A limit of memory that is far away, for policies to matter.
func TestFindingsOfEviction(t *testing.T) {
	t.Parallel() // with servers of its own
	own := testserver.OwnRedis(t, nil)
	c := newClient(t, own.URL())
	s := open(t, own.URL(), nil)
	tracktest.WantFinding(t, s, false, "eviction", "noeviction", driver.Good)
	configure(t, c, "maxmemory", "68719476736")
	tracktest.WantFinding(t, s, false, "memory", "of 64 GiB (maxmemory)", driver.Good)
	for policy, level := range map[string]driver.Level{
		"noeviction": driver.Warning, "allkeys-lru": driver.Warning, "allkeys-random": driver.Warning,
		"volatile-lru": driver.Good, "volatile-ttl": driver.Good,
	} {
		configure(t, c, "maxmemory-policy", policy)
		tracktest.WantFinding(t, s, false, "eviction", policy, level)
	}
}

func TestFindingsOfOtherProgramsKeys(t *testing.T) {
	url := serverURL(t)
	c, prefix := newClient(t, url), newPrefix(t, url)
	s := open(t, url, &redis.Options{Prefix: prefix})
	put(t, openTable(t, s), track(1))
	keys := keysOf(t, c, prefix+":{tracks:0}:*")
	if len(keys) != 1 {
		t.Fatalf("the entry has the keys %q", keys)
	}
	if err := c.Do(t.Context(), c.B().Set().Key(keys[0]).Value("text").Build()).Error(); err != nil {
		t.Fatal(err)
	}
	tracktest.WantFinding(t, s, true, "entries", "1 table", driver.Fault)
}

func TestFindingsOfACluster(t *testing.T) {
	url := clusterURL(t)
	s := open(t, url, &redis.Options{Prefix: newPrefix(t, url)})
	put(t, openTable(t, s), track(1))
	tracktest.WantFinding(t, s, true, "cluster", "ok, 3 nodes", driver.Good)
	tracktest.WantFinding(t, s, true, "entries", "1 can be read", driver.Good)
	old := open(t, url+"&protocol=2", &redis.Options{Prefix: newPrefix(t, url)})
	for address := range newClient(t, url).Nodes() {
		tracktest.WantFinding(t, s, false, "role ("+address+")", "a primary", driver.Good)
		tracktest.WantFinding(t, old, false, "changes of others ("+address+")", "RESP2", driver.Warning)
	}
}

// What has vanished stays in the index of a store that may only be read.
func TestAReaderMendsNoIndex(t *testing.T) {
	url := serverURL(t)
	c, prefix := newClient(t, url), newPrefix(t, url)
	put(t, openTable(t, open(t, url, &redis.Options{Prefix: prefix})), track(1), track(2))
	keys := keysOf(t, c, prefix+":{tracks:0}:*")
	if err := c.Do(t.Context(), c.B().Unlink().Key(keys[0]).Build()).Error(); err != nil {
		t.Fatal(err)
	}
	s := open(t, url, &redis.Options{Prefix: prefix, ReadOnly: true})
	if n := yielded(t, openTable(t, s), everything); n != 1 {
		t.Errorf("%d entries are yielded, want 1", n)
	}
	n, err := c.Do(t.Context(), c.B().Zcard().Key(prefix+":{tracks:0}").Build()).AsInt64()
	if err != nil || n != 2 {
		t.Errorf("the index has %d places, %v; want 2", n, err)
	}
}
