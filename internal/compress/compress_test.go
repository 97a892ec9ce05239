package compress

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/memory"
)

var words = strings.Fields("issue error when the user opens cache file table panic nil pointer fix please steps reproduce expected " +
	"behaviour version linux windows crash after update slow memory leak request timeout docs test fails build broken since release")

var issues sync.Map // by number

// issue is the body of an API that tells of issues, of about 2 KiB: always the same one.
func issue(i int) []byte {
	body, ok := issues.Load(i)
	if !ok {
		body, _ = issues.LoadOrStore(i, newIssue(i))
	}
	return body.([]byte)
}

func newIssue(i int) []byte {
	r := rand.New(rand.NewPCG(uint64(i), 7))
	text := func(length int) string {
		s := ""
		for len(s) < length {
			s += words[r.IntN(len(words))] + " "
		}
		return s
	}
	user := func() any {
		id := r.IntN(1e7)
		url := fmt.Sprintf("https://api.example.com/users/%s%d", words[r.IntN(len(words))], id)
		return map[string]any{
			"login": fmt.Sprintf("user%d", id), "id": id, "node_id": fmt.Sprintf("MDQ6VXNlcj%x", id), "url": url, "type": "User", "site_admin": false,
			"avatar_url": fmt.Sprintf("https://avatars.example.com/u/%d?v=4", id), "followers_url": url + "/followers", "repos_url": url + "/repos",
		}
	}
	url := fmt.Sprintf("https://api.example.com/repos/%s/%s/issues/%d", words[r.IntN(len(words))], words[r.IntN(len(words))], r.IntN(1e5))
	labels := make([]any, 2)
	for i := range labels {
		labels[i] = map[string]any{"id": r.IntN(1e6), "name": words[r.IntN(len(words))], "color": fmt.Sprintf("%06x", r.IntN(1<<24)), "default": false}
	}
	body, err := json.Marshal(map[string]any{
		"url": url, "comments_url": url + "/comments", "events_url": url + "/events", "id": r.IntN(1e9), "title": text(40), "user": user(),
		"labels": labels, "state": "open", "locked": false, "assignee": user(), "comments": r.IntN(30), "closed_at": nil,
		"created_at": time.Unix(1_600_000_000+r.Int64N(1e8), 0).UTC(), "author_association": "NONE", "body": text(600),
	})
	if err != nil {
		panic(err)
	}
	return body
}

// excerpt is the beginning of an issue: a dictionary of such bodies is made sooner.
func excerpt(i int) []byte { return issue(i)[:400] }

// reading is a body that has little in common with an excerpt of an issue.
func reading(i int) []byte {
	r := rand.New(rand.NewPCG(uint64(i), 8))
	var b bytes.Buffer
	for _, name := range []string{"temperature_celsius", "relative_humidity_percent", "wind_direction_degrees", "precipitation_millimetres", "cloud_cover_oktas", "dew_point"} {
		fmt.Fprintf(&b, `"%s":{"minimum":%d,"maximum":%d,"observed_by":"%08x"},`, name, r.IntN(1e6), r.IntN(1e6), r.Uint32())
	}
	return b.Bytes()
}

// numbered is a body with numbers near to those of the bodies before it, so that a dictionary
// of these suits it best.
func numbered(i int) []byte {
	return fmt.Appendf(nil, `<Envelope><Body><GetWeatherResponse station="%d"><Temperature unit="C">%d</Temperature>`+
		`<Humidity>%d</Humidity></GetWeatherResponse></Body></Envelope>`, i, i%40, i*31)
}

