package queue_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"omnirelay/queue"
	"omnirelay/queue/natsd"
	"omnirelay/queue/natsd/natsdtest"
	"omnirelay/relay"
)

// store is the logs on a JetStream of their own.
type store struct {
	*queue.Log
	t    testing.TB
	conn *natsd.Conn
}

// newStore opens logs that end with the test. Inside a synctest bubble the test calls close
// itself, before it ends.
func newStore(t testing.TB, o queue.Options) *store {
	t.Helper()
	return openStore(t, natsdtest.OpenDir(t, t.TempDir()), o)
}

func openStore(t testing.TB, conn *natsd.Conn, o queue.Options) *store {
	t.Helper()
	o.Log, o.Appends = zerolog.Nop(), conn.Appends()
	l, err := queue.Open(t.Context(), conn.JetStream(), o)
	require.NoError(t, err)
	s := &store{Log: l, t: t, conn: conn}
	t.Cleanup(s.close)
	return s
}

func (s *store) close() {
	if s.conn == nil {
		return
	}
	s.Log.Close()
	require.NoError(s.t, s.conn.Close())
	s.conn = nil
}

// text makes an outbound message of a channel.
func text(channel int64, conversation, text string) *relay.Message {
	return &relay.Message{
		Type: "message.outbound", Direction: relay.Outbound, Kind: relay.KindMessage,
		ChannelID: channel, Destination: relay.ChannelDestination(channel), Conversation: conversation, Text: text,
	}
}

func (s *store) append(m *relay.Message) queue.Receipt {
	s.t.Helper()
	r, err := s.Append(context.Background(), m, "")
	require.NoError(s.t, err)
	return r
}

func (s *store) send(channel int64, body string) queue.Receipt {
	s.t.Helper()
	return s.append(text(channel, "ticket:1", body))
}

// attempt makes the record of an attempt at a message.
func attempt(r queue.Receipt, channel int64, o relay.Outcome, reason relay.Reason) relay.Attempt {
	return relay.Attempt{
		MessageID: r.ID, Shard: r.Shard, Position: r.Position, Destination: relay.ChannelDestination(channel),
		ChannelID: channel, Conversation: "ticket:1", Number: 1, Outcome: o, Reason: reason, StartedAt: time.Now().UTC(),
	}
}

// record appends attempts as a shard's owner does.
func (s *store) record(list ...relay.Attempt) {
	s.t.Helper()
	j := s.Journal(func(uint64, relay.Attempt) {})
	for _, a := range list {
		j.Append(a)
	}
	require.NoError(s.t, j.Flush(context.Background()))
	j.Close()
}

// die makes a dead letter of a message, in the order in which an owner does it.
func (s *store) die(r queue.Receipt, channel int64, reason relay.Reason) {
	s.t.Helper()
	e, err := s.Load(context.Background(), r.Shard, r.Position)
	require.NoError(s.t, err)
	a := attempt(r, channel, relay.Dead, reason)
	require.NoError(s.t, s.Bury(context.Background(), queue.DeadLetter{Message: e.Message, Attempt: a, DiedAt: time.Now().UTC()}))
	s.record(a)
}

// attempts reads a shard's attempts.
func (s *store) attempts(shard int) (list []relay.Attempt) {
	s.t.Helper()
	_, err := s.ReadAttempts(context.Background(), shard, 0, func(_ uint64, a relay.Attempt) { list = append(list, a) })
	require.NoError(s.t, err)
	return list
}

// follow reads a shard's messages until n have come.
func (s *store) follow(shard int, after relay.Position, n int) []queue.Record {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var list []queue.Record
	s.Follow(ctx, shard, after, func(r queue.Record) {
		list = append(list, r)
		if len(list) >= n {
			cancel()
		}
	})
	return list
}

func numbered(prefix string, n int) []string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprint(prefix, i))
	}
	return list
}

func ids(list []queue.Status) []relay.ID {
	var out []relay.ID
	for _, s := range list {
		out = append(out, s.Entry.ID)
	}
	return out
}
