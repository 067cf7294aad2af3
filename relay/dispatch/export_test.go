package dispatch

import (
	"errors"
	"fmt"
	"time"

	"omnirelay/relay"
)

// Trial is what a verdict depends on, for tests of the pure decision.
type Trial struct {
	Entry     relay.Entry
	Policy    relay.Policy
	Attempts  int
	Probe     bool
	ProbeNext time.Time
	Held      time.Duration
	Now       time.Time
}

// Attempt is the decision.
func (t Trial) Attempt(r relay.Result) relay.Attempt {
	return (&trial{
		entry: &t.Entry, policy: t.Policy, attempts: t.Attempts, probe: t.Probe,
		probeNext: t.ProbeNext, born: t.Entry.AcceptedAt, held: t.Held, startedAt: t.Now, now: t.Now,
	}).attempt(r)
}

// MaxRetryAfter is how far a Retry-After can put off an attempt, at the least.
const MaxRetryAfter = maxRetryAfter

// View is what an owner holds of one destination at a moment.
type View struct {
	Lanes, Bodies, Waiting, Inflight, Window int
	Bytes                                    int64
	Backlog, Open                            uint64
	BreakerOpen, Held                        bool
}

// View looks at a destination on its owner's loop.
func (d *Dispatcher) View(name relay.Destination) (v View) {
	d.onLoop(d.o.Log.ShardOf(name), func(w *Owner) {
		if dest := w.dests[name]; dest != nil {
			v = View{
				Lanes: len(dest.lanes), Bodies: dest.bodies, Waiting: dest.waiting, Inflight: dest.inflight,
				Window: dest.window, Bytes: dest.bytes, Backlog: dest.backlog, Open: w.state.Open(name),
				BreakerOpen: dest.breaker.open, Held: dest.held,
			}
		}
	})
	return v
}

// Audit counts what the destinations hold and compares it with what they believe, and with
// the bounds.
func (d *Dispatcher) Audit() (err error) {
	for _, shard := range d.Owned() {
		d.onLoop(shard, func(w *Owner) {
			for _, dest := range w.dests {
				err = errors.Join(err, dest.audit())
			}
		})
	}
	return err
}

// MemoryUsed is how many bytes of bodies the process believes to hold.
func (d *Dispatcher) MemoryUsed() int64 { return d.o.memory.used.Load() }

// Frozen is the first half of Snapshot, and returns the second.
func (s *State) Frozen() (write func() ([]byte, error), err error) {
	snap, err := s.freeze()
	return snap.encode, err
}

// Slots is how many requests are under way, and how many destinations wait for a slot.
func (d *Dispatcher) Slots() (under, waiting int) {
	s := d.o.slots
	s.mu.Lock()
	defer s.mu.Unlock()
	for r := range ranks {
		under += s.used[r]
		waiting += len(s.line[r])
	}
	return under, waiting
}

// SetReopenMost makes replays take several records, for tests.
func (o *Options) SetReopenMost(n int) { o.reopenMost = n }

// SetRetainEvery lets tests of days do without thousands of looks at the log's size.
func (o *Options) SetRetainEvery(d time.Duration) { o.retainEvery = d }

func (d *Dispatcher) onLoop(shard int, f func(*Owner)) {
	d.mu.Lock()
	r := d.owners[shard]
	d.mu.Unlock()
	if r == nil {
		return
	}
	done := make(chan struct{})
	r.owner.Do(func() {
		f(r.owner)
		close(done)
	})
	select {
	case <-done:
	case <-r.done:
	}
}

func (d *destination) audit() error {
	var bodies, waiting, busy, queued int
	var bytes int64
	for name, l := range d.lanes {
		if len(l.items) == 0 {
			return fmt.Errorf("%s: lane %s is empty", d.name, name)
		}
		if l.state == laneBusy {
			busy++
		}
		if l.state == laneReady {
			queued++
		}
		last := relay.Position(0)
		for _, it := range l.items {
			if it.pos <= last {
				return fmt.Errorf("%s: lane %s holds %d after %d", d.name, name, it.pos, last)
			}
			if last = it.pos; it.pos > d.cursor {
				return fmt.Errorf("%s: lane %s holds %d, above the cursor %d", d.name, name, it.pos, d.cursor)
			}
			if it.entry == nil {
				waiting++
				continue
			}
			bodies++
			bytes += int64(it.entry.Size)
		}
	}
	if bodies != d.bodies || waiting != d.waiting || bytes != d.bytes {
		return fmt.Errorf("%s holds %d bodies, %d bytes, %d positions and believes %d, %d, %d",
			d.name, bodies, bytes, waiting, d.bodies, d.bytes, d.waiting)
	}
	if busy != d.inflight || queued != len(d.ready) {
		return fmt.Errorf("%s has %d busy and %d ready lanes and believes %d and %d", d.name, busy, queued, d.inflight, len(d.ready))
	}
	if above := len(d.w.state.OpenAfter(d.name, d.cursor, 1<<30, nil)); uint64(above) != d.backlog {
		return fmt.Errorf("%s has a backlog of %d and believes %d", d.name, above, d.backlog)
	}
	b := d.w.o.Bounds
	// Heads are read back beyond the bound, at most one for each request that may be in flight.
	if most := b.QueueMessages + d.policy.Concurrency; bodies > most {
		return fmt.Errorf("%s holds %d bodies, more than %d", d.name, bodies, most)
	}
	if most := b.Waiting + b.QueueMessages + d.policy.Concurrency; waiting > most {
		return fmt.Errorf("%s holds %d positions, more than %d", d.name, waiting, most)
	}
	return nil
}