func TestADictionaryMakesBodiesSmallerThanZstdAlone(t *testing.T) {
	trained, measured := 1000, 500
	if testing.Short() {
		trained, measured = 300, 100
	}
	var training [][]byte
	for i := range trained {
		training = append(training, issue(i))
	}
	dictionary := build(training)
	if n := len(dictionary); n < 8<<10 || n > 25<<10 {
		t.Errorf("the dictionary has %d bytes", n)
	}
	alone, err := zstd.NewWriter(nil, zstd.WithEncoderCRC(false))
	check(t, err)
	with := newCodec(dictionary)
	whole, plain, small := 0, 0, 0
	for i := range measured {
		body := issue(1_000_000 + i)
		frame := with.encode(body)
		whole, plain, small = whole+len(body), plain+len(alone.EncodeAll(body, nil)), small+len(frame)
		id, size, err := dictionaryOf(frame)
		if err != nil || id != with.id || size != len(body) {
			t.Fatalf("dictionary %d, size %d, %v", id, size, err)
		}
		if got, err := with.decode(frame, size); err != nil || !bytes.Equal(got, body) {
			t.Fatalf("decoded as %q, %v", got, err)
		}
	}
	t.Logf("bodies of %d bytes: %.2f times smaller, without a dictionary %.2f", whole/measured, float64(whole)/float64(small), float64(whole)/float64(plain))
	if 10*plain < 17*small {
		t.Errorf("%d bytes take %d, without a dictionary %d", whole, small, plain)
	}
}

// harness is a table in memory, and one of dictionaries.
type harness struct {
	t                   *testing.T
	below, dictionaries driver.Table

	mu       sync.Mutex
	now      time.Time
	reported int
	checks   sync.WaitGroup
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	store, err := memory.New(nil)
	check(t, err)
	h := &harness{t: t, now: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)}
	t.Cleanup(func() { h.checks.Wait(); check(t, store.Close()) })
	h.below, err = store.OpenTable(t.Context(), driver.TableSpec{Name: "issues", Key: []driver.Column{{Name: "id", Kind: driver.Int}}})
	check(t, err)
	h.dictionaries, err = store.OpenTable(t.Context(), driver.TableSpec{Name: "dictionaries", Key: Columns})
	check(t, err)
	return h
}

// open opens the table as another process does.
func (h *harness) open(save bool) driver.Table {
	return New(h.below, Options{
		Repository: "issues", Save: save, Now: h.clock, Log: slog.New(slog.DiscardHandler),
		Dictionaries: h.openDictionaries,
		Go:           func(run func(context.Context)) bool { h.checks.Go(func() { run(context.Background()) }); return true },
		Report:       func(n int) { h.mu.Lock(); h.reported += n; h.mu.Unlock() },
	})
}

func (h *harness) openDictionaries(context.Context) (driver.Table, error) { return h.dictionaries, nil }

// clock moves on with each look at it.
func (h *harness) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(time.Millisecond)
	return h.now
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// put saves n bodies, from the i-th on, and waits for what that brings about.
func (h *harness) put(table driver.Table, i, n int, body func(int) []byte) {
	h.t.Helper()
	entries := make([]driver.Entry, n)
	for j := range entries {
		entries[j] = driver.Entry{Key: driver.Key{int64(i + j)}, Status: 200, Payload: body(i + j), CachedAt: h.clock()}
	}
	check(h.t, table.Put(h.t.Context(), entries))
	h.checks.Wait()
}

var all = driver.Selection{Parts: driver.Payload | driver.Meta}

// get returns the payloads that a get finds.
func (h *harness) get(table driver.Table, ids ...int) map[int]string {
	h.t.Helper()
	keys := make([]driver.Key, len(ids))
	for i, id := range ids {
		keys[i] = driver.Key{int64(id)}
	}
	found := make(map[int]string)
	check(h.t, table.Get(h.t.Context(), keys, all, func(i int, e driver.Entry) {
		if e.Encoding != "" {
			h.t.Errorf("entry %d has the encoding %q", ids[i], e.Encoding)
		}
		found[ids[i]] = string(e.Payload)
	}))
	return found
}

// frame is the entry as it is stored, and the dictionary that it needs.
func (h *harness) frame(id int) (e driver.Entry, dictionary uint32) {
	h.t.Helper()
	check(h.t, h.below.Get(h.t.Context(), []driver.Key{{int64(id)}}, all, func(_ int, found driver.Entry) { e = found }))
	if e.Encoding == encoding {
		var err error
		dictionary, _, err = dictionaryOf(e.Payload)
		check(h.t, err)
	}
	e.Key = driver.Key{int64(id)}
	return e, dictionary
}

