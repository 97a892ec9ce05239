package redis

import (
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
)

// What servers tell that the tests do not have.
func TestFindingsOfFacts(t *testing.T) {
	for name, tt := range map[string]struct {
		info  string
		look  func(*node)
		value string
		level driver.Level
	}{
		"an old server":    {"redis_version:6.0.16", (*node).ofVersion, "6.0.16", driver.Fault},
		"a server":         {"redis_version:6.2.1", (*node).ofVersion, "6.2.1", driver.Good},
		"Valkey":           {"redis_version:7.2.4\r\nvalkey_version:8.1.0", (*node).ofVersion, "8.1.0", driver.Good},
		"a replica":        {"role:slave", (*node).ofRole, "a replica", driver.Warning},
		"a server loading": {"role:master\r\nloading:1", (*node).ofRole, "loading", driver.Fault},
		"full memory":      {"used_memory:950\r\nmaxmemory:1000", (*node).ofMemory, "950 B of 1000 B", driver.Warning},
		"a full machine":   {"used_memory:950\r\nmaxmemory:0\r\ntotal_system_memory:1000", (*node).ofMemory, "the machine's", driver.Warning},
		"no snapshot":      {"rdb_last_bgsave_status:err", (*node).ofPersistence, "has failed", driver.Fault},
		"no append":        {"rdb_last_bgsave_status:ok\r\naof_enabled:1\r\naof_last_write_status:err", (*node).ofPersistence, "has failed", driver.Fault},
		"nothing":          {"rdb_last_bgsave_status:ok\r\naof_enabled:0", (*node).ofPersistence, "may lose", driver.Good},
		"an untold policy": {"maxmemory:1", (*node).ofEviction, "not told", driver.Good},
	} {
		n := &node{diagnosis: &diagnosis{store: new(Store)}, facts: parseFacts("# Section\r\n" + tt.info)}
		tt.look(n)
		if len(n.List) != 1 || !strings.Contains(n.List[0].Value, tt.value) || n.List[0].Level != tt.level || (tt.level == driver.Good) != (n.List[0].Advice == "") {
			t.Errorf("%s: %+v, want %q, %v", name, n.List, tt.value, tt.level)
		}
	}
}
