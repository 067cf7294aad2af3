package dispatch

import (
	"cmp"
	"context"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"omnirelay/queue"
	"omnirelay/relay"
)

// Sender makes one attempt at delivering a message. A Sender whose ctx ended may return
// anything: the result is not looked at.
type Sender interface {
	Deliver(ctx context.Context, e *relay.Entry) relay.Result
}

// Catalog knows how messages are delivered to a destination at this moment.
type Catalog interface {
	// Policy returns the destination's policy, and false when the destination has been
	// deleted: its messages are then settled without waiting.
	Policy(d relay.Destination) (p relay.Policy, exists bool)
}

// Holds knows which destinations an operator has paused.
type Holds interface {
	Held(d relay.Destination) bool
	// HeldSince is for how much of the time since t the destination was on hold.
	HeldSince(d relay.Destination, t time.Time) time.Duration
	// Hold pauses a destination in the name of the relay itself.
	Hold(ctx context.Context, d relay.Destination, by, why string) error
	// Subscribe has f called after every change.
	Subscribe(f func(relay.Destination)) (cancel func())
}

// Observer is told of attempts that have ended.
type Observer interface {
	// Wants reports whether a message's attempts are to be told of. It is asked on the
	// owner's loop and must not wait for anything.
	Wants(e *relay.Entry) bool
	// Observe is called before the attempt is recorded, once or more: after an error it is
	// called again, for as long as it takes, and the message's lane waits. A crash can
	// repeat a call, too.
	Observe(ctx context.Context, e *relay.Entry, a relay.Attempt) error
}

// Bounds limits what owners keep in memory.
type Bounds struct {
	QueueMessages int   // bodies of one destination; default 256
	QueueBytes    int64 // of one destination; default 4 MiB
	TotalBytes    int64 // bodies of all destinations; default 64 MiB
	Waiting       int   // positions that wait in one destination's lanes; default 65,536
}

// Options are an owner's surroundings.
type Options struct {
	Log     *queue.Log
	Sender  Sender
	Catalog Catalog
	Holds   Holds
	Replays *queue.Replays
	Bounds  Bounds

	// Requests is how many may be under way at once over all destinations; default 4096. See
	// slots for who gets them when there are too few.
	Requests int

	Observer Observer // may be nil

	BreakerFaults  int           // consecutive endpoint faults that open a breaker; default 5
	BreakerMaxWait time.Duration // longest wait between probes; default 5m
	SnapshotEvery  time.Duration // how often a changed state is saved; default 15s

	Metrics *Metrics // may be nil
	Logger  zerolog.Logger

	reopenMost  int           // messages that one record of a replay opens again
	retainEvery time.Duration // how often an owner looks whether its log needs less history
	memory      *memory       // shared by the owners of one process
	slots       *slots        // likewise
	looks       *rate.Limiter // for all of them: searches of backlogs for another conversation to probe with
	searches    *rate.Limiter // the same where the breaker is still closed, beyond one for each attempt
}

func (o Options) withDefaults() Options {
	o.Bounds.QueueMessages = cmp.Or(o.Bounds.QueueMessages, 256)
	o.Bounds.QueueBytes = cmp.Or(o.Bounds.QueueBytes, 4<<20)
	o.Bounds.TotalBytes = cmp.Or(o.Bounds.TotalBytes, 64<<20)
	o.Bounds.Waiting = cmp.Or(o.Bounds.Waiting, 1<<16)
	o.BreakerFaults = cmp.Or(o.BreakerFaults, 5)
	o.BreakerMaxWait = cmp.Or(o.BreakerMaxWait, 5*time.Minute)
	o.SnapshotEvery = cmp.Or(o.SnapshotEvery, 15*time.Second)
	o.reopenMost = cmp.Or(o.reopenMost, reopenMost)
	o.retainEvery = cmp.Or(o.retainEvery, retainEvery)
	if o.memory == nil {
		o.memory = &memory{total: o.Bounds.TotalBytes}
	}
	if o.slots == nil {
		o.slots = newSlots(cmp.Or(o.Requests, 4096), o.Metrics)
	}
	if o.looks == nil {
		o.looks = rate.NewLimiter(rate.Every(4*time.Second), 10)
	}
	if o.searches == nil {
		o.searches = rate.NewLimiter(8, 32)
	}
	return o
}

// memory is what the message bodies of a process may take. A destination may hold up to a
// sixteenth of what is still free, so that many slow destinations together still leave room
// for the others (the "dynamic threshold" of shared-memory switches, Choudhury and Hahne).
type memory struct {
	total int64
	used  atomic.Int64
}

func (m *memory) add(n int64) { m.used.Add(n) }

func (m *memory) share() int64 { return (m.total - m.used.Load()) / 16 }

// roomy reports whether there is room for what need not be in memory.
func (m *memory) roomy() bool { return m.used.Load() < m.total/4 }