// stored is how many dictionaries the store has, and whether one is being made.
func (h *harness) stored() (n int, making bool) {
	h.t.Helper()
	for e, err := range h.dictionaries.Entries(h.t.Context(), driver.Selection{}) {
		check(h.t, err)
		if e.Key[1] == turn {
			making = true
		} else {
			n++
		}
	}
	return n, making
}

func TestEveryReadDecodes(t *testing.T) {
	h := newHarness(t)
	table := h.open(true)
	random := make([]byte, 2000)
	for i := range random {
		random[i] = byte(rand.N(256))
	}
	bodies := [][]byte{excerpt(0), nil, []byte("short"), random}
	h.put(table, 0, len(bodies), func(i int) []byte { return bodies[i] })
	for i, want := range []string{encoding, "", "", ""} {
		if e, _ := h.frame(i); e.Encoding != want {
			t.Errorf("entry %d is stored as %q", i, e.Encoding)
		}
	}
	for _, save := range []bool{true, false} {
		table := h.open(save)
		for name, read := range map[string]func(visit func(driver.Entry)) error{
			"get": func(visit func(driver.Entry)) error {
				keys := []driver.Key{{int64(0)}, {int64(1)}, {int64(2)}, {int64(3)}}
				return table.Get(t.Context(), keys, all, func(i int, e driver.Entry) { e.Key = keys[i]; visit(e) })
			},
			"entries": func(visit func(driver.Entry)) error {
				for e, err := range table.Entries(t.Context(), all) {
					if err != nil {
						return err
					}
					visit(e)
				}
				return nil
			},
			"list": func(visit func(driver.Entry)) error {
				page, err := table.List(t.Context(), driver.Listing{Selection: all, Limit: 10})
				for _, e := range page {
					visit(e)
				}
				return err
			},
		} {
			n := 0
			check(t, read(func(e driver.Entry) {
				n++
				if !bytes.Equal(e.Payload, bodies[e.Key[0].(int64)]) || e.Encoding != "" {
					t.Errorf("%s: %v is %q, encoding %q", name, e.Key, e.Payload, e.Encoding)
				}
			}))
			if n != len(bodies) {
				t.Errorf("%s: %d entries", name, n)
			}
		}
	}
	for e, err := range table.Entries(t.Context(), driver.Selection{Parts: driver.Meta}) {
		check(t, err)
		if e.Encoding != "" {
			t.Errorf("%v has the encoding %q without its payload", e.Key, e.Encoding)
		}
	}
	e, ok, err := table.Pop(t.Context(), driver.Key{int64(0)}, driver.Filter{})
	if !ok || err != nil || !bytes.Equal(e.Payload, bodies[0]) || e.Encoding != "" {
		t.Errorf("popped %q, %v, %v", e.Payload, ok, err)
	}
}

func TestADictionaryIsMadeAndUsedByOthers(t *testing.T) {
	h := newHarness(t)
	first, idle := h.open(true), h.open(true)
	h.put(idle, 10_000, 1, excerpt)
	h.put(first, 0, firstAt-2, excerpt)
	if n, _ := h.stored(); n != 0 {
		t.Fatalf("%d dictionaries of too few entries", n)
	}
	h.put(first, 1000, checkAfter, excerpt)
	n, making := h.stored()
	if n != 1 || making {
		t.Fatalf("%d dictionaries, one is being made: %v", n, making)
	}
	h.put(first, 2000, 1, excerpt)
	_, dictionary := h.frame(2000)
	if dictionary == 0 {
		t.Error("the dictionary is not used")
	}
	h.put(h.open(true), 2001, 1, excerpt)
	if _, own := h.frame(2001); own != dictionary {
		t.Errorf("another process uses the dictionary %d, want %d", own, dictionary)
	}
	h.put(idle, 3000, checkAfter, excerpt)
	h.put(idle, 2002, 1, excerpt)
	if _, own := h.frame(2002); own != dictionary {
		t.Errorf("a process that has saved before uses the dictionary %d, want %d", own, dictionary)
	}
	for _, reader := range []driver.Table{h.open(false), first} {
		if got := h.get(reader, 0, 2000, 2001, 2000); len(got) != 3 || got[0] != string(excerpt(0)) || got[2000] != string(excerpt(2000)) || got[2001] != string(excerpt(2001)) {
			t.Errorf("read %.100v", got)
		}
	}
	if h.reported != 0 {
		t.Errorf("%d are reported", h.reported)
	}
}

