package dispatch

import (
	"time"

	"omnirelay/relay"
)

// lane keeps one conversation of one destination in order: its head is the only message
// that may be on its way.
type lane struct {
	conversation string
	items        []item
	state        laneState
	alarm        *alarm // while waiting

	// Of the head; the others' turn has not come.
	attempts int         // that counted
	stumbles int         // failures in a row that the relay itself is to blame for
	due      time.Time   // of the next attempt
	fault    relay.Fault // of the last attempt
	tried    time.Time   // when this owner last sent it
}

type laneState int

const (
	laneReady   laneState = iota // in the destination's queue
	laneBusy                     // the head is being read, sent, buried or recorded as dead
	laneWaiting                  // the head failed and waits for its next attempt
)

// item is one message of a lane. While its lane waits it is only a position, and the body
// stays in the log, unless it is the head's and may be kept.
type item struct {
	pos   relay.Position
	entry *relay.Entry // nil: read it from the log when needed
}

func (l *lane) head() *item { return &l.items[0] }

func (l *lane) pop() {
	l.items[0] = item{}
	l.items = l.items[1:]
}

// lead takes over what is known of a new head.
func (l *lane) lead(known Retrying) {
	l.attempts, l.due, l.fault = known.Attempts, known.NextAt, known.Reason.Fault()
	l.stumbles, l.tried = 0, time.Time{}
}
