package filesystem

import (
	"bytes"
	"crypto/sha256"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// portable fails the test unless every system takes a name.
func portable(t *testing.T, name string) {
	t.Helper()
	base, _, _ := strings.Cut(strings.ToLower(name), ".")
	for _, device := range devices {
		if base == device {
			t.Errorf("%q is a device of Windows", name)
		}
	}
	if name == "" || len(name) > 80 || strings.ContainsAny(name, "<>:\"/\\|?*\x00") || strings.HasSuffix(name, ".") ||
		strings.HasSuffix(name, " ") || strings.HasPrefix(name, "-") || strings.HasPrefix(name, "~") || !filepath.IsLocal(name) {
		t.Errorf("%q is no name on every system", name)
	}
	for _, c := range []byte(name) {
		if c < ' ' || c > '~' {
			t.Errorf("%q is not of letters, digits and signs", name)
		}
	}
}

func TestFoldersOfTablesDifferEvenWithoutCase(t *testing.T) {
	seen := make(map[string]string)
	for _, name := range []string{
		"tracks", "Tracks", "TRACKS", "tracks ", " tracks", "tracks.", ".tracks", "-tracks", "~tracks", "tracks~", "audio-features", "api.v1",
		"con", "CON", "con.txt", "nul", "com1", "lpt9.x", "aux.", "conin$", ".", "..", "../a", "a/b", `a\b`, "a:b", "日本", "ключ", "é", "e\u0301",
		"table.json", "lock-0", "lost+found", strings.Repeat("x", 64), strings.Repeat("x", 65), strings.Repeat("x", 254) + "1", strings.Repeat("x", 254) + "2",
		folderName("Tracks"), folderName("日本"),
	} {
		folder := folderName(name)
		portable(t, folder)
		if other, ok := seen[strings.ToLower(folder)]; ok {
			t.Errorf("%q and %q are both in %q", name, other, folder)
		}
		seen[strings.ToLower(folder)] = name
	}
	for _, plain := range []string{"tracks", "audio-features", "api.v1", "track_2"} {
		if folderName(plain) != plain {
			t.Errorf("the folder of %q is %q", plain, folderName(plain))
		}
	}
}

func keySpec(kinds ...driver.Kind) driver.TableSpec {
	spec := driver.TableSpec{Name: "tracks"}
	for i, kind := range kinds {
		spec.Key = append(spec.Key, driver.Column{Name: string(rune('a' + i)), Kind: kind})
	}
	return spec
}

// FuzzKey holds the names and lines of two keys to what they promise.
func FuzzKey(f *testing.F) {
	f.Add("a", "b", "ab", "", int64(1))
	f.Add("a\n", "Key b: ", "\"", "\\", int64(-1))
	f.Add("\xff", "\x00", strings.Repeat("x", 300), "..", int64(0))
	f.Add("con", "-", ".", "~", int64(7))
	id := newIdentity(keySpec(driver.String, driver.Int, driver.String, driver.Bool))
	f.Fuzz(func(t *testing.T, a, b, c, d string, n int64) {
		keys := []driver.Key{{a, n, b, true}, {c, n, d, true}}
		var lines [2]string
		var places [2]place
		for i, key := range keys {
			text := id.append(nil, key)
			lines[i], places[i] = string(text), id.place(text, key)
			parsed, err := id.parse(text)
			if err != nil || driver.CompareKeys(parsed, key) != 0 {
				t.Errorf("%q is read back as %q, %v", key, parsed, err)
			}
			shard, name, _ := strings.Cut(places[i].path, "/")
			portable(t, name)
			if !isEntry(name) || shard != shardName(places[i].shard()) || !belongs(places[i].path, text) {
				t.Errorf("%q is no entry's path", places[i].path)
			}
			if strings.Count(lines[i], "\n") != 5 || strings.Contains(lines[i], "\n\n") {
				t.Errorf("the lines are %q", lines[i])
			}
		}
		same := a == c && b == d
		if (lines[0] == lines[1]) != same || strings.EqualFold(places[0].path, places[1].path) != same {
			t.Errorf("%q and %q are at %q and %q", keys[0], keys[1], places[0].path, places[1].path)
		}
	})
}

// FuzzHead holds a head to what was written, and anything else to not being one.
func FuzzHead(f *testing.F) {
	f.Add("name", `{"A":["b"]}`, []byte("payload"), int64(1), []byte("endpointcache/1 00000000\nLength: 00000040 0"))
	f.Add("\n\n", "", []byte{}, int64(-62135596799999999), []byte(magic))
	id := newIdentity(keySpec(driver.String))
	f.Fuzz(func(t *testing.T, name, header string, payload []byte, micro int64, other []byte) {
		instant := time.UnixMicro(micro % (250e9 * 1e6)).UTC()
		if y := instant.Year(); y < 1 || y > 9999 {
			t.Skip()
		}
		key := driver.Key{name}
		lines := id.append(nil, key)
		e := driver.Entry{Name: name, Header: header, Payload: payload, Status: int(micro % 1000), CachedAt: instant, ExpiresAt: instant}
		written := appendHead(nil, &e, lines)
		size, err := headSize(written)
		if err != nil || size != len(written) || bytes.Index(written, []byte("\n\n"))+2 != size {
			t.Fatalf("the size of %q is %d, %v", written, size, err)
		}
		var h head
		var got driver.Entry
		if err := h.parse(written, 1); err != nil {
			t.Fatalf("%q: %v", written, err)
		}
		if err := h.meta(&got); err != nil || got.Name != name || got.Header != oneLine.Replace(header) || h.status != e.Status ||
			!got.CachedAt.Equal(instant) || !got.ExpiresAt.Equal(instant) || h.payload != len(payload) || !h.intact(payload) || !bytes.Equal(h.key, lines) {
			t.Errorf("%q is read as %+v, %v", written, got, err)
		}
		for i := range min(len(written), 200) { // any change is found
			changed := bytes.Clone(written)
			changed[i] ^= 0x20
			if size, err := headSize(changed); err == nil && size == len(changed) && h.parse(changed, 1) == nil {
				t.Errorf("%q is taken", changed)
			}
		}
		if size, err := headSize(other); err == nil && size <= len(other) {
			_ = h.parse(other[:size], 1)
		}
	})
}

func TestTheDigestDecidesOnFolderAndLock(t *testing.T) {
	p := place{digest: [sha256.Size]byte{0xa7}}
	if shardName(p.shard()) != "a7" || p.stripe() != 10 {
		t.Errorf("folder %s, lock %d", shardName(p.shard()), p.stripe())
	}
}
