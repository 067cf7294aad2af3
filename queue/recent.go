package queue

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"omnirelay/relay"
)

// recent is the end of one shard's log, kept in memory from when the server acknowledged it
// until the shard's reader has taken it: what this process has just appended need not come
// back through a consumer and be decoded again. What is not here, for whatever reason, is read
// from the log, so this may forget anything at any time, but for which position is the newest.
//
// That one it knows in a store that is ours alone, where every append's acknowledgement comes
// through here. One that comes too late for its append, or never, makes it unsure; the reader
// then looks at the log itself.
type recent struct {
	mu     sync.Mutex
	ring   [recentMost]*relay.Entry // by position
	bytes  int
	newest relay.Position // the last that was stored
	passed relay.Position // the last that the reader has taken or found elsewhere
	unsure bool           // newest may be too low
	wake   chan struct{}  // holds a token when newest or unsure has changed
}

const (
	// recentMost and recentBytes bound what waits for the reader: messages, and their bytes as
	// stored. A reader that falls farther behind goes on in the log.
	recentMost  = 1024
	recentBytes = 1 << 20
	// takeMost is how many messages the reader takes at once.
	takeMost = 64
	// lookEvery is how often a reader without work looks whether it is right in that.
	lookEvery = time.Minute
)

func newRecent() *recent { return &recent{unsure: true, wake: make(chan struct{}, 1)} }

// put takes in what has just been stored.
func (r *recent) put(pos relay.Position, e *relay.Entry) {
	r.mu.Lock()
	r.newest = max(r.newest, pos)
	if pos > r.passed {
		r.drop(pos)
		if r.bytes+e.Size <= recentBytes {
			e.Position = pos
			r.ring[pos%recentMost] = e
			r.bytes += e.Size
		}
	}
	r.mu.Unlock()
	r.tell()
}

// doubt says that something may have been stored that nobody was told of.
func (r *recent) doubt() {
	r.mu.Lock()
	r.unsure = true
	r.mu.Unlock()
	r.tell()
}

// tell wakes the reader.
func (r *recent) tell() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// drop empties the place of a position.
func (r *recent) drop(pos relay.Position) {
	if place := &r.ring[pos%recentMost]; *place != nil {
		r.bytes -= (*place).Size
		*place = nil
	}
}

// remember returns what is to be called when a message has been stored, for the shard's reader.
func (l *Log) remember(shard int, m *relay.Message, size int) func(ack) {
	if l.recent == nil {
		return nil
	}
	e := &relay.Entry{Message: *m, Shard: shard, Size: size}
	return func(a ack) {
		if !a.duplicate {
			l.recent[shard].put(a.seq, e)
		}
	}
}

// doubt makes the readers look at the logs themselves.
func (l *Log) doubt() {
	for _, r := range l.recent {
		r.doubt()
	}
}

// take moves to the reader what comes right after a position. When it returns nothing and
// newest is beyond the position, what comes next is in the log only.
func (r *recent) take(after relay.Position, got []*relay.Entry) (_ []*relay.Entry, newest relay.Position, sure bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if after > r.passed+recentMost {
		clear(r.ring[:])
		r.bytes, r.passed = 0, after
	}
	for ; r.passed < after; r.passed++ {
		r.drop(r.passed + 1)
	}
	for len(got) < takeMost {
		e := r.ring[(after+1)%recentMost]
		if e == nil || e.Position != after+1 {
			break
		}
		got = append(got, e)
		r.drop(e.Position)
		after = e.Position
		r.passed = after
	}
	return got, r.newest, !r.unsure
}

// look asks the log which position is the newest.
func (r *recent) look(ctx context.Context, s jetstream.Stream) error {
	r.mu.Lock()
	r.unsure = false // before the question: what comes up meanwhile asks for another
	r.mu.Unlock()
	info, err := s.Info(ctx)
	if err != nil {
		r.doubt()
		return fmt.Errorf("looking at the end of stream %s: %w", s.CachedInfo().Config.Name, err)
	}
	r.mu.Lock()
	r.newest = max(r.newest, info.State.LastSeq)
	r.mu.Unlock()
	return nil
}

// followRecent is follow in a store that is ours alone.
func (l *Log) followRecent(ctx context.Context, shard int, after relay.Position, each func(Record)) (last relay.Position, err error) {
	r, stream := l.recent[shard], l.messages[shard]
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	if err := r.look(ctx, stream); err != nil {
		return after, err
	}
	for got := make([]*relay.Entry, 0, takeMost); ctx.Err() == nil; {
		var newest relay.Position
		var sure bool
		got, newest, sure = r.take(after, got[:0])
		switch {
		case len(got) > 0:
			for i, e := range got {
				after = e.Position
				each(Record{Shard: shard, Position: after, Destination: e.Destination, entry: e})
				got[i] = nil
			}
		case !sure:
			if err := r.look(ctx, stream); err != nil {
				return after, err
			}
		case newest > after:
			err := scan(ctx, stream, scanRange{after: after}, func(m jetstream.Msg, meta *jetstream.MsgMetadata) (bool, error) {
				after = meta.Sequence.Stream
				each(Record{Shard: shard, Position: after, Destination: messageDestination(m.Subject()), Data: m.Data()})
				return ctx.Err() == nil, nil
			})
			if err != nil {
				return after, fmt.Errorf("shard %d: %w", shard, err)
			}
			if ctx.Err() == nil {
				after = max(after, newest) // what the log does not have was purged
			}
		default:
			select {
			case <-r.wake:
			case <-look.C:
				r.doubt()
			case <-ctx.Done():
			}
		}
	}
	return after, context.Cause(ctx)
}
