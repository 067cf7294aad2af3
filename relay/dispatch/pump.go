package dispatch

import (
	"cmp"
	"slices"
	"time"

	"omnirelay/queue"
	"omnirelay/relay"
)

// schedule puts a lane with a new head where it belongs.
func (d *destination) schedule(l *lane) {
	if wait := l.head().due; wait.After(time.Now()) {
		d.park(l, wait)
		return
	}
	l.state = laneReady
	d.ready = append(d.ready, l)
}

// park lets a lane wait for its head's next attempt. Its bodies stay in the log meanwhile.
func (d *destination) park(l *lane, until time.Time) {
	l.state = laneWaiting
	for i := range l.items {
		d.shed(&l.items[i])
	}
	l.alarm = d.w.timers.add(until, func() {
		l.state = laneReady
		d.ready = append(d.ready, l)
		d.pump()
	})
}

// unready takes a lane out of the queue and ends its wait.
func (d *destination) unready(l *lane) {
	l.alarm.stop()
	if i := slices.Index(d.ready, l); i >= 0 {
		d.ready = slices.Delete(d.ready, i, i+1)
	}
}

// pump starts whatever may start now, then reads more of the backlog if there is room.
func (d *destination) pump() {
	if d.replay != "" {
		d.reopen()
		return
	}
	if d.breaker.open {
		d.probe()
	}
	for len(d.ready) > 0 && d.mayStart(d.ready[0]) {
		l := d.ready[0]
		d.ready[0] = nil
		d.ready = d.ready[1:]
		d.start(l)
	}
	d.fill()
}

func (d *destination) mayStart(l *lane) bool {
	if d.held || d.breaker.open || d.w.stopping || d.w.behind() || !d.w.valid() ||
		d.inflight >= min(d.window, d.concurrency()) {
		return false
	}
	if d.limiter == nil || l.head().entry == nil { // reading a body back sends nothing yet
		return true
	}
	r := d.limiter.Reserve()
	wait := r.Delay()
	if wait == 0 {
		return true
	}
	r.Cancel()
	d.later(time.Now().Add(wait))
	return false
}

// later pumps again at a time.
func (d *destination) later(at time.Time) {
	if d.wake != nil && d.wake.f != nil && !d.wake.at.After(at) {
		return
	}
	d.wake.stop()
	d.wake = d.w.timers.add(at, func() {
		d.wake = nil
		d.pump()
	})
}

func (d *destination) concurrency() int { return max(d.policy.Concurrency, 1) }

// probe sends one message alone when the open breaker's wait is over: of the messages whose
// turn it is the one that was sent least recently, and the oldest of those that were not. A
// message that alone makes the endpoint fail thus cannot stand for the endpoint: the next
// probe carries another conversation's.
func (d *destination) probe() {
	if d.held || d.w.stopping || d.w.behind() || !d.w.valid() || d.inflight > 0 || d.loading {
		return
	}
	if d.breaker.openUntil.After(time.Now()) {
		d.later(d.breaker.openUntil)
		return
	}
	var next *lane
	for _, l := range d.lanes {
		if next == nil || cmp.Or(l.tried.Compare(next.tried), cmp.Compare(l.head().pos, next.head().pos)) < 0 {
			next = l
		}
	}
	if next == nil || (!next.tried.IsZero() && !d.looked && d.backlog > 0 && d.room()) {
		return // fill reads one, or looks for one that was not sent yet
	}
	d.unready(next)
	d.start(next)
}

// start begins with a lane's head: reads its body if needed, sends it, or lets it expire.
func (d *destination) start(l *lane) {
	l.state = laneBusy
	d.inflight++
	it := l.head()
	if it.entry == nil {
		d.fetch(l)
		return
	}
	t := d.trial(it)
	if d.exists && t.expiredAt(t.now) {
		d.settle(l, t.settled(relay.ReasonExpired))
		return
	}
	t.probe = d.breaker.open
	l.tried, d.looked = t.startedAt, false
	d.w.background(func() func() {
		r := d.w.o.Sender.Deliver(d.w.work, t.entry)
		return func() { d.ended(l, t, r) }
	})
}

// fetch reads the body of a busy lane's head and puts the lane first in the queue.
func (d *destination) fetch(l *lane) {
	d.w.load([]relay.Position{l.head().pos}, 0, func(got []loaded) {
		d.inflight--
		switch err := got[0].err; {
		case err == nil:
			d.reload(l.head(), got[0].entry)
			l.state = laneReady
			d.ready = slices.Insert(d.ready, 0, l)
		case transient(err):
			d.w.log.Warn().Err(err).Str("destination", string(d.name)).Msg("reading a message back failed; trying again")
			d.park(l, time.Now().Add(time.Second))
		default:
			d.unreadable(got[0])
			d.next(l)
		}
		d.pump()
	})
}

// unreadable settles a message that is not in the log any more or cannot be decoded: there
// is nothing to send and nothing to bury.
func (d *destination) unreadable(g loaded) {
	d.w.log.Error().Err(g.err).Str("destination", string(d.name)).Msg("an accepted message cannot be read; it is given up")
	e := relay.Entry{Shard: d.w.shard, Position: g.pos}
	e.Destination = d.name
	a := (&trial{entry: &e, startedAt: time.Now()}).settled(relay.ReasonUndeliverable)
	a.Error = g.err.Error()
	d.conclude(a, &e)
}

func (d *destination) trial(it *item) *trial {
	now := time.Now()
	born := it.entry.AcceptedAt
	if again := d.w.state.ReopenedAt(d.name, it.pos); again.After(born) && it.entry.Kind != relay.KindEvent {
		born = again
	}
	return &trial{
		entry:     it.entry,
		policy:    d.policy,
		attempts:  it.attempts,
		stumbles:  it.stumbles,
		born:      born,
		held:      d.w.o.Holds.HeldSince(d.name, born),
		startedAt: now,
		now:       now,
	}
}

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
		it := l.head()
		it.attempts, it.due = a.Number, a.NextAt
		l.fault = a.Reason.Fault()
		if it.stumbles++; l.fault != relay.ServiceFault {
			it.stumbles = 0
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
	d.window = min(d.window*2, d.concurrency())
	if d.breaker.success() {
		// Slow start: the endpoint has just come back.
		d.window = 1
		d.w.breakerChanged(d, r.Reason)
		d.dueNow(func(l *lane) bool { return l.fault == relay.EndpointFault })
	}
}

// empty leaves the bodies of everything that is not on its way to the log.
func (d *destination) empty() {
	for _, l := range d.lanes {
		if l.state == laneBusy {
			for i := range l.items[1:] {
				d.shed(&l.items[i+1])
			}
			continue
		}
		for i := range l.items {
			d.shed(&l.items[i])
		}
	}
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
