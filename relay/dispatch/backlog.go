package dispatch

import (
	"time"

	"omnirelay/relay"
)

// fillMost is how many messages of a backlog are read in one go.
const fillMost = 64

// room reports whether one more body may be in memory.
func (d *destination) room() bool {
	b := &d.w.o.Bounds
	return d.waiting < b.Waiting && d.bodies < b.QueueMessages &&
		(d.bodies == 0 || d.bytes < d.budget())
}

// budget is how many bytes of bodies the destination may have in memory now. One body it may
// have in any case.
func (d *destination) budget() int64 {
	return min(d.w.o.Bounds.QueueBytes, d.w.o.memory.share())
}

// fill reads the next part of the backlog.
func (d *destination) fill() {
	if d.backlog == 0 || d.loading || d.held || d.replay != "" || d.w.stopping || !d.room() {
		return
	}
	next := d.part()
	if len(next) == 0 {
		return
	}
	d.loading = true
	// Many destinations may read at once, as after a restart: what this one is about to hold
	// counts as soon as it is read.
	begin := func() int64 {
		d.reserve(max(d.budget()-d.bytes, 0))
		return d.reserved
	}
	d.w.load(next, begin, func(got []loaded) {
		d.loading = false
		d.reserve(0)
		for _, g := range got {
			if transient(g.err) {
				d.looked = false
				d.w.log.Warn().Err(g.err).Str("destination", string(d.name)).Msg("reading a backlog failed; trying again")
				d.later(time.Now().Add(time.Second))
				return
			}
			if g.pos <= d.cursor {
				return // rewound meanwhile
			}
			d.cursor = g.pos
			d.backlog--
			d.admit(g)
		}
		if d.blocked() {
			d.empty()
		}
		d.pump()
	})
}

// part is what of the backlog is to be read now.
func (d *destination) part() []relay.Position {
	most := d.w.o.Bounds.QueueMessages
	n := min(fillMost, most-d.bodies)
	if d.breaker.faults == 0 {
		if n < min(fillMost, most/2) {
			return nil // a part at a time: what is there is enough for now
		}
		return d.w.state.OpenAfter(d.name, d.cursor, n, nil)
	}
	if !d.maySearch() {
		return nil
	}
	d.looked = true
	return near(d.w.state.OpenAfter(d.name, d.cursor, n, nil))
}

// maySearch reports whether a backlog whose endpoint failed last may be searched for another
// conversation, which may fare better, when there is none to try: once for each attempt, and as
// often as the bound for all allows where it may be one conversation that makes its endpoint
// fail, with many messages before the next one's. An endpoint that hangs would have its whole
// backlog read otherwise, for nothing but to learn which lanes it waits in, and hundreds of them
// would keep the log's blocks in memory.
func (d *destination) maySearch() bool {
	now := time.Now()
	due := !d.looked || len(d.lanes) == 0
	switch {
	case d.inflight > 0:
		return false
	case d.breaker.open:
		return due && !d.breaker.openUntil.After(now)
	case len(d.ready) > 0:
		return false
	case due || d.w.o.searches.Allow():
		return true
	}
	d.later(now.Add(searchWait))
	return false
}

// searchWait is when to ask again whether a backlog may be searched.
const searchWait = time.Second

// lookSpan is about how many positions of the log one of its blocks holds.
const lookSpan = 4096

// near is what of the positions is close to the first: every read may bring a whole block of the
// log into memory, and there may be thousands of destinations that read to probe with.
func near(positions []relay.Position) []relay.Position {
	for i, pos := range positions {
		if pos > positions[0]+lookSpan {
			return positions[:i]
		}
	}
	return positions
}
