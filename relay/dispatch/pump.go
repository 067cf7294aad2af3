package dispatch

import (
	"cmp"
	"slices"
	"time"

	"omnirelay/relay"
)

// schedule puts a lane with a new head where it belongs.
func (d *destination) schedule(l *lane) {
	l.lead(d.w.state.Retry(l.head().pos))
	if d.exists && l.due.After(time.Now()) { // what was deleted has nothing to wait for
		d.park(l, l.due)
		return
	}
	l.state = laneReady
	d.ready = append(d.ready, l)
}

// park lets a lane wait for its head's next attempt. Its bodies stay in the log meanwhile, but
// for a small one of its head; see keeps.
func (d *destination) park(l *lane, until time.Time) {
	l.state = laneWaiting
	d.unload(l)
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
		d.spareSlot()
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
	d.spareSlot()
	d.fill()
	d.retire()
}

// retire forgets a destination that was deleted and has nothing left to settle.
func (d *destination) retire() {
	done := !d.exists && len(d.lanes) == 0 && d.backlog == 0 && d.inflight == 0 && !d.loading
	if done && d.w.dests[d.name] == d {
		d.leaveLine()
		delete(d.w.dests, d.name)
	}
}

func (d *destination) mayStart(l *lane) bool {
	if d.held || d.breaker.open || d.w.stopping || d.w.behind() || !d.w.valid() ||
		d.inflight >= min(d.window, d.concurrency()) {
		return false
	}
	if l.head().entry == nil { // reading a body back sends nothing yet
		return true
	}
	if !d.mayRequest() {
		return false
	}
	if d.limiter == nil {
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
	if next.head().entry != nil && !d.mayRequest() {
		return
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
	t.attempts, t.stumbles = l.attempts, l.stumbles
	if d.exists && t.expiredAt(t.now) {
		d.settle(l, t.settled(relay.ReasonExpired))
		return
	}
	t.probe = d.breaker.open
	l.tried, d.looked = t.startedAt, d.breaker.open && !d.w.o.looks.Allow()
	slot := d.useSlot()
	d.w.background(func() func() {
		r := d.w.o.Sender.Deliver(d.w.work, t.entry)
		d.w.o.slots.give(slot)
		return func() { d.ended(l, t, r) }
	})
}

// fetch reads the body of a busy lane's head and puts the lane first in the queue.
func (d *destination) fetch(l *lane) {
	d.w.load([]relay.Position{l.head().pos}, func() int64 { return 0 }, func(got []loaded) {
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
		born:      born,
		held:      d.w.o.Holds.HeldSince(d.name, born),
		startedAt: now,
		now:       now,
	}
}
