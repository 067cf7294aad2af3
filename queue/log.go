package queue

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"omnirelay/relay"
)

// Options says how the logs are kept.
type Options struct {
	Shards   int // message logs; default 1; fixed once the first is made
	Replicas int // copies of everything in a NATS cluster; default 1

	// GroupCommit gathers appends that arrive together into one atomic batch, for servers
	// that fsync each write. Elsewhere appends are pipelined, which is faster there.
	GroupCommit bool

	MaxBytes          int64         // of each message log; 0 means what the store has
	History           time.Duration // how long attempts and settled messages stay readable; default 168h
	IdempotencyWindow time.Duration // how long a dedupe key is remembered; default 1h

	Log zerolog.Logger
}

func (o Options) withDefaults() Options {
	o.Shards = max(o.Shards, 1)
	o.Replicas = max(o.Replicas, 1)
	if o.History == 0 {
		o.History = 168 * time.Hour
	}
	if o.IdempotencyWindow == 0 {
		o.IdempotencyWindow = time.Hour
	}
	return o
}

// Log is the open logs. It is safe for concurrent use.
type Log struct {
	o         Options
	js        jetstream.JetStream
	messages  []jetstream.Stream // by shard
	attempts  jetstream.Stream
	dead      jetstream.Stream
	snapshots jetstream.KeyValue
	intake    []*committer // by shard
	full      atomic.Bool  // see SetFull
}

// Stream and bucket names. They are part of what is stored: never change them.
const (
	attemptStream  = "RELAY_ATTEMPT"
	deadStream     = "RELAY_DEAD"
	snapshotBucket = "RELAY_SNAPSHOT"
)

func messageStream(shard int) string { return fmt.Sprintf("RELAY_MSG_%d", shard) }

// maxMessageSize bounds one stored record, bytes: the largest request body with room for
// what the relay adds.
const maxMessageSize = 4 << 20

// Open makes the streams that are missing and checks those that are there.
func Open(ctx context.Context, js jetstream.JetStream, o Options) (*Log, error) {
	o = o.withDefaults()
	l := &Log{o: o, js: js}
	if err := l.checkShards(ctx); err != nil {
		return nil, err
	}
	for shard := range o.Shards {
		s, err := l.stream(ctx, jetstream.StreamConfig{
			Name:        messageStream(shard),
			Description: "omnirelay: accepted messages",
			Subjects:    []string{messageSubjects(shard)},
			Discard:     jetstream.DiscardNew,
			MaxBytes:    o.MaxBytes,
			MaxMsgSize:  maxMessageSize,
			Duplicates:  o.IdempotencyWindow,
		})
		if err != nil {
			return nil, err
		}
		l.messages = append(l.messages, s)
		l.intake = append(l.intake, newCommitter(js, o.GroupCommit))
	}
	var err error
	if l.attempts, err = l.stream(ctx, jetstream.StreamConfig{
		Name:        attemptStream,
		Description: "omnirelay: every attempt that ended",
		Subjects:    []string{"relay.attempt.>"},
		Discard:     jetstream.DiscardNew,
	}); err != nil {
		return nil, err
	}
	if l.dead, err = l.stream(ctx, jetstream.StreamConfig{
		Name:        deadStream,
		Description: "omnirelay: dead letters, until an operator replays or discards them",
		Subjects:    []string{"relay.dead.>"},
		Discard:     jetstream.DiscardNew,
		Duplicates:  time.Minute,
	}); err != nil {
		return nil, err
	}
	l.snapshots, err = js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket:      snapshotBucket,
		Description: "omnirelay: the shards' state, so that a restart need not read the logs from their beginning",
		Replicas:    o.Replicas,
	})
	if err != nil {
		return nil, fmt.Errorf("opening bucket %s: %w", snapshotBucket, err)
	}
	return l, nil
}

func (l *Log) stream(ctx context.Context, c jetstream.StreamConfig) (jetstream.Stream, error) {
	c.Storage = jetstream.FileStorage
	c.Retention = jetstream.LimitsPolicy
	c.Replicas = l.o.Replicas
	c.AllowDirect = true
	c.AllowAtomicPublish = true
	s, err := l.js.CreateOrUpdateStream(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("opening stream %s: %w", c.Name, err)
	}
	return s, nil
}

// checkShards refuses a number of shards other than the one the store was made with: a
// destination's messages would be looked for in the wrong log.
func (l *Log) checkShards(ctx context.Context) error {
	n := 0
	for ; ; n++ {
		_, err := l.js.Stream(ctx, messageStream(n))
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			break
		}
		if err != nil {
			return fmt.Errorf("looking for stream %s: %w", messageStream(n), err)
		}
	}
	if n != 0 && n != l.o.Shards {
		return fmt.Errorf("the store has %d shards and queue.shards says %d; the number is fixed once the store is made", n, l.o.Shards)
	}
	return nil
}

// Shards is how many message logs there are.
func (l *Log) Shards() int { return l.o.Shards }

// ShardOf is the message log that holds a destination's messages.
func (l *Log) ShardOf(d relay.Destination) int { return d.Shard(l.o.Shards) }

// SetFull makes Append refuse with ErrFull, or accept again. The daemon calls it when the
// disk runs low: the embedded server gives up altogether on a disk that is really full.
func (l *Log) SetFull(full bool) { l.full.Store(full) }

// Close stops the appenders after what they have begun.
func (l *Log) Close() {
	for _, c := range l.intake {
		c.close()
	}
}
