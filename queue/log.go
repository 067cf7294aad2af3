package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"github.com/rs/zerolog"

	"omnirelay/relay"
)

// Options says how the logs are kept.
type Options struct {
	Shards   int // message logs; default 1; fixed once the first is made
	Replicas int // copies of everything in a NATS cluster; default 1

	// Appends is the connection that messages, attempts and dead letters are appended over, so
	// that they wait for no read; default the one of js.
	Appends *nats.Conn

	// Flush makes what a stream has acknowledged survive a power cut, for a store that does
	// not see to that before it acknowledges; nil for one that does, and where that much is
	// not asked for. Accepted messages, dead letters and holds are flushed before they count.
	Flush func(stream string) func() error

	// Sole says that no other process writes to the store; see publishAttempts and recent.
	Sole bool

	// AsyncAttempts lets the attempt log of a single server reach its file a few
	// milliseconds after it was acknowledged, and be fsynced with the server's interval
	// only. A crash then repeats what ended in that time; it is what makes room on the disk
	// for the accepted messages. Replicated logs ignore it.
	AsyncAttempts bool

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

// flush is the flush of one stream; nil for none.
func (o Options) flush(stream string) func() error {
	if o.Flush == nil {
		return nil
	}
	return o.Flush(stream)
}

// Log is the open logs. It is safe for concurrent use.
type Log struct {
	o         Options
	js        jetstream.JetStream
	out       *publisher
	messages  []jetstream.Stream // by shard
	attempts  jetstream.Stream
	dead      jetstream.Stream
	snapshots jetstream.KeyValue
	intake    []*committer // by shard
	burials   *committer
	graves    *deadIndex

	snapshotStream jetstream.Stream // of snapshots
	writer         string           // who this Log is among those that share the store
	headsMu        sync.Mutex
	heads          map[int]snapshotHead // as last written here, by shard

	recent    []*recent  // by shard; nil where others write to the store
	recording sync.Mutex // held while attempts are appended to a store that is ours alone

	room  atomic.Int64 // see SetRoom
	tight atomic.Bool  // see SetTight
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
	l := &Log{
		o: o, js: js,
		messages: make([]jetstream.Stream, o.Shards),
		intake:   make([]*committer, o.Shards),
		writer:   nuid.Next(),
		heads:    map[int]snapshotHead{},
	}
	l.room.Store(math.MaxInt64)
	if o.Sole {
		l.recent = make([]*recent, o.Shards)
		for shard := range l.recent {
			l.recent[shard] = newRecent()
		}
	}
	if err := l.checkShards(ctx); err != nil {
		return nil, err
	}
	// Last shard first: when the first one is there all are, also for another instance that
	// starts at the same time and counts them.
	for shard := o.Shards - 1; shard >= 0; shard-- {
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
		l.messages[shard] = s
	}
	attempts := jetstream.StreamConfig{
		Name:        attemptStream,
		Description: "omnirelay: every attempt that ended",
		Subjects:    []string{"relay.attempt.>"},
		Discard:     jetstream.DiscardNew,
	}
	if o.AsyncAttempts && o.Replicas == 1 {
		attempts.PersistMode = jetstream.AsyncPersistMode
	}
	var err error
	if l.attempts, err = l.stream(ctx, attempts); err != nil {
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
	if l.snapshotStream, err = js.Stream(ctx, "KV_"+snapshotBucket); err != nil {
		return nil, fmt.Errorf("opening bucket %s: %w", snapshotBucket, err)
	}
	if l.out, err = newPublisher(cmp.Or(o.Appends, js.Conn()), o.ackTimeout(), l.doubt); err != nil {
		return nil, err
	}
	l.graves = newDeadIndex()
	l.burials = newCommitter(l.out, o.flush(deadStream))
	for shard := range l.intake {
		l.intake[shard] = newCommitter(l.out, o.flush(messageStream(shard)))
	}
	return l, nil
}

func (l *Log) stream(ctx context.Context, c jetstream.StreamConfig) (jetstream.Stream, error) {
	c.Storage = jetstream.FileStorage
	c.Retention = jetstream.LimitsPolicy
	c.Replicas = l.o.Replicas
	c.AllowDirect = true
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

// SetRoom says how many bytes may be accepted from now on, until it is called again; what is
// more is refused with ErrFull. Without it there is no such bound. The daemon calls it with
// what the disk has beyond a reserve: the embedded server gives up altogether on a disk that
// is really full, and a log without room for the attempts would never have room again.
func (l *Log) SetRoom(bytes int64) { l.room.Store(bytes) }

// recordOverhead is what a record takes beyond its body, about: its subject and headers, and
// the attempt that it will lead to. Bytes.
const recordOverhead = 1 << 10

// reserve takes the room of a record that is about to be stored.
func (l *Log) reserve(size int) error {
	if need := int64(size) + recordOverhead; l.room.Add(-need) < 0 {
		l.room.Add(need)
		return fmt.Errorf("%w: the disk is nearly full", ErrFull)
	}
	return nil
}

// SetTight has the shards' owners give up history earlier than its age, or stop that. The
// daemon calls it when the disk begins to run low, well before SetFull.
func (l *Log) SetTight(tight bool) { l.tight.Store(tight) }

// Close stops the appenders after what they have begun.
func (l *Log) Close() {
	for _, c := range l.intake {
		c.close()
	}
	l.burials.close()
	l.graves.close()
	l.out.close()
}
