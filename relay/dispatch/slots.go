package dispatch

import (
	"slices"
	"sync"
)

// slots bounds the requests that are under way at once, over all destinations of a process. Each
// takes an open file and some 30 KB, and where files run out nobody can connect and the store
// cannot write.
//
// An endpoint that hangs holds a slot for as long as a request may take, and thousands may hang
// at once. So destinations that only fail share a quarter of the slots, together with those of
// which that is not known a half, and what answers finds the rest free. Who finds none stands in
// line and is handed the next.
type slots struct {
	most [ranks]int // a rank and those below it may hold as many
	m    *Metrics

	mu   sync.Mutex
	used [ranks]int
	line [ranks][]*ticket
}

// rank is what a destination has shown of itself, best first.
type rank int

const (
	proven   rank = iota // it answered last
	unsure               // it was not tried yet since its owner began, or answered and then failed
	doubtful             // it has failed and not answered, or failed until its breaker opened
	ranks
)

// ticket is a destination's place in the line.
type ticket struct {
	d      *destination
	rank   rank
	served bool // there is a slot with it
}

func newSlots(most int, m *Metrics) *slots {
	return &slots{most: [ranks]int{most, max(1, most/2), max(1, most/4)}, m: m}
}

// take takes a slot and returns nil. Where none is free it returns a place in the line; the
// destination hears of it when it is served.
func (s *slots) take(d *destination, r rank) *ticket {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.line[r]) == 0 && s.free(r) {
		s.used[r]++
		s.m.requestsUnderWay(1)
		return nil
	}
	t := &ticket{d: d, rank: r}
	s.line[r] = append(s.line[r], t)
	s.m.requestsWaiting(1)
	return t
}

// free reports whether a rank may have one more.
func (s *slots) free(r rank) bool {
	held := 0
	for k := ranks - 1; k >= 0; k-- {
		held += s.used[k]
		if k <= r && held >= s.most[k] {
			return false
		}
	}
	return true
}

// give gives a slot back.
func (s *slots) give(r rank) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used[r]--
	s.m.requestsUnderWay(-1)
	s.serve()
}

// serve hands out what is free, to those first who have shown most.
func (s *slots) serve() {
	for r := range ranks {
		for len(s.line[r]) > 0 && s.free(r) {
			t := s.line[r][0]
			s.line[r][0] = nil
			s.line[r] = s.line[r][1:]
			t.served = true
			s.used[r]++
			s.m.requestsWaiting(-1)
			s.m.requestsUnderWay(1)
			t.d.w.mail.post(t.d.served)
		}
	}
}

// holds reports whether a ticket was served.
func (s *slots) holds(t *ticket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return t.served
}

// leave ends the wait of a ticket, or gives back the slot that it was served with.
func (s *slots) leave(t *ticket) {
	s.mu.Lock()
	if t.served {
		s.mu.Unlock()
		s.give(t.rank)
		return
	}
	defer s.mu.Unlock()
	if i := slices.Index(s.line[t.rank], t); i >= 0 {
		s.line[t.rank] = slices.Delete(s.line[t.rank], i, i+1)
		s.m.requestsWaiting(-1)
	}
}

// rank is where the destination stands now.
func (d *destination) rank() rank {
	failed := d.breaker.faults > 0
	switch {
	case !d.exists: // what was deleted sends nothing
		return proven
	case d.breaker.open, failed && !d.answered:
		return doubtful
	case failed, !d.answered:
		return unsure
	}
	return proven
}

// mayRequest takes a slot for the next request, if there is one; otherwise the destination is
// pumped when there is.
func (d *destination) mayRequest() bool {
	if d.ticket != nil && d.rank() < d.slotRank {
		d.leaveLine() // for a better one
	}
	if d.slot || d.ticket != nil {
		return d.slot
	}
	d.slotRank = d.rank()
	d.ticket = d.w.o.slots.take(d, d.slotRank)
	d.slot = d.ticket == nil
	return d.slot
}

// served goes on with the slot that the destination stood in line for.
func (d *destination) served() {
	if d.ticket == nil || !d.w.o.slots.holds(d.ticket) {
		return // it has left the line since
	}
	d.ticket, d.slot = nil, true
	d.pump()
}

// useSlot hands the slot over to a request, which gives it back.
func (d *destination) useSlot() (r rank) {
	d.slot = false
	return d.slotRank
}

// spareSlot gives back a slot that is not used.
func (d *destination) spareSlot() {
	if d.slot {
		d.slot = false
		d.w.o.slots.give(d.slotRank)
	}
}

// leaveLine also ends the wait for one.
func (d *destination) leaveLine() {
	d.spareSlot()
	if d.ticket != nil {
		d.w.o.slots.leave(d.ticket)
		d.ticket = nil
	}
}
