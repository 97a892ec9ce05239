// Package simulation runs events in the order of their time, without waiting for it: the
// clock jumps from one event to the next.
//
// It is for one goroutine. What happens depends on nothing but the events and the numbers
// drawn by them, so that two runs with one seed are the same.
package simulation

import (
	"container/heap"
	"time"
)

// Simulation is a clock and the events to come. The zero value is ready to use, at time 0.
type Simulation struct {
	now    time.Duration
	events queue
	added  uint64
}

// Now is the time of the event that is running.
func (s *Simulation) Now() time.Duration { return s.now }

// At has do called at that time: at once after the event that is running, if the time is
// past. Events of one time run in the order in which they were added.
func (s *Simulation) At(t time.Duration, do func()) {
	s.added++
	heap.Push(&s.events, event{at: max(t, s.now), order: s.added, do: do})
}

// After has do called after d.
func (s *Simulation) After(d time.Duration, do func()) { s.At(s.now+d, do) }

// Run runs the events up to and with that time, and those that they add.
func (s *Simulation) Run(until time.Duration) {
	for len(s.events) > 0 && s.events[0].at <= until {
		e := heap.Pop(&s.events).(event)
		s.now = e.at
		e.do()
	}
	s.now = max(s.now, until)
}

type event struct {
	at    time.Duration
	order uint64
	do    func()
}

// queue is a heap of events, the next in front.
type queue []event

func (q queue) Len() int { return len(q) }

func (q queue) Less(i, j int) bool {
	if q[i].at != q[j].at {
		return q[i].at < q[j].at
	}
	return q[i].order < q[j].order
}

func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

func (q *queue) Push(e any) { *q = append(*q, e.(event)) }

func (q *queue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = event{} // its closure is garbage
	*q = (*q)[:last]
	return e
}
