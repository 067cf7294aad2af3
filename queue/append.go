package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"omnirelay/relay"
)

// Receipt says where an accepted message is.
type Receipt struct {
	ID       relay.ID
	Shard    int
	Position relay.Position
	// Duplicate says that the same dedupe key was accepted before. ID is the first
	// message's then, or empty when that was settled and purged meanwhile.
	Duplicate bool
}

// Append accepts a message: when it returns without error, JetStream has acknowledged it,
// and only then may the sender be answered with a 2xx. An empty ID and AcceptedAt are filled
// in. A dedupeKey, when not empty, makes asking again with the same key safe: the first
// message's receipt comes back. Errors: ErrFull, ErrMessageTooLarge, ErrUnavailable.
func (l *Log) Append(ctx context.Context, m *relay.Message, dedupeKey string) (Receipt, error) {
	if m.ID == "" {
		m.ID = relay.NewID()
	}
	if m.AcceptedAt.IsZero() {
		m.AcceptedAt = time.Now().UTC().Truncate(time.Millisecond)
	}
	shard := l.ShardOf(m.Destination)
	data, err := encodeMessage(m)
	if err != nil {
		return Receipt{}, err
	}
	if most := l.sizeMost(); len(data) > most {
		return Receipt{}, fmt.Errorf("%w: %d bytes stored, and %d are possible", ErrMessageTooLarge, len(data), most)
	}
	if err := l.reserve(len(data)); err != nil {
		return Receipt{}, err
	}
	msg := &nats.Msg{Subject: messageSubject(shard, m.Direction, m.Destination), Data: data}
	if dedupeKey != "" {
		msg.Header = nats.Header{jetstream.MsgIDHeader: {dedupeKey}}
	}
	a, err := l.intake[shard].append(ctx, msg, l.remember(shard, m, len(data)))
	if err != nil {
		return Receipt{}, err
	}
	if !a.duplicate {
		return Receipt{ID: m.ID, Shard: shard, Position: a.seq}, nil
	}
	first, err := l.Load(ctx, shard, a.seq)
	if errors.Is(err, ErrNotFound) {
		return Receipt{Shard: shard, Position: a.seq, Duplicate: true}, nil
	}
	if err != nil {
		return Receipt{}, err
	}
	return Receipt{ID: first.ID, Shard: shard, Position: a.seq, Duplicate: true}, nil
}

// sizeMost is how large a record may be, bytes: what the stream takes, or the server if that
// is less, with room for headers.
func (l *Log) sizeMost() int {
	return min(maxMessageSize, int(l.js.Conn().MaxPayload())) - headersMost
}

// headersMost is room for a record's headers, bytes: a dedupe key and a batch's.
const headersMost = 4 << 10
