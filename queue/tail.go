package queue

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go/jetstream"

	"omnirelay/relay"
)

// Event is something that was just stored: either of its fields is set.
type Event struct {
	Message *relay.Entry   // was accepted
	Attempt *relay.Attempt // ended, or is an operator's deed
}

// Tail follows all logs from a moment on. Events of one log come in its order; those of
// different logs may overtake each other.
type Tail struct {
	events chan Event
	stop   context.CancelFunc
	done   sync.WaitGroup
}

// tailAhead is how many events wait for a slow reader before the logs' readers pause.
const tailAhead = 256

// Tail opens a Tail: it sees everything that is stored after the call. Close it.
func (l *Log) Tail(ctx context.Context) (*Tail, error) {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	t := &Tail{events: make(chan Event, tailAhead), stop: stop}
	type source struct {
		stream jetstream.Stream
		after  uint64
		event  func(jetstream.Msg, uint64) (Event, bool)
	}
	var sources []source
	for shard, s := range l.messages {
		sources = append(sources, source{stream: s, event: func(m jetstream.Msg, seq uint64) (Event, bool) {
			e, err := Record{Shard: shard, Position: seq, Destination: messageDestination(m.Subject()), Data: m.Data()}.Entry()
			return Event{Message: e}, err == nil // one that cannot be decoded is reported by its owner
		}})
	}
	sources = append(sources, source{stream: l.attempts, event: func(m jetstream.Msg, _ uint64) (Event, bool) {
		a, err := decodeAttempt(m.Data())
		return Event{Attempt: &a}, err == nil && a.MessageID != ""
	}})
	for i := range sources {
		info, err := sources[i].stream.Info(ctx)
		if err != nil {
			stop()
			return nil, fmt.Errorf("looking at the end of stream %s: %w", sources[i].stream.CachedInfo().Config.Name, err)
		}
		sources[i].after = info.State.LastSeq
	}
	for _, s := range sources {
		t.done.Go(func() { l.tail(work, s.stream, s.after, s.event, t.events) })
	}
	return t, nil
}

// Next waits for the next event.
func (t *Tail) Next(ctx context.Context) (Event, error) {
	select {
	case e := <-t.events:
		return e, nil
	case <-ctx.Done():
		return Event{}, context.Cause(ctx)
	}
}

// Close ends the Tail.
func (t *Tail) Close() {
	t.stop()
	t.done.Wait()
}

// tail reads a stream after a sequence until ctx ends, with a new reader whenever one fails.
func (l *Log) tail(ctx context.Context, s jetstream.Stream, after uint64, event func(jetstream.Msg, uint64) (Event, bool), to chan<- Event) {
	wait := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(100*time.Millisecond), backoff.WithMaxInterval(2*time.Second), backoff.WithMaxElapsedTime(0))
	for {
		last, err := tailOnce(ctx, s, after, event, to)
		if ctx.Err() != nil {
			return
		}
		if last != after {
			wait.Reset()
		}
		after = last
		l.o.Log.Debug().Err(err).Str("stream", s.CachedInfo().Config.Name).Msg("following a log was interrupted; going on")
		select {
		case <-time.After(wait.NextBackOff()):
		case <-ctx.Done():
			return
		}
	}
}

func tailOnce(ctx context.Context, s jetstream.Stream, after uint64, event func(jetstream.Msg, uint64) (Event, bool), to chan<- Event) (last uint64, err error) {
	r, err := openReader(ctx, s, jetstream.ConsumerConfig{
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
			return after, err
		}
		after = meta.Sequence.Stream
		e, ok := event(m, after)
		if !ok {
			continue
		}
		select {
		case to <- e:
		case <-ctx.Done():
			return after, context.Cause(ctx)
		}
	}
}
