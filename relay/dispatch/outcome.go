package dispatch

import (
	"cmp"
	"slices"
	"time"

	"omnirelay/queue"
	"omnirelay/relay"
)

// ended takes an attempt's result: what it says of the endpoint, then of the message.
func (d *destination) ended(l *lane, t *trial, r relay.Result) {
	if d.w.work.Err() != nil && r.Reason.Fault() != relay.NoFault {
		return // cut off, not an attempt: the next owner makes it again
	}
	t.now = time.Now()
	d.observe(t, r)
	a := t.attempt(r)
	if a.Outcome.Final() {
		d.settle(l, a)
		return
	}
	d.announce(t.entry, a, func() {
		d.inflight--
		d.conclude(a, t.entry)
		l.attempts, l.due, l.fault = a.Number, a.NextAt, a.Reason.Fault()
		if l.stumbles++; l.fault != relay.ServiceFault {
			l.stumbles = 0
		}
		d.park(l, a.NextAt)
		d.pump()
	})
}

// observe lets the breaker and the window learn from a result.
func (d *destination) observe(t *trial, r relay.Result) {
	if r.Reason.Fault() == relay.EndpointFault {
		d.window = max(1, d.window/2)
		if d.breaker.fault(t.now, t.probe, r.RetryAfter) {
			d.w.breakerChanged(d, r.Reason)
			d.empty()
			d.looked = !d.w.o.looks.Allow() // for the first probe; start does it for the next ones
		}
		if t.probe {
			t.probeNext = d.breaker.openUntil
		}
		return
	}
	if r.Reason.Fault() == relay.ServiceFault {
		if t.probe {
			d.breaker.putOff(t.now, 0)
			t.probeNext = d.breaker.openUntil
		}
		return
	}
	d.answered = true
	d.window = min(d.window*2, d.concurrency())
	if d.breaker.success() {
		// Slow start: the endpoint has just come back.
		d.window = 1
		d.w.breakerChanged(d, r.Reason)
		d.dueNow(func(l *lane) bool { return l.fault == relay.EndpointFault })
	}
}

// empty leaves the bodies of everything that is not on its way to the log, but for a few.
func (d *destination) empty() {
	for _, l := range d.lanes {
		d.unload(l)
	}
}

// unload leaves a lane's bodies to the log, but for its head's where that is on its way or
// may stay.
func (d *destination) unload(l *lane) {
	for i := range l.items {
		if i > 0 || (l.state != laneBusy && !d.keeps(&l.items[0])) {
			d.shed(&l.items[i])
		}
	}
}

// keptBytes is how much a destination keeps in memory of what waits for its next attempt.
const keptBytes = 8 << 10

// keeps reports whether the body of a message that waits stays in memory for its next attempt.
// Thousands of destinations may be down at once, with their oldest messages anywhere in the
// log: reading a whole block of it (8 MiB) for each retry and each probe would keep the log in
// memory in place of a few bodies. They are at most half of a queue: what keeps waiting must leave
// room for what does not.
func (d *destination) keeps(it *item) bool {
	return it.entry != nil && !d.held && d.exists &&
		d.bodies <= d.w.o.Bounds.QueueMessages/2 && d.bytes <= keptBytes && d.w.o.memory.roomy()
}

func (d *destination) closeBreaker() {
	if d.breaker.success() {
		d.w.breakerChanged(d, relay.ReasonDiscarded)
	}
}

// dueNow ends the wait of the lanes that pick selects, oldest message first.
func (d *destination) dueNow(pick func(*lane) bool) {
	var lanes []*lane
	for _, l := range d.lanes {
		if l.state == laneWaiting && pick(l) {
			lanes = append(lanes, l)
		}
	}
	slices.SortFunc(lanes, func(a, b *lane) int { return cmp.Compare(a.head().pos, b.head().pos) })
	for _, l := range lanes {
		l.alarm.stop()
		l.state = laneReady
		d.ready = append(d.ready, l)
	}
}

// settle makes an outcome final and lets the lane go on. Crash order: the word to the
// observer, the copy of a dead letter, then the attempt's append.
//
// After a delivery the lane goes on before the append is acknowledged, because the appends of
// a shard keep their order: what a crash repeats was seen before, so a receiver's first sight
// of each message stays in order. A dead message was not seen. Its lane waits for the
// acknowledgement, or a crash could bring it back to life behind its successors.
func (d *destination) settle(l *lane, a relay.Attempt) {
	d.announce(l.head().entry, a, func() { d.finalize(l, a) })
}

func (d *destination) finalize(l *lane, a relay.Attempt) {
	e := l.head().entry
	goOn := func() {
		d.inflight--
		d.next(l)
		d.pump()
	}
	if a.Outcome == relay.Delivered {
		d.conclude(a, e)
		goOn()
		return
	}
	if a.Reason == relay.ReasonGone {
		d.holdGone()
	}
	record := func() {
		d.w.buried[a.Position] = goOn
		d.conclude(a, e)
	}
	if e.Kind == relay.KindEvent {
		record()
		return
	}
	d.w.bury(queue.DeadLetter{Message: e.Message, Attempt: a, DiedAt: time.Now().UTC()}, record)
}

// next takes a lane's head out and lets the lane go on.
func (d *destination) next(l *lane) {
	d.leave(l.head())
	l.pop()
	if len(l.items) == 0 {
		delete(d.lanes, l.conversation)
		return
	}
	d.schedule(l)
}

// conclude records an attempt and writes its log line.
func (d *destination) conclude(a relay.Attempt, e *relay.Entry) {
	d.w.record(a)
	d.w.o.Metrics.attempt(&a)
	d.w.logAttempt(&a, e)
}