func TestOneOfSeveralProcessesMakesADictionary(t *testing.T) {
	h := newHarness(t)
	h.put(h.open(false), 0, 2*firstAt, excerpt)
	var saves sync.WaitGroup
	for i := range 4 {
		table := h.open(true)
		saves.Go(func() {
			if err := table.Put(context.Background(), []driver.Entry{{Key: driver.Key{int64(5000 + i)}, Payload: excerpt(i), CachedAt: h.clock()}}); err != nil {
				t.Error(err)
			}
		})
	}
	saves.Wait()
	h.checks.Wait()
	if n, making := h.stored(); n != 1 || making {
		t.Errorf("%d dictionaries, one is being made: %v", n, making)
	}
}

// Of another kind of bodies there is another dictionary. Where the kinds alternate, it is used
// again, here and by others.
func TestADictionaryIsUsedAgain(t *testing.T) {
	h := newHarness(t)
	table, other := h.open(true), h.open(true)
	kinds := []func(int) []byte{excerpt, numbered}
	var first [2]uint32
	h.put(table, 0, 1, excerpt)
	for phase := range 4 {
		i, body := phase*10_000, kinds[phase%2]
		h.put(table, i, checkAfter, body)
		h.put(table, i, checkAfter, body)
		h.put(table, i, 1, body)
		_, dictionary := h.frame(i)
		if phase < 2 {
			first[phase] = dictionary
		} else if dictionary != first[phase%2] {
			t.Errorf("phase %d has the dictionary %d, the first two have %d", phase, dictionary, first)
		}
	}
	if n, making := h.stored(); n != 2 || making || first[0] == 0 || first[1] == 0 {
		t.Errorf("%d dictionaries of two kinds of bodies, one is being made: %v", n, making)
	}
	h.put(other, 90_000, 1, numbered)
	if _, dictionary := h.frame(90_000); dictionary != first[1] {
		t.Errorf("another process uses the dictionary %d, want %d", dictionary, first[1])
	}
	if got := h.get(h.open(false), 0, 10_000); got[0] != string(excerpt(0)) || got[10_000] != string(numbered(10_000)) || h.reported != 0 {
		t.Errorf("read %.100v, %d are reported", got, h.reported)
	}
}

func TestARepositoryHasFewDictionaries(t *testing.T) {
	var bodies [][]byte
	for i := range 100 {
		bodies = append(bodies, reading(i))
	}
	content := build(bodies)
	for _, stored := range []int{mostStored - 1, mostStored} {
		h := newHarness(t)
		for i := range stored {
			one := bytes.Clone(content)
			one[len(one)-1] = byte(i)
			setID(one)
			known := &newTable(nil, Options{Repository: "issues", Dictionaries: h.openDictionaries}).known
			check(t, known.keep(t.Context(), &dictionary{id: known.add(one).id, since: h.clock(), entries: 1, ratio: 0.2}))
		}
		table := h.open(true)
		h.put(table, 0, 1, excerpt)
		h.put(table, 0, checkAfter, excerpt)
		if n, _ := h.stored(); n != mostStored {
			t.Errorf("of %d dictionaries there are %d", stored, n)
		}
	}
}

