package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"omnirelay/relay"
)

// Load reads one message back. It answers ErrNotFound for a position that was purged.
func (l *Log) Load(ctx context.Context, shard int, pos relay.Position) (relay.Entry, error) {
	raw, err := l.record(ctx, l.messages[shard], messageStream(shard), pos)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return relay.Entry{}, fmt.Errorf("position %d of shard %d: %w", pos, shard, ErrNotFound)
	}
	if err != nil {
		return relay.Entry{}, fmt.Errorf("reading position %d of shard %d: %w", pos, shard, err)
	}
	e, err := Record{Shard: shard, Position: pos, Destination: messageDestination(raw.Subject), Data: raw.Data}.Entry()
	if err != nil {
		return relay.Entry{}, err
	}
	return *e, nil
}

const (
	// runLeast is how many positions are worth a request of their own kind.
	runLeast = 4
	// runPatience is how long a run may take before its messages are read one by one.
	runPatience = 2 * time.Second
)

// LoadRun reads messages back in one request where they lie close together: at least every other
// position is wanted. Positions are given lowest first. It returns a first part of them, the
// longest that can be had so: none where they are too few or too far apart, and with more than
// about budget bytes no more. What it leaves is for Load, which says what is wrong with it.
//
// Read one by one a message costs a question and an answer, 20 µs; that is a fifth of what it
// costs to deliver it, just when a destination has much to catch up with.
func (l *Log) LoadRun(ctx context.Context, shard int, positions []relay.Position, budget int64) []*relay.Entry {
	n := dense(positions)
	if n < runLeast {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, runPatience)
	defer cancel()
	first := positions[0]
	bodies := l.bodies(ctx, messageStream(shard), first, positions[n-1]-first+1, max(budget, 1))
	entries := make([]*relay.Entry, 0, n)
	for _, pos := range positions[:n] {
		if pos-first >= uint64(len(bodies)) {
			break
		}
		e, err := Record{Shard: shard, Position: pos, Data: bodies[pos-first]}.Entry()
		if err != nil || e.Destination == "" { // such as what only holds a place
			break
		}
		entries = append(entries, e)
	}
	return entries
}

// dense is how many of the positions, from the first on, lie close together.
func dense(positions []relay.Position) (n int) {
	for i, pos := range positions {
		if pos-positions[0] < 2*uint64(i+1) {
			n = i + 1
		}
	}
	return n
}

// bodies reads records of a stream, one after another from a sequence on; nil where it cannot be
// told that none is missing in between.
//
// The server's headers would name the sequence of each, and parsing them costs as much as the
// rest. Without them the end of the answer names the last, and the number of records tells.
func (l *Log) bodies(ctx context.Context, stream string, first, count uint64, most int64) [][]byte {
	nc := l.js.Conn()
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return nil
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only when the connection is closed
	request := fmt.Appendf(nil, `{"seq":%d,"batch":%d,"max_bytes":%d,"no_hdr":true}`, first, count, most)
	if err := nc.PublishRequest(jetstream.DefaultAPIPrefix+"DIRECT.GET."+stream, inbox, request); err != nil {
		return nil
	}
	list := make([][]byte, 0, count)
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return nil
		}
		if m.Header.Get("Status") == "" {
			list = append(list, m.Data)
			continue
		}
		last, err := strconv.ParseUint(m.Header.Get("Nats-Last-Sequence"), 10, 64)
		if err != nil || last-first+1 != uint64(len(list)) {
			return nil
		}
		return list
	}
}
