package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go/jetstream"

	"omnirelay/relay"
)

// Record is one message of the log, not yet decoded: whoever only counts or skips it does
// not pay for decoding.
type Record struct {
	Shard       int
	Position    relay.Position
	Destination relay.Destination
	Data        []byte

	entry *relay.Entry // in place of Data, where this process has just appended it
}

// Entry decodes the record; its caller has it alone.
func (r Record) Entry() (*relay.Entry, error) {
	if r.entry != nil {
		return r.entry, nil
	}
	if r.Destination == Void {
		return nil, fmt.Errorf("position %d of shard %d was lost: %w", r.Position, r.Shard, ErrNotFound)
	}
	e := &relay.Entry{Shard: r.Shard, Position: r.Position, Size: len(r.Data)}
	if err := decodeMessage(r.Data, &e.Message); err != nil {
		return nil, fmt.Errorf("%w: position %d of shard %d: %w", ErrUndecodable, r.Position, r.Shard, err)
	}
	return e, nil
}

// Follow hands every message of a shard after a position to each, in order, without gaps or
// repeats, as they come, until ctx ends. It outlives lost connections and deleted consumers.
// each is called from one goroutine; while it blocks, reading pauses. A shard is followed by one
// at a time.
func (l *Log) Follow(ctx context.Context, shard int, after relay.Position, each func(Record)) {
	wait := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(100*time.Millisecond), backoff.WithMaxInterval(time.Second), backoff.WithMaxElapsedTime(0))
	follow := l.follow
	if l.o.Sole {
		follow = l.followRecent
	}
	for ctx.Err() == nil {
		last, err := follow(ctx, shard, after, each)
		if ctx.Err() != nil {
			return
		}
		if last != after {
			wait.Reset()
		}
		after = last
		l.o.Log.Warn().Err(err).Int("shard", shard).Uint64("position", after).Msg("reading the message log was interrupted; going on from here")
		select {
		case <-time.After(wait.NextBackOff()):
		case <-ctx.Done():
		}
	}
}

// readAhead is how many messages the server may send before they are asked for. A limit in
// bytes beside it would be welcome, but then the client (nats.go 1.55.0) has no room for the
// server's word that a request is done, and reports a slow consumer.
const readAhead = 512

func (l *Log) follow(ctx context.Context, shard int, after relay.Position, each func(Record)) (last relay.Position, err error) {
	r, err := openReader(ctx, l.messages[shard], jetstream.ConsumerConfig{
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       after + 1,
		InactiveThreshold: 5 * time.Minute,
	})
	if err != nil {
		return after, err
	}
	defer context.AfterFunc(ctx, r.stop)()
	defer r.close()
	for {
		m, meta, err := r.next()
		if err != nil {
			return after, fmt.Errorf("shard %d: %w", shard, err)
		}
		after = meta.Sequence.Stream
		each(Record{Shard: shard, Position: after, Destination: messageDestination(m.Subject()), Data: m.Data()})
	}
}

func (l *Log) read(ctx context.Context, s jetstream.Stream, after uint64, filter string, opts ...jetstream.PullMessagesOpt) (jetstream.MessagesContext, error) {
	c := jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:   after + 1,
	}
	if filter != "" {
		c.FilterSubjects = []string{filter}
	}
	oc, err := s.OrderedConsumer(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("opening a reader: %w", err)
	}
	it, err := oc.Messages(opts...)
	if err != nil {
		return nil, fmt.Errorf("starting a reader: %w", err)
	}
	return it, nil
}
