package queue_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/queue"
	"omnirelay/relay"
)

func TestTailSeesWhatIsStoredFromThenOn(t *testing.T) {
	t.Parallel()
	s := newStore(t, queue.Options{Shards: 3})
	before := s.send(1001, "before")
	s.record(attempt(before, 1001, relay.Delivered, relay.ReasonOK))

	tail, err := s.Tail(t.Context())
	require.NoError(t, err)
	defer tail.Close()
	var sent []queue.Receipt
	for channel := range int64(8) {
		r := s.send(1001+channel, "after")
		sent = append(sent, r)
		s.record(attempt(r, 1001+channel, relay.Retry, relay.ReasonTimeout), attempt(r, 1001+channel, relay.Delivered, relay.ReasonOK))
	}
	messages := map[relay.ID]relay.Position{}
	outcomes := map[relay.ID][]relay.Outcome{}
	for range 3 * len(sent) {
		e, err := tail.Next(t.Context())
		require.NoError(t, err)
		require.NotEqual(t, e.Message == nil, e.Attempt == nil)
		if e.Message != nil {
			messages[e.Message.ID] = e.Message.Position
			continue
		}
		outcomes[e.Attempt.MessageID] = append(outcomes[e.Attempt.MessageID], e.Attempt.Outcome)
	}
	for _, r := range sent {
		require.Equal(t, r.Position, messages[r.ID])
		require.Equal(t, []relay.Outcome{relay.Retry, relay.Delivered}, outcomes[r.ID], "in the log's order")
	}
	require.NotContains(t, messages, before.ID)
	require.NotContains(t, outcomes, before.ID)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = tail.Next(ended)
	require.ErrorIs(t, err, context.Canceled)
}

func TestATailThatNobodyReadsCanBeClosed(t *testing.T) {
	t.Parallel()
	s := newStore(t, queue.Options{})
	tail, err := s.Tail(t.Context())
	require.NoError(t, err)
	for range 600 { // more than may wait
		s.send(1001, "x")
	}
	tail.Close()
}
