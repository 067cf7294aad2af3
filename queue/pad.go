package queue

import (
	"context"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"omnirelay/relay"
)

// A power cut can take the end of a log that had not reached the disk, while the other log
// or a snapshot, which had, speaks of what was there. The server then gives the lost
// sequence numbers out again, and a new message in an old position would be taken for one
// that is settled long since. So before a shard is worked on, its logs are filled with void
// records up to the last number that anybody has seen.

// Void is the destination of records that only hold a place in a log.
const Void relay.Destination = "void"

// Pad makes sure that no position up to pos of a shard's message log, and no sequence up to
// seq of the attempt log, is given out again. It reports how many were lost.
func (l *Log) Pad(ctx context.Context, shard int, pos relay.Position, seq uint64) (lost uint64, err error) {
	lostMessages, err := l.pad(ctx, l.messages[shard], messageSubject(shard, "void", Void), pos, l.publishMessages)
	if err != nil {
		return 0, fmt.Errorf("shard %d: %w", shard, err)
	}
	lostAttempts, err := l.pad(ctx, l.attempts, "relay.attempt."+strconv.Itoa(shard)+"."+string(Void)+".void", seq, l.publishAttempts)
	if err != nil {
		return 0, err
	}
	return lostMessages + lostAttempts, nil
}

// publish appends records to one of the logs; see publishAttempts.
type publish func(ctx context.Context, msgs []*nats.Msg, stored func(seq uint64)) error

func (l *Log) publishMessages(ctx context.Context, msgs []*nats.Msg, stored func(seq uint64)) error {
	return l.out.sendAll(ctx, msgs, func(a ack) { stored(a.seq) })
}

func (l *Log) pad(ctx context.Context, s jetstream.Stream, subject string, upTo uint64, publish publish) (lost uint64, err error) {
	info, err := s.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("looking at the end of stream %s: %w", s.CachedInfo().Config.Name, err)
	}
	if info.State.LastSeq >= upTo {
		return 0, nil
	}
	lost = upTo - info.State.LastSeq
	for last := info.State.LastSeq; last < upTo; {
		msgs := make([]*nats.Msg, min(upTo-last, groupMost))
		for i := range msgs {
			msgs[i] = &nats.Msg{Subject: subject, Data: []byte("{}")}
		}
		if err := publish(ctx, msgs, func(seq uint64) { last = max(last, seq) }); err != nil {
			return 0, fmt.Errorf("filling the end of stream %s: %w", info.Config.Name, err)
		}
	}
	return lost, nil
}
