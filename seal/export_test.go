package seal

// Waits reports whether somebody waits for the writers of a table.
func (s *Store) Waits(table string) bool {
	writes := s.shared(table).writes
	if writes.TryAcquire(1) {
		writes.Release(1)
		return false
	}
	return true
}
