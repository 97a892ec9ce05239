package filesystem

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

// Names are of letters, digits and a few signs that every system takes. Those that
// had to be changed, and those of all entries, end with a tilde and a digest in
// lower case, so that they differ where a system ignores the case of letters.
const (
	maxReadable = 40 // characters before the digest
	maxPlain    = 64 // of a name that stands for itself
	tableDigits = 20 // of the digest, hexadecimal
	entryDigits = 30
	shardDigits = 2 // of the entry's digest, in the name of its folder
	schemaFile  = "table.json"
	lockPrefix  = "lock-"

	temporaryFolder = "tmp"
	temporaryRand   = 16
	clockFile       = "clock" // in the folder of temporary files
	sweptFile       = "swept"
	oldTemporary    = ".tmp-" // of earlier versions
)

const hexDigits = "0123456789abcdef"

// folderName is the name of a table's folder. Different tables have different ones.
func folderName(table string) string {
	if plainName(table) {
		return table
	}
	digest := sha256.Sum256([]byte(table))
	b := appendReadable(nil, strings.ToLower(table))
	return string(finish(b)) + "~" + hex.EncodeToString(digest[:])[:tableDigits]
}

// plainName reports whether a table's name can be that of its folder: nothing in it
// is special to a system, and no other such name differs in case only.
func plainName(s string) bool {
	if len(s) > maxPlain || s[0] == '.' || s[0] == '-' || s[len(s)-1] == '.' {
		return false
	}
	for _, c := range []byte(s) {
		if !allowed(c) || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return !isDevice(s)
}

// isDevice reports whether Windows takes a name for that of a device: it takes
// con.txt for the console.
func isDevice(name string) bool {
	base, _, _ := strings.Cut(name, ".")
	return (len(base) == 3 || len(base) == 4) && slices.Contains(devices, strings.ToLower(base))
}

// devices are the names that Windows keeps for itself.
var devices = []string{
	"con", "prn", "aux", "nul",
	"com0", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9",
	"lpt0", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
}

func allowed(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || c == '_' || c == '-' || c == '.'
}

// appendReadable appends the beginning of s to the name b, with an underscore for
// each character that is not allowed in names.
func appendReadable(b []byte, s string) []byte {
	for _, r := range s {
		if len(b) >= maxReadable {
			break
		}
		if r < 0x80 && allowed(byte(r)) {
			b = append(b, byte(r))
		} else {
			b = append(b, '_')
		}
	}
	return b
}

// finish makes b the beginning of a name: not an empty one, no hidden file, no
// option of a command, and no device.
func finish(b []byte) []byte {
	if len(b) == 0 {
		return append(b, '_')
	}
	if b[0] == '.' || b[0] == '-' {
		b[0] = '_'
	}
	if dot := bytes.IndexByte(b, '.'); dot > 0 && isDevice(string(b[:dot])) {
		b[dot] = '_'
	}
	return b
}

// isEntry reports whether name is of the form that entries have.
func isEntry(name string) bool {
	tilde := len(name) - entryDigits - 1
	if tilde < 1 || tilde > maxReadable || name[tilde] != '~' || !isHex(name[tilde+1:]) {
		return false
	}
	for _, c := range []byte(name[:tilde]) {
		if !allowed(c) && c != ',' {
			return false
		}
	}
	return true
}

// isOldTemporary reports whether name is that of a temporary file of an earlier version.
func isOldTemporary(name string) bool {
	rest, ok := strings.CutPrefix(name, oldTemporary)
	return ok && len(rest) == temporaryRand && isHex(rest)
}

// newWriterID is in the names of a writer's temporary files, behind its number. No other
// writer has it, not even the next one with the number.
func newWriterID() string {
	var b [temporaryRand / 2]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}

// writerOf returns the number of the writer whose temporary file has this name.
func writerOf(name string) (n string, ok bool) {
	parts := strings.Split(name, "-")
	if len(parts) != 3 || len(parts[1]) != temporaryRand || !isHex(parts[1]) || !isNumber(parts[2]) {
		return "", false
	}
	return parts[0], isNumber(parts[0])
}

func isNumber(s string) bool { return len(s) > 0 && strings.Trim(s, "0123456789") == "" }

func isHex(s string) bool {
	for _, c := range []byte(s) {
		if ('0' > c || c > '9') && ('a' > c || c > 'f') {
			return false
		}
	}
	return true
}

// place is where an entry is: its file is name in the folder shard.
type place struct {
	digest [sha256.Size]byte
	path   string // shard/name
}

// name is the name of the entry's file.
func (p place) name() string { return p.path[shardDigits+1:] }

// shard is the number of the entry's folder.
func (p place) shard() byte { return p.digest[0] }

// stripe is the number of the entry's lock.
func (p place) stripe() int { return int(p.digest[0] >> 4) }

// shardName is the name of the folder with this number.
func shardName(n byte) string { return string([]byte{hexDigits[n>>4], hexDigits[n&15]}) }
