package diff

import (
	"bytes"
	"hash/maphash"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// comparison collects what differs.
type comparison struct{ changes []Change }

func (c *comparison) add(path string, op Op, from, to string) {
	if path != "" {
		path = " " + path
	}
	c.changes = append(c.changes, Change{Path: "body" + path, Op: op, From: from, To: to})
}

func (c *comparison) compare(path string, from, to value) {
	switch {
	case from.hash == to.hash: // by chance for one in 2^64 others
	case from.kind != to.kind || from.closed || to.closed:
		c.add(path, Replaced, from.compact(), to.compact())
	case from.kind == jsontext.KindBeginObject:
		c.members(path, from.children, to.children)
	case from.kind == jsontext.KindBeginArray:
		c.elements(path, from.children, to.children)
	default:
		c.add(path, Replaced, from.compact(), to.compact())
	}
}

// members compares those of two objects.
func (c *comparison) members(path string, from, to []value) {
	rest := make(map[string][]int, len(to)) // where in to the members of a name are that have no partner yet
	for i, member := range to {
		rest[member.name] = append(rest[member.name], i)
	}
	paired := make([]bool, len(to))
	for _, member := range from {
		at := pointer(path, member.name)
		left := rest[member.name]
		if len(left) == 0 {
			c.add(at, Removed, member.compact(), "")
			continue
		}
		c.compare(at, member, to[left[0]])
		paired[left[0]], rest[member.name] = true, left[1:]
	}
	for i, member := range to {
		if !paired[i] {
			c.add(pointer(path, member.name), Added, "", member.compact())
		}
	}
}

// elements compares those of two arrays.
func (c *comparison) elements(path string, from, to []value) {
	gaps(hashes(from), hashes(to), func(i, j span) {
		c.gap(path, from, to, i, j)
	})
}

// gap compares elements of which none is in both arrays.
func (c *comparison) gap(path string, from, to []value, i, j span) {
	ours, theirs, ok := identities(from[i.begin:i.end], to[j.begin:j.end])
	if !ok {
		c.pairwise(path, from, to, i, j)
		return
	}
	at := span{i.begin, j.begin} // where i and j are
	align(ours, theirs, func(x, y int) {
		x, y = x+i.begin, y+j.begin
		c.apart(path, from, to, span{at.begin, x}, span{at.end, y})
		c.compare(element(path, x), from[x], to[y])
		at = span{x + 1, y + 1}
	})
	c.apart(path, from, to, span{at.begin, i.end}, span{at.end, j.end})
}

// pairwise compares elements in their order.
func (c *comparison) pairwise(path string, from, to []value, i, j span) {
	n := min(i.end-i.begin, j.end-j.begin)
	for k := range n {
		c.compare(element(path, i.begin+k), from[i.begin+k], to[j.begin+k])
	}
	c.apart(path, from, to, span{i.begin + n, i.end}, span{j.begin + n, j.end})
}

// apart tells of elements that are in one array only.
func (c *comparison) apart(path string, from, to []value, i, j span) {
	for k := i.begin; k < i.end; k++ {
		c.add(element(path, k), Removed, from[k].compact(), "")
	}
	for k := j.begin; k < j.end; k++ {
		c.add(element(path, k), Added, "", to[k].compact())
	}
}

// identifying are names of members that tell objects apart, the best first.
var identifying = []string{"id", "_id", "uuid", "guid", "uri", "key", "slug", "href", "url", "name"}

// identities returns what tells the objects apart: the value of the first identifying member that all of them have.
func identities(from, to []value) (ours, theirs []uint64, ok bool) {
	if len(from) == 0 || len(to) == 0 {
		return nil, nil, false
	}
	for _, name := range identifying {
		if ours, ok = identitiesBy(name, from); !ok {
			continue
		}
		if theirs, ok = identitiesBy(name, to); ok {
			return ours, theirs, true
		}
	}
	return nil, nil, false
}

func identitiesBy(name string, objects []value) ([]uint64, bool) {
	ids := make([]uint64, len(objects))
	for i, object := range objects {
		found := false
		for _, member := range object.children {
			if object.kind == jsontext.KindBeginObject && member.name == name && (member.kind == jsontext.KindString || member.kind == jsontext.KindNumber) {
				ids[i], found = member.hash, true
				break
			}
		}
		if !found {
			return nil, false
		}
	}
	return ids, true
}

func hashes(values []value) []uint64 {
	all := make([]uint64, len(values))
	for i, v := range values {
		all[i] = v.hash
	}
	return all
}

// lines compares text by line. Of texts with more lines than can be compared it tells nothing.
func lines(stored, now []byte) []Change {
	if bytes.Count(stored, newline) > mostValues || bytes.Count(now, newline) > mostValues {
		return nil
	}
	from, to := splitLines(stored), splitLines(now)
	seed := maphash.MakeSeed()
	var c comparison
	gaps(lineHashes(seed, from), lineHashes(seed, to), func(i, j span) {
		for i.begin < i.end && j.begin < j.end {
			c.add(line(i.begin), Replaced, cut(string(from[i.begin])), cut(string(to[j.begin])))
			i.begin++
			j.begin++
		}
		for ; i.begin < i.end; i.begin++ {
			c.add(line(i.begin), Removed, cut(string(from[i.begin])), "")
		}
		for ; j.begin < j.end; j.begin++ {
			c.add(line(j.begin), Added, "", cut(string(to[j.begin])))
		}
	})
	return c.changes
}

var newline = []byte("\n")

func line(i int) string { return "line " + strconv.Itoa(i+1) }

// splitLines are the lines of a text with their ends: a text with a newline at its end differs from one without.
func splitLines(text []byte) [][]byte {
	all := bytes.SplitAfter(text, newline)
	if last := len(all) - 1; len(all[last]) == 0 {
		all = all[:last]
	}
	return all
}

func lineHashes(seed maphash.Seed, lines [][]byte) []uint64 {
	all := make([]uint64, len(lines))
	for i, l := range lines {
		all[i] = maphash.Bytes(seed, l)
	}
	return all
}
