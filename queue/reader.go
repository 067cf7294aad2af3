package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// reader reads part of a stream in order, for as long as it is wanted. It ends at the first
// sign of trouble, for its user to open another one where it ended: unlike the client's own
// ordered consumer, which waits up to half a minute for a server that died, and then longer
// and longer for the cluster to name another.
type reader struct {
	consumer jetstream.Consumer
	it       jetstream.MessagesContext
	early    jetstream.Msg // read already
	read     uint64        // records so far; the consumer counts with us
	stream   jetstream.Stream
}

const (
	// readerPatience is how long a cluster may take to place a reader, before it is asked
	// anew: what is asked while there is no leader is never answered.
	readerPatience = 3 * time.Second
	// readerBeat is how often a cluster's server says that a reader has nothing to read.
	// Two beats missed and the server counts as gone.
	readerBeat = time.Second
)

// openReader opens a reader; c says of what.
func openReader(ctx context.Context, s jetstream.Stream, c jetstream.ConsumerConfig) (*reader, error) {
	c.AckPolicy = jetstream.AckNonePolicy
	c.MemoryStorage = true
	c.Replicas = 1
	opening, cancel := context.WithTimeout(ctx, readerPatience)
	defer cancel()
	consumer, err := s.CreateConsumer(opening, c)
	if err != nil {
		return nil, fmt.Errorf("opening a reader: %w", err)
	}
	r := &reader{consumer: consumer, stream: s}
	how := []jetstream.PullMessagesOpt{jetstream.PullMaxMessages(readAhead)}
	if clustered := consumer.CachedInfo().Cluster != nil; clustered {
		if r.early, err = firstOf(opening, consumer); err != nil {
			r.drop()
			return nil, fmt.Errorf("opening a reader: %w", err)
		}
		how = append(how, jetstream.PullHeartbeat(readerBeat), jetstream.WithMessagesErrOnMissingHeartbeat(true))
	}
	if r.it, err = consumer.Messages(how...); err != nil {
		r.drop()
		return nil, fmt.Errorf("starting a reader: %w", err)
	}
	return r, nil
}

// firstOf asks a fresh consumer for what it has, one record or none, until it answers. It may
// be placed on another server than ours, and be announced before ours knows the way there;
// the client's endless reading would then wait for an answer to a question that got lost.
func firstOf(ctx context.Context, c jetstream.Consumer) (jetstream.Msg, error) {
	for wait := time.Millisecond; ; wait *= 2 {
		batch, err := c.FetchNoWait(1)
		if err == nil {
			first := <-batch.Messages()
			if err = batch.Error(); first != nil || err == nil {
				return first, nil
			}
		}
		if !errors.Is(err, nats.ErrNoResponders) {
			return nil, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// next waits for the next record. After any error but nats.ErrTimeout, which only
// jetstream.NextMaxWait brings, the reader is of no more use.
func (r *reader) next(how ...jetstream.NextOpt) (jetstream.Msg, *jetstream.MsgMetadata, error) {
	m := r.early
	r.early = nil
	if m == nil {
		var err error
		if m, err = r.it.Next(how...); err != nil {
			return nil, nil, fmt.Errorf("reading: %w", err)
		}
	}
	meta, err := m.Metadata()
	if err != nil {
		return nil, nil, fmt.Errorf("reading: %w", err)
	}
	if r.read++; meta.Sequence.Consumer != r.read {
		return nil, nil, fmt.Errorf("reading: record %d came where %d should have: some were lost on the way", meta.Sequence.Consumer, r.read)
	}
	return m, meta, nil
}

// rest is how many records the server has not sent yet, or has sent in vain.
func (r *reader) rest(ctx context.Context) (uint64, error) {
	asking, cancel := context.WithTimeout(ctx, readerPatience)
	defer cancel()
	info, err := r.consumer.Info(asking)
	if err != nil {
		return 0, fmt.Errorf("reading: %w", err)
	}
	return info.NumPending + info.Delivered.Consumer - r.read, nil
}

// stop ends a next that waits.
func (r *reader) stop() { r.it.Stop() }

// close gives the reader up.
func (r *reader) close() {
	r.stop()
	r.drop()
}

// drop removes the consumer, which would end by itself some time. Nobody waits for it.
func (r *reader) drop() {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), readerPatience)
		defer cancel()
		_ = r.stream.DeleteConsumer(ctx, r.consumer.CachedInfo().Name)
	}()
}
