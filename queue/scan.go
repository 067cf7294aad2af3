package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// scanRange is what part of a stream a scan reads.
type scanRange struct {
	filter string
	after  uint64    // sequences up to here are left out
	since  time.Time // with after 0: records stored earlier are left out
}

// scan reads what is in a stream now, oldest first, until each returns false or the end is
// reached. Records that are stored while it runs may be seen or not.
func scan(ctx context.Context, s jetstream.Stream, r scanRange, each func(jetstream.Msg, *jetstream.MsgMetadata) (bool, error)) error {
	c := jetstream.ConsumerConfig{
		AckPolicy:         jetstream.AckNonePolicy,
		MemoryStorage:     true,
		Replicas:          1,
		InactiveThreshold: 30 * time.Second,
		FilterSubject:     r.filter,
	}
	if r.since.IsZero() {
		c.DeliverPolicy, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, r.after+1
	} else {
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &r.since
	}
	consumer, err := s.CreateConsumer(ctx, c)
	if err != nil {
		return fmt.Errorf("opening a reader: %w", err)
	}
	info := consumer.CachedInfo()
	// The answer to a cancelled caller must not wait for this.
	defer func() {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			_ = s.DeleteConsumer(ctx, info.Name) // it ends by itself after InactiveThreshold
		}()
	}()
	if info.NumPending == 0 {
		return nil
	}
	it, err := consumer.Messages(jetstream.PullMaxMessages(readAhead))
	if err != nil {
		return fmt.Errorf("starting a reader: %w", err)
	}
	defer context.AfterFunc(ctx, it.Stop)()
	defer it.Stop()
	for {
		m, err := it.Next()
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return fmt.Errorf("reading: %w", err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("reading: %w", err)
		}
		more, err := each(m, meta)
		if err != nil {
			return err
		}
		if !more || meta.NumPending == 0 {
			return nil
		}
	}
}
