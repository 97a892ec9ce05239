// Package seal keeps the entries of any store encrypted and authenticated, or signed: a
// [Store] stands before another [driver.Store], and what was changed there by others, moved or
// put in from elsewhere is a miss, never an answer.
//
//	keys, err := seal.FromBytes(secret) // or seal.FromKeyset, of Tink
//	sealed, err := seal.New(store, keys, nil)
//	c, err := cache.New(sealed, nil)
//
// # What is bound to what
//
// The meta data of an entry, its header and times, and its payload are sealed apart: a
// renewal after a 304 changes the ones and neither reads nor writes the other.
//
// The seal of the meta data is bound, as associated data, to the format, the table's name
// and key columns, the whole key, the status, the name and both times, as they stand in the store below. In it are the
// header, the name where that is sealed, the values of key columns that are digests below,
// both checksums if there are any, and a random number. The payload's seal is bound to the
// format, the table and its columns, the whole key, the status, the encoding and that number. So no part of an
// entry fits another one: not one of another key or table, nor an older one of the same key. Reads
// of any part open the meta data, too.
//
// In mode [Sign], a tag is over all of this and a digest of the payload with its encoding; the
// header is signed in a form that does not change where a store normalises JSON.
//
// # What is not
//
//   - An entry as a whole can be replaced by one that had its key before, with the times that it
//     had then, or be deleted. To notice that takes a memory beside the store. The older one
//     expires when it would have expired.
//   - When an entry was used last, and its size, are the store's: they decide what leaves
//     first, not what is answered.
//   - Names of tables and key columns, statuses, times, encodings and lengths can be read, names
//     and keys as the [Options] say. What counts, clears and deletes goes by these, as they
//     stand there: whoever can change them, can make an entry be deleted, as he can himself.
//
// A renewal seals what it has read of an entry before. If another process puts another entry
// there in between, as of the same microsecond, nothing of the two fits, and it is a miss. Only
// what puts with driver.IfUnchanged does such a thing; [Store.Reseal] does it so that it fits.
//
// # Entries that cannot be opened
//
// They are misses. They are counted in [Stats], logged by table and reason, and given times at
// which any other entry may take their place. Those whose key is not there stay as they are: another
// process may have it.
package seal
