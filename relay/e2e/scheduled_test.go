package e2e_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/client"
)

// TestAScheduledMessageOutlivesACrash: it is listed, cancelled or sent at its time, whatever
// happened to the relay meanwhile.
func TestAScheduledMessageOutlivesACrash(t *testing.T) {
	t.Parallel()
	receiver := receive(t, secret)
	r := start(t)
	ch := r.channel(receiver.url(), signedWith(secret))
	at := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.DateTime) }
	later := func(when, text string) client.Accepted {
		t.Helper()
		a, err := r.SendOutbound(t.Context(), client.OutboundMessage{ChannelID: ch.ID, TicketID: 1, Message: text, SendAt: when})
		require.NoError(t, err)
		require.Equal(t, "Message scheduled.", a.Message)
		return a
	}
	listed := func() (ids []relay.ID) {
		for s, err := range r.AllScheduled(t.Context(), client.ScheduledFilter{}) {
			require.NoError(t, err)
			ids = append(ids, s.Message.ID)
		}
		return ids
	}
	tomorrow, never := later(at(24*time.Hour), "tomorrow"), later(at(time.Hour), "never")
	soon := later(at(6*time.Second), "soon") // time enough for two crashes
	require.Equal(t, []relay.ID{soon.MessageID, never.MessageID, tomorrow.MessageID}, listed(), "the next first")
	r.becomes(r.send(ch.ID, 1, "at once"), client.StateDelivered) // what waits for its time holds up nothing

	r.kill()
	r.begin()
	require.Subset(t, listed(), []relay.ID{never.MessageID, tomorrow.MessageID})
	require.NoError(t, r.CancelScheduled(t.Context(), never.MessageID))
	require.NotContains(t, listed(), never.MessageID)
	r.kill()
	r.begin() // a cancellation outlives it too

	m := r.becomes(soon.MessageID, client.StateDelivered)
	require.False(t, time.Now().Before(soon.SendAt))
	require.False(t, m.LastAttempt.StartedAt.Before(soon.SendAt), "not before its time")
	require.WithinDuration(t, soon.SendAt, m.LastAttempt.StartedAt, 20*time.Second)
	// It leaves the schedule once it is in the log, which may be after it has arrived.
	require.True(t, wait(func() bool { return slices.Equal(listed(), []relay.ID{tomorrow.MessageID}) }), "%v", listed())
	receiver.accepts(2)
	require.Zero(t, receiver.sink.Stats().OutOfOrder) // a repeat would be the crash's

	// What became of those that were not sent.
	cancelled, err := r.Message(t.Context(), never.MessageID)
	require.NoError(t, err)
	require.Equal(t, client.StateDead, cancelled.State)
	require.Equal(t, relay.ReasonDiscarded, cancelled.LastAttempt.Reason)
	require.Contains(t, cancelled.LastAttempt.By, "admin")
	waits, err := r.Message(t.Context(), tomorrow.MessageID)
	require.NoError(t, err)
	require.Equal(t, client.StateScheduled, waits.State)
	require.Equal(t, tomorrow.SendAt, waits.NextAt)
	require.Contains(t, r.says("scheduled", "list"), string(tomorrow.MessageID))
	require.Contains(t, r.says("scheduled", "cancel", string(tomorrow.MessageID)), string(tomorrow.MessageID))
	require.Empty(t, listed())
	require.Error(t, r.CancelScheduled(t.Context(), tomorrow.MessageID), "once is enough")
}
