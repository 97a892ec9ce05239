package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/filesystem"
)

// filesystemBackend is a folder in memory, where the system has such a file system. On
// a disk, what a new file takes depends on its place: ext4 gives no inode away in the
// first 5 seconds after its file was removed, and so looks at each one that a restore
// has freed in the same group of blocks. That is up to 600us a file, for one side or
// the other. The hand-written side calls package os and writes the same files, but
// with no lock.
var filesystemBackend = &backend{
	name: "filesystem",
	open: func(ctx context.Context, d *dataset, part string) (driver.Store, error) {
		store, err := filesystem.Open(ctx, filesystemFolder(d, part), nil)
		if err != nil {
			return nil, err
		}
		return temporaryStore{store}, nil
	},
	byHand: func(_ context.Context, d *dataset, part string) (rival, error) {
		return &byOS{folder: filepath.Join(filesystemFolder(d, part), "tracks") + string(filepath.Separator)}, nil
	},
}

func filesystemFolder(d *dataset, part string) string {
	const memory = "/dev/shm"
	if info, err := os.Stat(memory); err != nil || !info.IsDir() {
		return filepath.Join(d.folder, part)
	}
	return filepath.Join(memory, filepath.Base(d.folder)+"-"+part)
}

// temporaryStore is removed when it is closed.
type temporaryStore struct{ *filesystem.Store }

func (s temporaryStore) Close() error {
	return errors.Join(s.Store.Close(), os.RemoveAll(s.Path()))
}

// filesystemGetRaw compares a get with reading the file of a known path, of which
// the other side takes the head off and asks nothing.
func filesystemGetRaw(ctx context.Context, d *dataset, c *contest) error {
	t, hand, err := filesystemBackend.reading(ctx, d, c)
	if err != nil {
		return err
	}
	paths := make(map[Key]string, len(t.keys))
	for _, k := range t.keys {
		paths[k] = hand.(*byOS).path(k)
	}
	part := *d
	part.keys = t.keys
	compareGets(&part, c, 1, sameBytes,
		func(_ int, k *Key) ([]byte, error) { return found(t.repo.GetRaw(ctx, *k)) },
		func(_ int, k *Key) ([]byte, error) {
			data, err := os.ReadFile(paths[*k])
			_, payload, _ := bytes.Cut(data, endOfHead)
			return payload, err
		})
	return nil
}

// byOS is the hand-written side.
type byOS struct {
	folder      string
	data, lines []byte
}

func (*byOS) close() error { return nil }

// key makes the lines of a key.
func (h *byOS) key(k Key) []byte {
	b := append(h.lines[:0], "Table: tracks\nKey id: "...)
	b = append(b, k.ID...)
	b = append(b, "\nKey market: "...)
	b = append(b, k.Market...)
	b = append(b, "\nKey disc: "...)
	b = strconv.AppendInt(b, int64(k.Disc), 10)
	b = append(b, "\nKey number: "...)
	b = strconv.AppendInt(b, int64(k.Number), 10)
	h.lines = append(b, '\n')
	return h.lines
}

func (h *byOS) path(k Key) string {
	digest := sha256.Sum256(h.key(k))
	digits := hex.EncodeToString(digest[:16])
	name := k.ID + "," + k.Market + "," + strconv.Itoa(k.Disc) + "," + strconv.Itoa(k.Number)
	return h.folder + digits[:2] + "/" + name + "~" + digits[2:]
}

var (
	endOfHead  = []byte("\n\n")
	beginning  = []byte("\nExpires: ")
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

const fileTime = "2006-01-02T15:04:05.000000Z"

// get reads the file, and compares the key, the expiry and the payload's checksum.
func (h *byOS) get(_ context.Context, k Key) ([]byte, error) {
	data, err := os.ReadFile(h.path(k))
	if err != nil {
		return nil, err
	}
	head, payload, _ := bytes.Cut(data, endOfHead)
	_, rest, ok := bytes.Cut(head, beginning)
	if !ok || len(rest) <= len(fileTime) || !bytes.HasPrefix(rest[len(fileTime)+1:], h.lines) {
		return nil, errMissing
	}
	expires, err := time.Parse(time.RFC3339, string(rest[:len(fileTime)]))
	if err != nil || !time.Now().Before(expires) {
		return nil, errMissing
	}
	_, sum, _ := bytes.Cut(head, []byte("\nLength: "))
	sum, _, _ = bytes.Cut(sum, endOfHead[:1])
	if !bytes.HasSuffix(sum, fmt.Appendf(nil, "%08x", crc32.Checksum(payload, castagnoli))) {
		return nil, errMissing
	}
	return payload, nil
}

func (h *byOS) getMany(ctx context.Context, keys []Key) ([][]byte, error) {
	payloads := make([][]byte, len(keys))
	for i, k := range keys {
		var err error
		if payloads[i], err = h.get(ctx, k); err != nil {
			return nil, err
		}
	}
	return payloads, nil
}

func (h *byOS) saveMany(_ context.Context, rows []row) error {
	now := time.Now().UTC()
	for i := range rows {
		if err := h.save(&rows[i], now); err != nil {
			return err
		}
	}
	return nil
}

// save writes a temporary file and renames it.
func (h *byOS) save(r *row, now time.Time) error {
	path := h.path(r.key)
	b := append(h.data[:0], "endpointcache/1 00000000\n"...)
	first := len(b)
	b = fmt.Appendf(b, "Length: 00000000 %d %08x\nStatus: 200\nCached: ", len(r.payload), crc32.Checksum(r.payload, castagnoli))
	b = now.AppendFormat(b, fileTime)
	b = append(b, "\nExpires: "...)
	b = expiry(now).AppendFormat(b, fileTime)
	b = append(b, '\n')
	b = append(b, h.lines...)
	b = append(b, "Name: "...)
	b = append(b, r.name...)
	b = append(b, "\nHeaders: "...)
	b = append(b, r.headers...)
	b = append(b, endOfHead...)
	copy(b[first+len("Length: "):], fmt.Sprintf("%08d", len(b)))
	copy(b[first-9:], fmt.Sprintf("%08x", crc32.Checksum(b[first:], castagnoli)))
	h.data = append(b, r.payload...)

	var random [8]byte
	_, _ = rand.Read(random[:])
	temporary := filepath.Dir(path) + "/.tmp-" + hex.EncodeToString(random[:])
	if err := os.WriteFile(temporary, h.data, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

func (h *byOS) deleteMany(_ context.Context, keys []Key) (deleted int, err error) {
	for _, k := range keys {
		err := os.Remove(h.path(k))
		if err == nil {
			deleted++
		} else if !errors.Is(err, fs.ErrNotExist) {
			return deleted, err
		}
	}
	return deleted, nil
}
