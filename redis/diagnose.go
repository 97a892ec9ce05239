package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/findings"
	"github.com/endpointcache/endpointcache/internal/human"
)

var _ driver.Diagnoser = (*Store)(nil)

// Diagnose implements [driver.Diagnoser]. It asks each node of a Cluster, with INFO for the most
// part, which servers of clouds answer, too. A thorough one reads all entries.
func (s *Store) Diagnose(ctx context.Context, thorough bool) (found []driver.Finding, err error) {
	err = s.run(ctx, "diagnose", "", func(ctx context.Context) error {
		d := diagnosis{store: s}
		err := d.all(ctx, thorough)
		found = d.List
		return err
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

type diagnosis struct {
	findings.List
	store *Store
}

func (d *diagnosis) all(ctx context.Context, thorough bool) error {
	nodes := d.store.client.Nodes()
	addresses := make([]string, 0, len(nodes))
	for address := range nodes {
		addresses = append(addresses, address)
	}
	slices.Sort(addresses)
	for _, address := range addresses {
		n := node{diagnosis: d, client: nodes[address], address: address}
		if len(nodes) > 1 {
			n.suffix = " (" + address + ")"
		}
		if err := n.all(ctx); err != nil {
			return err
		}
	}
	if d.store.cluster {
		if err := d.ofCluster(ctx, len(nodes)); err != nil {
			return err
		}
	}
	if !thorough {
		return nil
	}
	return d.check(ctx)
}

func (d *diagnosis) ofCluster(ctx context.Context, nodes int) error {
	const subject = "cluster"
	text, err := d.store.client.Do(ctx, resendable(d.store.client.B().ClusterInfo().Build())).ToString()
	if isAnswer(err) {
		d.Unknown(subject)
		return nil
	}
	if err != nil {
		return err
	}
	facts := parseFacts(text)
	value := fmt.Sprintf("%s, %s", facts["cluster_state"], human.Things(nodes, "node", "nodes"))
	if facts["cluster_state"] == "ok" {
		d.Good(subject, "%s", value)
		return nil
	}
	d.Fault(subject, value, "Some slots have no server: bring back the nodes that fail.")
	return nil
}

// isAnswer reports whether a server has answered that it does not do what it was asked.
func isAnswer(err error) bool {
	_, ok := rueidis.IsRedisErr(err)
	return ok
}

// facts are what a server tells, by name.
type facts map[string]string

func parseFacts(text string) facts {
	all := make(facts)
	for line := range strings.Lines(strings.TrimPrefix(text, "txt:")) { // of a verbatim string
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			all[name] = value
		}
	}
	return all
}

func (f facts) number(name string) int64 {
	n, _ := strconv.ParseInt(f[name], 10, 64)
	return n
}

// node is the diagnosis of one.
type node struct {
	*diagnosis
	client  rueidis.Client
	address string
	suffix  string // of subjects, where there are several
	facts   facts
}

func (n *node) all(ctx context.Context) error {
	text, err := n.client.Do(ctx, resendable(n.client.B().Info().Build())).ToString()
	if isAnswer(err) {
		n.Unknown("server" + n.suffix)
		return nil
	}
	if err != nil {
		return err
	}
	n.facts = parseFacts(text)
	n.ofVersion()
	if err := n.ofClock(ctx); err != nil {
		return err
	}
	if err := n.ofConnection(ctx); err != nil {
		return err
	}
	n.ofRole()
	n.ofMemory()
	n.ofEviction()
	n.ofPersistence()
	return nil
}

func (n *node) ofVersion() {
	subject := "Redis" + n.suffix
	version := n.facts["redis_version"]
	for _, other := range []string{"valkey", "dragonfly"} {
		if v := n.facts[other+"_version"]; v != "" {
			subject, version = strings.ToUpper(other[:1])+other[1:]+n.suffix, v
			n.Good(subject, "%s", version)
			return
		}
	}
	var major, minor int
	_, err := fmt.Sscanf(version, "%d.%d", &major, &minor)
	if err == nil && (major < 6 || major == 6 && minor < 2) {
		n.Fault(subject, version, "It lacks commands that are used: take 6.2 or later.")
		return
	}
	n.Good(subject, "%s", version)
}

func (n *node) ofClock(ctx context.Context) error {
	before := time.Now()
	parts, err := n.client.Do(ctx, resendable(n.client.B().Time().Build())).AsStrSlice()
	after := time.Now()
	if isAnswer(err) || err == nil && len(parts) != 2 {
		n.Unknown("clock" + n.suffix)
		return nil
	}
	if err != nil {
		return err
	}
	seconds, _ := strconv.ParseInt(parts[0], 10, 64)
	micros, _ := strconv.ParseInt(parts[1], 10, 64)
	first := len(n.List)
	n.Clock(time.Unix(seconds, micros*1000), before, after)
	n.List[first].Subject += n.suffix
	return nil
}

// ofConnection tells whether changes can be told, see Watch.
func (n *node) ofConnection(ctx context.Context) error {
	if n.store.own {
		first := len(n.List)
		n.Encryption(n.store.encrypted, isHere(n.address))
		n.List[first].Subject += n.suffix
	}
	subject := "changes of others" + n.suffix
	conn, done := n.client.Dedicate()
	defer done()
	hello, err := conn.Do(ctx, conn.B().Arbitrary("HELLO").Build()).AsMap()
	switch {
	case err != nil && !isAnswer(err):
		return err
	case err == nil && isThree(hello["proto"]):
		n.Good(subject, "told by client tracking")
	default:
		n.Warning(subject, "not told, as the connection speaks RESP2", "Memory over the store sees changes late: leave out protocol=2, or take a server that speaks RESP3.")
	}
	return nil
}

// isHere reports whether an address is one of this machine.
func isHere(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return strings.HasPrefix(address, "/") // a socket
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (n *node) ofRole() {
	subject := "role" + n.suffix
	switch {
	case n.facts["loading"] == "1":
		n.Fault(subject, "loading its data", "Wait until it has read them from its disk.")
	case n.facts["role"] != "slave":
		n.Good(subject, "a primary, %s", human.Things(n.facts.number("connected_slaves"), "replica", "replicas"))
	case n.store.cluster:
		n.Good(subject, "a replica")
	default:
		n.Warning(subject, "a replica, which takes no writes", "Saves fail: connect to the primary, or to the Sentinels with master_set in the URL.")
	}
}

const (
	nearlyFull = 0.9
	fragmented = 1.5
	muchMemory = 256 << 20 // bytes, from which on fragments matter
)

func (n *node) ofMemory() {
	used, most, machine := n.facts.number("used_memory"), n.facts.number("maxmemory"), n.facts.number("total_system_memory")
	subject := "memory" + n.suffix
	switch {
	case used == 0:
		n.Unknown(subject)
	case most > 0 && float64(used) > nearlyFull*float64(most):
		n.Warning(subject, human.Size(used)+" of "+human.Size(most)+" (maxmemory)", "It is nearly full: raise maxmemory, or give the cache a limit.")
	case most > 0:
		n.Good(subject, "%s of %s (maxmemory)", human.Size(used), human.Size(most))
	case machine > 0 && float64(used) > nearlyFull*float64(machine)/2:
		n.Warning(subject, human.Size(used)+" of the machine's "+human.Size(machine)+", without maxmemory", "The system ends the server when the machine's memory is full: set maxmemory.")
	default:
		n.Good(subject, "%s, without maxmemory", human.Size(used))
	}
	ratio, err := strconv.ParseFloat(n.facts["mem_fragmentation_ratio"], 64)
	if err == nil && ratio > fragmented && used > muchMemory {
		n.Warning("fragmentation"+n.suffix, strconv.FormatFloat(ratio, 'f', 2, 64), "The server takes that many times the memory that it uses: set activedefrag yes, or restart it.")
	}
}

// ofEviction: what has a time to live are entries that expire; tables, their indexes, and what a cache
// remembers of declarations and invalidations have none.
func (n *node) ofEviction() {
	subject := "eviction" + n.suffix
	policy := n.facts["maxmemory_policy"]
	evicted := n.facts.number("evicted_keys")
	value := fmt.Sprintf("%s, %s evicted so far", policy, human.Things(evicted, "key", "keys"))
	switch limited := n.facts.number("maxmemory") > 0; {
	case policy == "":
		n.Unknown(subject)
	case strings.HasPrefix(policy, "allkeys-"):
		n.Warning(subject, value, "When memory is full, it may remove what the cache knows of its tables, and invalidations, so that old responses are served: set maxmemory-policy volatile-lru or volatile-ttl.")
	case policy == "noeviction" && limited:
		n.Warning(subject, value, "When memory is full, saves fail: set maxmemory-policy volatile-lru or volatile-ttl, or give the cache a limit.")
	default:
		n.Good(subject, "%s", value)
	}
}

func (n *node) ofPersistence() {
	subject := "persistence" + n.suffix
	snapshots, appends := n.facts["rdb_last_bgsave_status"], n.facts["aof_enabled"] == "1"
	switch {
	case snapshots == "":
		n.Unknown(subject)
		return
	case snapshots != "ok":
		n.Fault(subject, "the last snapshot has failed", "The server may take no more writes (stop-writes-on-bgsave-error): look after its disk.")
		return
	case appends && n.facts["aof_last_write_status"] != "ok":
		n.Fault(subject, "the last write of the append-only file has failed", "The server takes no more writes: look after its disk.")
		return
	}
	var parts []string
	if appends {
		parts = append(parts, "append-only file")
	}
	if last := n.facts.number("rdb_last_save_time"); last > 0 && n.facts.number("rdb_saves") > 0 {
		parts = append(parts, "last snapshot "+time.Unix(last, 0).UTC().Format(time.RFC3339))
	}
	if len(parts) == 0 {
		n.Good(subject, "no append-only file, and no snapshot since the server began: a restart may lose what was saved")
		return
	}
	n.Good(subject, "%s", strings.Join(parts, ", "))
}

// check reads all entries of all tables.
func (d *diagnosis) check(ctx context.Context) error {
	keys, err := d.store.described(ctx)
	if err != nil {
		return err
	}
	var entries int
	var bytes int64
	var unread []string
	for _, key := range keys {
		text, err := d.store.client.Do(ctx, resendable(d.store.client.B().Get().Key(key).Build())).ToString()
		if rueidis.IsRedisNil(err) || isAnother(err) {
			continue
		}
		if err != nil {
			return err
		}
		spec, ok := d.store.specOf(key, text)
		if !ok {
			continue
		}
		description, _ := parseDescription(text)
		t := &table{store: d.store, spec: spec, names: newNames(d.store.opts.Prefix, spec.Name, description.Buckets)}
		n, size, err := t.check(ctx)
		if errors.Is(err, errValue) || errors.Is(err, errKeyText) || isAnother(err) {
			unread = append(unread, spec.Name)
			continue
		}
		if err != nil {
			return err
		}
		entries, bytes = entries+n, bytes+size
	}
	if len(unread) > 0 {
		d.Fault("entries", human.Things(len(unread), "table", "tables")+" with what is no entry", "Other programs have written to its keys: clear it, and give the cache a prefix of its own.")
		return nil
	}
	d.Good("entries", "%s can be read, %s", human.Count(entries), human.Size(bytes))
	return nil
}

// check reads a table. It removes nothing from the index.
func (t *table) check(ctx context.Context) (entries int, bytes int64, err error) {
	for w := t.walk(driver.Filter{}); ; {
		places, err := w.next(ctx)
		if err != nil || len(places) == 0 {
			return entries, bytes, err
		}
		for some := range slices.Chunk(places, firstRead) {
			_, err := t.fetch(ctx, some, driver.Selection{Parts: driver.Payload | driver.Meta}, func(p *place, value []byte, e driver.Entry, ok bool) error {
				if e.MetaSum == driver.WrongSum {
					return errValue
				}
				if ok {
					entries++
					bytes += p.size(len(value))
				}
				_, err := parseKey(t.spec.Key, p.text)
				return err
			})
			if err != nil {
				return entries, bytes, err
			}
		}
	}
}