func TestATableThatHasGrownIsLookedAtAgain(t *testing.T) {
	s := &saver{}
	made := &dictionary{entries: 1000, ratio: 0.2}
	good := window{entries: checkAfter, from: 1000, to: 200}
	for _, tt := range []struct {
		current *dictionary
		count   int
		w       window
		want    bool
	}{
		{nil, firstAt - 1, good, false},
		{nil, firstAt, window{}, true},
		{made, 3999, good, false},
		{made, 4000, good, true},
		{made, 1000, window{entries: checkAfter, from: 1000, to: 249}, false},
		{made, 1000, window{entries: checkAfter, from: 1000, to: 251}, true},
		{made, 1000, window{entries: checkAfter - 1, from: 1000, to: 900}, false},
	} {
		if got := s.due(tt.current, tt.count, tt.w); (got != nil) != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

func TestBodiesWithNothingInCommonHaveNoDictionary(t *testing.T) {
	h := newHarness(t)
	table := h.open(true)
	noise := func(i int) []byte {
		r := rand.New(rand.NewPCG(uint64(i), 9))
		b := make([]byte, 500)
		for i := range b {
			b[i] = byte(r.IntN(256))
		}
		return b
	}
	h.put(table, 0, 1, noise)
	h.put(table, 0, 600, noise)
	if n, making := h.stored(); n != 0 || making {
		t.Errorf("%d dictionaries, one is being made: %v", n, making)
	}
}

func TestADictionaryThatWasLostIsPutBack(t *testing.T) {
	h := newHarness(t)
	table := h.open(true)
	h.put(table, 0, 600, excerpt)
	h.put(table, 0, 600, excerpt)
	_, err := h.dictionaries.Clear(t.Context(), driver.Filter{})
	check(t, err)
	h.put(table, 0, 1, excerpt)
	if got := h.get(h.open(false), 0); len(got) != 0 || h.reported != 1 {
		t.Errorf("read %.100v without the dictionary, %d are reported", got, h.reported)
	}
	if got := h.get(table, 0); len(got) != 1 {
		t.Error("a process that has the dictionary does not find the entry")
	}
	h.put(table, 0, checkAfter, excerpt)
	if got := h.get(h.open(false), 0); got[0] != string(excerpt(0)) {
		t.Errorf("read %.100v", got)
	}
}

func TestFramesThatNoCacheHasWritten(t *testing.T) {
	encoder, err := zstd.NewWriter(nil)
	check(t, err)
	good := encoder.EncodeAll(excerpt(0), nil)
	var endless bytes.Buffer // does not tell its size
	stream, err := zstd.NewWriter(&endless)
	check(t, err)
	for range 100 {
		_, err = stream.Write(issue(0))
		check(t, err)
	}
	check(t, stream.Close())
	for name, e := range map[string]driver.Entry{
		"empty":            {Encoding: encoding},
		"text":             {Encoding: encoding, Payload: []byte("text")},
		"cut":              {Encoding: encoding, Payload: good[:len(good)-5]},
		"two":              {Encoding: encoding, Payload: append(bytes.Clone(good), good...)},
		"without a size":   {Encoding: encoding, Payload: endless.Bytes()},
		"huge":             {Encoding: encoding, Payload: encoder.EncodeAll(make([]byte, freeSize+1), nil)},
		"another encoding": {Encoding: "br", Payload: good},
	} {
		h := newHarness(t)
		e.Key, e.CachedAt = driver.Key{int64(1)}, h.clock()
		check(t, h.below.Put(t.Context(), []driver.Entry{e, {Key: driver.Key{int64(2)}, Payload: []byte("fine"), CachedAt: h.clock()}}))
		if got := h.get(h.open(false), 1, 2); len(got) != 1 || got[2] != "fine" || h.reported != 1 {
			t.Errorf("%s: read %d, %d are reported", name, len(got), h.reported)
		}
		page, err := h.open(false).List(t.Context(), driver.Listing{Selection: all, Limit: 1})
		if err != nil || len(page) != 1 || string(page[0].Payload) != "fine" {
			t.Errorf("%s: listed %v, %v", name, page, err)
		}
	}
}

func TestBodiesOfAllSizes(t *testing.T) {
	text := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
	for _, size := range []int{0, 1, minSize - 1, minSize, 100, 255, 256, 257, 511, 65_535, 65_536, 65_791, 65_792, len(text)} {
		frame := plain.encode(text[:size])
		if frame == nil {
			if size >= minSize {
				t.Errorf("%d bytes are not compressed", size)
			}
			continue
		}
		e := driver.Entry{Payload: frame, Encoding: encoding}
		if err := newTable(nil, Options{}).decode(&e); err != nil || !bytes.Equal(e.Payload, text[:size]) {
			t.Errorf("%d bytes are %d, %v", size, len(e.Payload), err)
		}
	}
}

// A body is no longer than readers can hold, whoever saves it.
func TestBodiesThatAreTooLargeAreKeptAsTheyCome(t *testing.T) {
	if frame := plain.encode(make([]byte, maxSize+1)); frame != nil {
		t.Errorf("a frame of %d bytes", len(frame))
	}
	if testing.Short() {
		return
	}
	body := make([]byte, maxSize)
	for i := range maxSize / maxRatio {
		body[i] = byte(rand.N(256))
	}
	if frame := plain.encode(body); frame == nil {
		t.Error("a body of the greatest size is not compressed")
	}
}

// What is saved is what can be read, and no small frame becomes a large body.
func TestAFrameTakesMemoryByItsSize(t *testing.T) {
	noise := make([]byte, freeSize)
	for i := range noise {
		noise[i] = byte(rand.N(256))
	}
	encoder, err := plain.encoder()
	check(t, err)
	for _, tt := range []struct {
		random, size int
		want         bool
	}{
		{0, freeSize, true},
		{0, freeSize + 1, false},
		{2 * freeSize / maxRatio, 2 * freeSize, true},
		{freeSize / maxRatio, 2 * freeSize, false},
	} {
		body := append(bytes.Clone(noise[:tt.random]), make([]byte, tt.size-tt.random)...)
		if saved := plain.encode(body) != nil; saved != tt.want {
			t.Errorf("%+v: compressed: %v", tt, saved)
		}
		e := driver.Entry{Payload: encoder.EncodeAll(body, nil), Encoding: encoding}
		if err := newTable(nil, Options{}).decode(&e); (err == nil) != tt.want || tt.want && !bytes.Equal(e.Payload, body) {
			t.Errorf("%+v: decoded: %v", tt, err)
		}
	}
}

func TestAGetAllocatesThePayloadAlone(t *testing.T) {
	h := newHarness(t)
	table := h.open(true)
	h.put(table, 0, 600, excerpt)
	h.put(table, 0, 600, excerpt)
	h.put(table, 0, 2, func(i int) []byte { return [][]byte{excerpt(0), []byte("plain")}[i] })
	if _, dictionary := h.frame(0); dictionary == 0 {
		t.Fatal("there is no dictionary")
	}
	for id, want := range []float64{1, 0} {
		keys, visit := []driver.Key{{int64(id)}}, func(int, driver.Entry) {}
		below := testing.AllocsPerRun(200, func() { _ = h.below.Get(context.Background(), keys, all, visit) })
		got := testing.AllocsPerRun(200, func() { _ = table.Get(context.Background(), keys, all, visit) })
		if got > below+want {
			t.Errorf("entry %d: %v allocations, the store's are %v", id, got, below)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	store, err := memory.New(nil)
	if err != nil {
		b.Fatal(err)
	}
	below, err := store.OpenTable(b.Context(), driver.TableSpec{Name: "t", Key: []driver.Column{{Name: "id", Kind: driver.Int}}})
	if err != nil {
		b.Fatal(err)
	}
	keys, visit := []driver.Key{{int64(1)}}, func(int, driver.Entry) {}
	if err := below.Put(b.Context(), []driver.Entry{{Key: keys[0], Payload: excerpt(1)}}); err != nil {
		b.Fatal(err)
	}
	for name, table := range map[string]driver.Table{"below": below, "plain": New(below, Options{})} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_ = table.Get(context.Background(), keys, all, visit)
			}
		})
	}
}
