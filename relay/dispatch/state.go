package dispatch

import (
	"fmt"
	"maps"
	"time"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"omnirelay/queue"
	"omnirelay/relay"
)

// State is what the two logs of one shard say about which messages are open, folded up to a
// position in each. Folding is deterministic and does no I/O; the same logs always give the
// same State, in one go or from a snapshot on.
//
// An open message costs one bit to two bytes here (a compressed bitmap per destination), so
// a backlog is remembered exactly and no log is searched for it.
type State struct {
	messages relay.Position // every message up to here is folded
	attempts uint64         // every attempt up to this sequence of the attempt log is folded
	open     map[relay.Destination]*roaring64.Bitmap
	early    *roaring64.Bitmap // settled by the attempt log, their message not yet folded
	retries  map[relay.Position]Retrying
	faults   map[relay.Destination]int // endpoint faults since the last success
	replays  map[string]relay.Position // by replay id: reopened up to here
	reopened map[relay.Destination]Reopening
}

// Reopening is the range of positions that replays of a destination have opened again, and
// when the last of them did. A message in it has its age counted from then: an operator who
// asks for old messages wants them sent, not expired.
type Reopening struct {
	From relay.Position `json:"from"`
	To   relay.Position `json:"to"`
	At   time.Time      `json:"at"`
}

// Retrying is what is known of an open message that has been tried.
type Retrying struct {
	Attempts int          `json:"attempts"` // that count against max_attempts
	NextAt   time.Time    `json:"nextAt"`
	Reason   relay.Reason `json:"reason"` // of the last attempt
}

// NewState is the State of two empty logs.
func NewState() *State {
	return &State{
		open:    map[relay.Destination]*roaring64.Bitmap{},
		early:   roaring64.New(),
		retries: map[relay.Position]Retrying{},
		faults:  map[relay.Destination]int{},
		replays: map[string]relay.Position{},

		reopened: map[relay.Destination]Reopening{},
	}
}

// Message folds one message of the log, in the log's order. It reports whether the message
// is open; one that was folded before is not news and reported as not open.
func (s *State) Message(d relay.Destination, pos relay.Position) bool {
	if pos <= s.messages {
		return false
	}
	s.messages = pos
	if s.early.CheckedRemove(pos) || d == queue.Void {
		return false
	}
	s.openSet(d).Add(pos)
	return true
}

// highest is the last position that the State knows of.
func (s *State) highest() relay.Position {
	if s.early.IsEmpty() {
		return s.messages
	}
	return max(s.messages, s.early.Maximum())
}

// Attempt folds one record of the attempt log, in the log's order; seq is its sequence there.
func (s *State) Attempt(seq uint64, a *relay.Attempt) error {
	s.attempts = max(s.attempts, seq)
	switch {
	case a.Outcome == relay.Reopened:
		return s.reopen(a)
	case a.Outcome == relay.Retry:
		s.retry(a)
	case a.Outcome.Final():
		s.settle(a)
	}
	s.countFault(a)
	return nil
}

func (s *State) retry(a *relay.Attempt) {
	if a.Position <= s.messages && !s.isOpen(a.Destination, a.Position) {
		return // a late word about a message that is settled
	}
	if s.early.Contains(a.Position) {
		return
	}
	s.retries[a.Position] = Retrying{Attempts: a.Number, NextAt: a.NextAt, Reason: a.Reason}
}

func (s *State) settle(a *relay.Attempt) {
	delete(s.retries, a.Position)
	if a.Position > s.messages {
		s.early.Add(a.Position)
		return
	}
	if set := s.open[a.Destination]; set != nil {
		set.Remove(a.Position)
		if set.IsEmpty() {
			delete(s.open, a.Destination)
		}
	}
}

func (s *State) countFault(a *relay.Attempt) {
	switch a.Reason.Fault() {
	case relay.NoFault, relay.MessageFault: // either way the endpoint answered
		delete(s.faults, a.Destination)
	case relay.EndpointFault:
		s.faults[a.Destination]++
	}
}

func (s *State) reopen(a *relay.Attempt) error {
	set := roaring64.New()
	if err := set.UnmarshalBinary(a.Positions); err != nil {
		return fmt.Errorf("folding replay %s: %w", a.Replay, err)
	}
	s.replays[a.Replay] = max(s.replays[a.Replay], a.Position)
	s.early.AndNot(set)
	if !set.IsEmpty() {
		r := s.reopened[a.Destination]
		if r.At.IsZero() {
			r.From = set.Minimum()
		}
		s.reopened[a.Destination] = Reopening{
			From: min(r.From, set.Minimum()), To: max(r.To, set.Maximum()), At: a.StartedAt,
		}
	}
	// Positions that are not folded yet will be open anyway.
	set.RemoveRange(s.messages+1, ^uint64(0))
	if !set.IsEmpty() {
		s.openSet(a.Destination).Or(set)
	}
	return nil
}

// endReplay forgets how far a replay came, once nobody will ask again.
func (s *State) endReplay(id string) { delete(s.replays, id) }

func (s *State) openSet(d relay.Destination) *roaring64.Bitmap {
	set := s.open[d]
	if set == nil {
		set = roaring64.New()
		s.open[d] = set
	}
	return set
}

func (s *State) isOpen(d relay.Destination, pos relay.Position) bool {
	set := s.open[d]
	return set != nil && set.Contains(pos)
}

// Open is how many messages of a destination are open.
func (s *State) Open(d relay.Destination) uint64 {
	if set := s.open[d]; set != nil {
		return set.GetCardinality()
	}
	return 0
}

// OpenAfter appends up to n open positions of a destination above pos to dst, lowest first.
func (s *State) OpenAfter(d relay.Destination, pos relay.Position, n int, dst []relay.Position) []relay.Position {
	set := s.open[d]
	if set == nil {
		return dst
	}
	it := set.Iterator()
	it.AdvanceIfNeeded(pos + 1)
	for ; n > 0 && it.HasNext(); n-- {
		dst = append(dst, it.Next())
	}
	return dst
}

// Oldest is the lowest open position of a destination; 0 when none is open.
func (s *State) Oldest(d relay.Destination) relay.Position {
	if set := s.open[d]; set != nil {
		return set.Minimum()
	}
	return 0
}

// Floor is the lowest open position of the shard, or the position after the last folded
// message when none is open. Nothing at or above it may be purged.
func (s *State) Floor() relay.Position {
	floor := s.messages + 1
	for _, set := range s.open {
		floor = min(floor, set.Minimum())
	}
	return floor
}

// Destinations lists the destinations that have open messages, in no order.
func (s *State) Destinations() []relay.Destination {
	list := make([]relay.Destination, 0, len(s.open))
	for d := range maps.Keys(s.open) {
		list = append(list, d)
	}
	return list
}

// Retry is what is known of an open message's attempts; zero when it was not tried.
func (s *State) Retry(pos relay.Position) Retrying { return s.retries[pos] }

// ReopenedAt is when a replay opened a message again; zero when none did.
func (s *State) ReopenedAt(d relay.Destination, pos relay.Position) time.Time {
	if r, ok := s.reopened[d]; ok && r.From <= pos && pos <= r.To {
		return r.At
	}
	return time.Time{}
}

// OpenInAll is how many messages are open.
func (s *State) OpenInAll() (n uint64) {
	for _, set := range s.open {
		n += set.GetCardinality()
	}
	return n
}

// Faults is how many attempts at a destination have failed through the endpoint's fault
// since it last answered.
func (s *State) Faults(d relay.Destination) int { return s.faults[d] }
