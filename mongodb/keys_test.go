package mongodb

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/endpointcache/endpointcache/driver"
)

func TestIDsCanBeRead(t *testing.T) {
	for want, key := range map[string]driver.Key{
		"track-1":                {"track-1"},
		"":                       {""},
		"track 1|DE|-5|true":     {"track 1", "DE", int64(-5), true},
		`a\|b\\c|日本🎵`:            {`a|b\c`, "日本🎵"},
		`\x00\x0a\x7f\xff\xed|é`: {"\x00\n\x7f\xff\xed", "é"},
	} {
		if got := documentID(key); got != want {
			t.Errorf("the _id of %q is %q, want %q", key, got, want)
		}
	}
}

// FuzzIDs splits two strings anywhere: keys of other values have other ids, which are
// UTF-8 and not long.
func FuzzIDs(f *testing.F) {
	long := strings.Repeat("é", maxID/2)
	f.Add("a", "b", "a|b", "")
	f.Add(`a\`, "|b", `a`, `\|b`)
	f.Add(long, "", long[1:], "")
	f.Add(long+`\`, "", long+`\\`, "")
	f.Add("\xff", "", `\xff`, "")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		one, two := documentID(driver.Key{a, b}), documentID(driver.Key{c, d})
		if same := a == c && b == d; same != (one == two) {
			t.Errorf("%q %q and %q %q are %q and %q", a, b, c, d, one, two)
		}
		if !utf8.ValidString(one) || len(one) > keptID+100 || strings.IndexByte(one, 0) >= 0 {
			t.Errorf("%q %q is %q", a, b, one)
		}
	})
}

// A long key's id begins like the key, and cannot be that of a shorter one which looks
// like it.
func TestLongIDsEndWithADigest(t *testing.T) {
	key := driver.Key{strings.Repeat("日", 1_000)}
	id := documentID(key)
	if !strings.HasPrefix(id, "日日") || len(id) <= maxID || !strings.Contains(id, `\sha256:`) {
		t.Errorf("the _id is %q", id)
	}
	if fake := documentID(driver.Key{id}); fake == id {
		t.Error("another key has the same _id")
	}
}

// The size that is compared with the limit is that of the document.
func TestDocumentsAreAsLongAsTheyWereSaidToBe(t *testing.T) {
	table := &table{spec: driver.TableSpec{Name: "t", Key: []driver.Column{
		{Name: "id", Kind: driver.String}, {Name: "n", Kind: driver.Int}, {Name: "b", Kind: driver.Bool},
	}}, fields: []string{"id", "n", "b"}}
	table.measure()
	for _, e := range []driver.Entry{
		{Key: driver.Key{"", int64(0), false}, ExpiresAt: time.UnixMicro(1)},
		{Key: driver.Key{"a|\xff", int64(-1), true}, ExpiresAt: time.UnixMicro(1), Name: "\x00", Header: `{"A":["1"]}`, Payload: []byte("é\xff")},
		{Key: driver.Key{strings.Repeat("k", 5_000), int64(1), true}, ExpiresAt: time.UnixMicro(1), Payload: bytes.Repeat([]byte("p"), 10_000)},
	} {
		id := documentID(e.Key)
		doc := bson.Raw(table.appendEntry(nil, id, &e))
		if err := doc.Validate(); err != nil {
			t.Errorf("%v is no document: %v", e.Key, err)
		}
		if size := table.documentSize(id, &e); size != len(doc) {
			t.Errorf("the document has %d bytes, not %d", len(doc), size)
		}
		e.ExpiresAt = time.Time{}
		if size, is := table.documentSize(id, &e), len(table.appendEntry(nil, id, &e)); size < is || size > is+30 {
			t.Errorf("the document without an expiry has %d bytes, not %d", is, size)
		}
	}
}

func TestNamesOfCollectionsStayDifferent(t *testing.T) {
	seen := make(map[string]string)
	for _, prefix := range []string{"", "cache_", "sys"} {
		for _, name := range []string{
			"a.b", "a%2eb", "a.", "a%2e", ".a", "tem.x", "system.x", "endpointcache.tables", "endpointcache.x", "$", "%24", "%",
			strings.Repeat("x", 189), strings.Repeat("x", 190), strings.Repeat("x", 255), strings.Repeat("x", 254) + "y", strings.Repeat("日", 85),
		} {
			got := collectionName(prefix, name)
			if before, twice := seen[got]; twice && !strings.HasSuffix(before, name) {
				t.Errorf("%q is the collection of %.30q and of %.30q", got, before, prefix+" "+name)
			}
			seen[got] = prefix + " " + name
			if len(got) > maxCollection || !utf8.ValidString(got) || strings.HasPrefix(got, ".") || strings.HasSuffix(got, ".") ||
				strings.Contains(got, "$") || strings.HasPrefix(got, "system.") || strings.HasPrefix(got, "endpointcache.") {
				t.Errorf("%q is no name of a collection", got)
			}
		}
	}
}

// FuzzLeadingIDs splits two strings anywhere: the _ids of keys that begin with a value are
// in its span, and if that is exact no others. So are those of keys whose next value begins
// with a prefix.
func FuzzLeadingIDs(f *testing.F) {
	long := strings.Repeat("é", keptID/2)
	f.Add("a", "b", "ab", "")
	f.Add("a", "b", `a\`, "|")
	f.Add(long, "a", long[1:], "\U0010ffff")
	f.Add(long[2:], strings.Repeat("a", 100), long[2:]+"x", "")
	f.Add("\ud7ff", "", "\U0010ffff", "")
	f.Add("\xff\x00", "", "", "|")
	f.Add("\xc3", "\xc3", "é", "é")
	f.Add("a", "\xf4\x8f", "a", "\U0010ffff")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		for _, begin := range []struct {
			leading driver.Key
			prefix  string
		}{{driver.Key{a}, ""}, {driver.Key{a}, b}, {nil, a}} {
			ids := idsOf(begin.leading, begin.prefix)
			for _, k := range []driver.Key{{a, b}, {c, d}, {a, d}, {a, b + d}, {a + c, b}} {
				next, _ := k[len(begin.leading)].(string)
				begins := k.HasPrefix(begin.leading) && strings.HasPrefix(next, begin.prefix)
				id := documentID(k)
				within := id >= ids.from && (ids.below == "" || id < ids.below)
				if begins && !within || within && !begins && ids.exact {
					t.Errorf("%q has the _id %q; of %q and %q they are from %q to below %q, exact: %v",
						[]driver.Value(k), id, []driver.Value(begin.leading), begin.prefix, ids.from, ids.below, ids.exact)
				}
			}
			if !utf8.ValidString(ids.from) || !utf8.ValidString(ids.below) {
				t.Errorf("of %q and %q they are from %q to below %q", []driver.Value(begin.leading), begin.prefix, ids.from, ids.below)
			}
		}
	})
}

func TestTextIsCutWhereItEnds(t *testing.T) {
	for s, want := range map[string]string{
		"": "", "aé": "aé", "a\xc3": "a", "日\xe6\x97": "日", "a\xffb": "a", "a\x00b": "a", "\ufffda": "\ufffda",
	} {
		if got := textOf(s); got != want {
			t.Errorf("of %q the text is %q, want %q", s, got, want)
		}
	}
}

func TestSuccessor(t *testing.T) {
	for text, want := range map[string]string{
		"a|": "a}", "\ud7ff": "\ue000", "a\U0010ffff": "b", "\U0010ffff": "", "": "", "a\U0010fffe": "a\U0010ffff", "\x7f": "\u0080",
	} {
		if got := successor(text); got != want {
			t.Errorf("the successor of %q is %q, want %q", text, got, want)
		}
	}
}

// The values of a key are compared only where its _id may not have all of them.
func TestLeadingValuesAreARangeOfIDs(t *testing.T) {
	table := &table{fields: []string{"owner", "id"}}
	long := strings.Repeat("a", keptID)
	for _, tt := range []struct {
		leading driver.Key
		want    string
	}{
		{nil, `{}`},
		{driver.Key{"a|b"}, `{"_id": {"$gte": "a\\|b|","$lt": "a\\|b}"}}`},
		{driver.Key{"a", "b"}, `{"_id": "a|b"}`},
		{driver.Key{long}, `{"_id": {"$gte": "` + long + `","$lt": "` + long[1:] + `b"},"owner": "` + long + `"}`},
	} {
		if got := table.selected(driver.Filter{Leading: tt.leading}).String(); got != tt.want {
			t.Errorf("%.80q is searched for by %s, want %s", []driver.Value(tt.leading), got, tt.want)
		}
	}
}
