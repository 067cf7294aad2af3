package dispatch

import (
	"golang.org/x/time/rate"

	"omnirelay/queue"
	"omnirelay/relay"
)

// destination is one endpoint's messages in memory. Those at or below the cursor are in
// lanes or settled; those above it, the backlog, are one bit each in the State and are read
// at the destination's own pace. With no backlog it is attached: messages come straight from
// the shard's shared reader. There is no other difference between the two, so falling behind
// and catching up need no hand-over.
type destination struct {
	w    *Owner
	name relay.Destination

	policy  relay.Policy
	exists  bool
	held    bool
	breaker breaker
	limiter *rate.Limiter // nil without a rate limit

	cursor  relay.Position
	backlog uint64 // open positions above cursor
	loading bool
	looked  bool   // the backlog was searched for another conversation since the last attempt
	replay  string // id of a replay that waits for the attempts in flight; starts nothing meanwhile

	lanes    map[string]*lane
	ready    []*lane // in the order in which they may start
	inflight int
	window   int   // requests that may be in flight now; grows to policy.Concurrency
	bodies   int   // messages whose body is in memory
	bytes    int64 // of these bodies
	reserved int64 // bytes that the read under way may bring
	waiting  int   // positions in lanes without a body
	wake     *alarm

	answered bool    // the endpoint has answered since the owner began
	slot     bool    // there is a slot for the next request; see slots
	slotRank rank    // of the slot, or of ticket
	ticket   *ticket // while the destination stands in line for one
}

// firstWindow is how many requests a destination gets at once before it has answered any;
// each success doubles the number, each endpoint fault halves it. An endpoint that hangs
// thus ties up few connections.
const firstWindow = 4

func newDestination(w *Owner, name relay.Destination) *destination {
	d := &destination{
		w:       w,
		name:    name,
		lanes:   map[string]*lane{},
		window:  firstWindow,
		breaker: breaker{threshold: w.o.BreakerFaults, maxWait: w.o.BreakerMaxWait, faults: w.state.Faults(name)},
	}
	d.refresh()
	if d.exists && d.breaker.faults >= d.breaker.threshold {
		// It was down before the restart: begin with one probe instead of a burst.
		d.breaker.open = true
		w.o.Metrics.breakerOpened(1)
	}
	return d
}

// refresh takes over changed settings.
func (d *destination) refresh() {
	d.policy, d.exists = d.w.policyOf(d.name)
	d.held = d.exists && d.w.o.Holds.Held(d.name)
	if d.held {
		d.empty()
	}
	switch {
	case d.policy.RateLimit <= 0:
		d.limiter = nil
	case d.limiter == nil:
		d.limiter = rate.NewLimiter(rate.Limit(d.policy.RateLimit), max(1, d.policy.RateBurst))
	default:
		d.limiter.SetLimit(rate.Limit(d.policy.RateLimit))
		d.limiter.SetBurst(max(1, d.policy.RateBurst))
	}
	if !d.exists {
		// What is left becomes dead letters now, whatever it was waiting for.
		d.closeBreaker()
		d.leaveLine()
		d.dueNow(func(*lane) bool { return true })
	}
}

// rewind forgets the lanes and reads everything open from the log again: after a restart,
// and after a replay has opened messages below the cursor. No attempt may be in flight.
func (d *destination) rewind() {
	for _, l := range d.lanes {
		l.alarm.stop()
		for i := range l.items {
			d.leave(&l.items[i])
		}
	}
	clear(d.lanes)
	d.ready = nil
	d.cursor = 0
	d.backlog = d.w.state.Open(d.name)
}

// arrive takes a message from the shared reader.
func (d *destination) arrive(r queue.Record) {
	if d.backlog > 0 || !d.takes() {
		d.backlog++
		d.pump()
		return
	}
	d.cursor = r.Position
	e, err := r.Entry()
	d.admit(loaded{pos: r.Position, entry: e, err: err})
	if d.breaker.open {
		d.empty()
	}
	d.pump()
}

// takes reports whether the next message may go into its lane. While the breaker is open a few
// may: the next probe should carry the one of another conversation.
func (d *destination) takes() bool {
	if d.blocked() {
		return d.breaker.open && !d.held && d.replay == "" && !d.w.stopping &&
			d.waiting+d.bodies < min(probeLanes, d.w.o.Bounds.Waiting)
	}
	return d.room()
}

// probeLanes is how many messages a destination whose breaker is open takes into its lanes.
const probeLanes = 4

// blocked reports whether nothing may be sent for now, so that nothing need be in memory.
func (d *destination) blocked() bool {
	return d.held || d.breaker.open || d.replay != "" || d.w.stopping
}

// admit puts a message at the end of its conversation's lane.
func (d *destination) admit(g loaded) {
	if g.err != nil {
		d.unreadable(g)
		return
	}
	e := g.entry
	it := item{pos: g.pos, entry: e}
	l := d.lanes[e.Conversation]
	if l == nil {
		l = &lane{conversation: e.Conversation}
		d.lanes[e.Conversation] = l
	} else if e.Kind == relay.KindEvent {
		d.supersede(l, e)
	}
	d.join(&it)
	if l.state == laneWaiting && len(l.items) > 0 {
		d.shed(&it)
	}
	l.items = append(l.items, it)
	if len(l.items) == 1 {
		d.schedule(l)
	}
}

// supersede ends an older event of the same sort that has not been sent yet: of typing
// indicators only the newest is worth anything.
func (d *destination) supersede(l *lane, newer *relay.Entry) {
	last := len(l.items) - 1
	if last < 0 || (last == 0 && l.state == laneBusy) {
		return
	}
	it := &l.items[last]
	if it.entry == nil || it.entry.Kind != relay.KindEvent || it.entry.Type != newer.Type {
		return
	}
	d.conclude(d.trial(it).settled(relay.ReasonSuperseded), it.entry)
	d.leave(it)
	l.items = l.items[:last]
	if last == 0 {
		d.unready(l)
	}
}

// join, shed, reload and leave account for what a message takes in memory.
func (d *destination) join(it *item) {
	d.bodies++
	d.count(int64(it.entry.Size))
}

// shed leaves a waiting message's body to the log.
func (d *destination) shed(it *item) {
	if it.entry != nil {
		d.leave(it)
		d.waiting++
	}
}

func (d *destination) reload(it *item, e *relay.Entry) {
	it.entry = e
	d.waiting--
	d.join(it)
}

func (d *destination) leave(it *item) {
	if it.entry == nil {
		d.waiting--
		return
	}
	d.bodies--
	d.count(-int64(it.entry.Size))
	it.entry = nil
}

func (d *destination) reserve(bytes int64) {
	d.w.o.memory.add(bytes - d.reserved)
	d.reserved = bytes
}

func (d *destination) count(bytes int64) {
	d.bytes += bytes
	d.w.o.memory.add(bytes)
}
