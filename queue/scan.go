package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// scanRange is what part of a stream a scan reads.
type scanRange struct {
	filter string
	after  uint64    // sequences up to here are left out
	since  time.Time // instead of after: records stored earlier are left out
	upTo   uint64    // the record of this sequence is there: it must be seen, however late
}

const (
	// scanPatience is how long a scan waits before it looks whether what it waits for is
	// gone.
	scanPatience = 2 * time.Second
	// scanTries is how often a scan that gets nowhere is begun.
	scanTries = 3
)

// scan reads what is in a stream now, oldest first, until each returns false or the end is
// reached. Records that are stored while it runs may be seen or not. In a cluster it may read
// from a replica that lags behind by some milliseconds; upTo says what is not to be missed.
func scan(ctx context.Context, s jetstream.Stream, r scanRange, each func(jetstream.Msg, *jetstream.MsgMetadata) (bool, error)) error {
	for try := 1; ; try++ {
		p := pass{scanRange: r, seen: r.after, each: each}
		err := p.run(ctx, s)
		switch {
		case err == nil || p.refused:
			return err
		case ctx.Err() != nil:
			return fmt.Errorf("reading: %w", context.Cause(ctx))
		case p.seen > r.after:
			// What was seen is not read again.
			r.after, r.since, try = p.seen, time.Time{}, 0
		case try == scanTries:
			return err
		}
	}
}

// pass is one go at a scan, which ends where a server does.
type pass struct {
	scanRange
	each    func(jetstream.Msg, *jetstream.MsgMetadata) (bool, error)
	seen    uint64
	refused bool // by each
}

func (p *pass) run(ctx context.Context, s jetstream.Stream) error {
	c := jetstream.ConsumerConfig{InactiveThreshold: 30 * time.Second, FilterSubject: p.filter}
	if p.since.IsZero() {
		c.DeliverPolicy, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, p.after+1
	} else {
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &p.since
	}
	r, err := openReader(ctx, s, c)
	if err != nil {
		return err
	}
	defer r.close()
	defer context.AfterFunc(ctx, r.stop)()
	if r.consumer.CachedInfo().NumPending == 0 && p.upTo <= p.after {
		return nil
	}
	for {
		m, meta, err := r.next(jetstream.NextMaxWait(scanPatience))
		if errors.Is(err, nats.ErrTimeout) {
			// What was still to come may have been purged meanwhile.
			rest, restErr := r.rest(ctx)
			switch {
			case restErr != nil:
				return restErr
			case rest > 0:
				return err
			case p.upTo > p.seen:
				return fmt.Errorf("record %d does not come: this replica lags behind, or it was purged", p.upTo)
			}
			return nil
		}
		if err != nil {
			return err
		}
		p.seen = meta.Sequence.Stream
		more, err := p.each(m, meta)
		if err != nil {
			p.refused = true
			return err
		}
		if !more || (meta.NumPending == 0 && p.seen >= p.upTo) {
			return nil
		}
	}
}
