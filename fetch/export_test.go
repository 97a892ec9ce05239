package fetch

// Pending is how many flights and batches that gather keys there are.
func (e *Endpoint[K, V]) Pending() (flights, gathering int) {
	e.flights.mu.Lock()
	defer e.flights.mu.Unlock()
	return len(e.flights.byKey), len(e.flights.gathering)
}

// Queued is how many answers wait to be saved, without those that are being saved.
func (e *Endpoint[K, V]) Queued() int {
	e.saver.mu.Lock()
	defer e.saver.mu.Unlock()
	return len(e.saver.queue)
}
