package queue

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go/jetstream"

	"omnirelay/relay"
)

// deadIndex remembers where dead letters lie: an operator who replays thousands after an outage
// asks for one after another, and without it the box would be read from each one's time on. The
// first search builds it, later ones read what was buried since, and it is forgotten when
// nobody has searched for a while. It takes 16 bytes a letter.
type deadIndex struct {
	mu     sync.Mutex
	seed   maphash.Seed
	since  time.Time   // letters that were buried earlier are left out
	upTo   uint64      // the box is read up to here
	places []deadPlace // in the order of burial; some may be empty by now
	forget *time.Timer
}

type deadPlace struct{ id, seq uint64 } // the id is a hash

const (
	// deadIndexKept is for how long after a search the places are remembered.
	deadIndexKept = time.Minute
	// clocksApart is how far the clocks of those who make ids may be ahead of the store's.
	clocksApart = 10 * time.Minute
)

func newDeadIndex() *deadIndex {
	x := &deadIndex{seed: maphash.MakeSeed()}
	x.forget = time.AfterFunc(deadIndexKept, func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.clear(time.Time{})
	})
	return x
}

func (x *deadIndex) close() { x.forget.Stop() }

func (x *deadIndex) clear(since time.Time) { x.since, x.upTo, x.places = since, 0, nil }

// find returns the sequences at which a letter may be kept, oldest first.
func (x *deadIndex) find(ctx context.Context, s jetstream.Stream, id relay.ID) (seqs []uint64, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.forget.Reset(deadIndexKept)
	// No letter is buried before its message was accepted, and an id tells when that was. Whoever
	// goes on with an older one may go on to the oldest.
	since := id.Time()
	if now := time.Now(); now.Before(since) {
		since = now
	}
	since = since.Add(-clocksApart)
	switch {
	case x.upTo == 0:
		x.clear(since)
	case since.Before(x.since):
		x.clear(time.Time{})
	}
	if err := x.read(ctx, s); err != nil {
		return nil, err
	}
	wanted := maphash.String(x.seed, string(id))
	for _, p := range x.places {
		if p.id == wanted {
			seqs = append(seqs, p.seq)
		}
	}
	return seqs, nil
}

// read takes in what was buried since the last time.
func (x *deadIndex) read(ctx context.Context, s jetstream.Stream) error {
	info, err := s.Info(ctx)
	if err != nil {
		return fmt.Errorf("looking for dead letters: %w", err)
	}
	if x.upTo > 0 && info.State.LastSeq <= x.upTo {
		return nil
	}
	r := scanRange{filter: deadSubject(""), after: x.upTo}
	if x.upTo == 0 {
		r.since = x.since
	}
	return scan(ctx, s, r, func(m jetstream.Msg, meta *jetstream.MsgMetadata) (bool, error) {
		var d struct {
			Message struct {
				ID string `json:"id"`
			} `json:"message"`
		}
		if err := jsonv2.Unmarshal(m.Data(), &d); err != nil {
			return false, fmt.Errorf("decoding dead letter %d: %w", meta.Sequence.Stream, err)
		}
		x.upTo = meta.Sequence.Stream
		x.places = append(x.places, deadPlace{maphash.String(x.seed, d.Message.ID), x.upTo})
		return true, nil
	})
}
