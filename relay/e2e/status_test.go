package e2e_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/client"
	"omnirelay/relay/sink"
)

// news is what a status_callback is told.
type news struct {
	Type string
	Data struct {
		MessageID, Direction, Conversation, State, Reason string
		ChannelID, TicketID                               int64
		Attempt, Status                                   int
		Sequence                                          uint64
		At, NextAt                                        time.Time
	}
}

// TestAStatusCallbackIsToldEverything has messages be delivered, be retried and die, both
// ways, and compares what the channel's callback was told.
func TestAStatusCallbackIsToldEverything(t *testing.T) {
	t.Parallel()
	d, env := openDesk(t)
	r := start(t, append(env, "OMNIRELAY_DELIVERY_RETRY_INITIAL=20ms")...)
	app, told := receive(t, secret), receive(t, secret)
	r.channel(app.url(), signedWith(secret), func(f *client.ChannelFields) {
		f.StatusCallback, f.MaxAttempts = new(told.url()), new(3)
	})
	// 1 is delivered, 2 is retried first, 3 dies, 4 is delivered; the callback itself fails
	// now and then.
	told.sink.Misbehave(sink.Fault{Action: sink.Answer, Status: 503, Every: 4})
	first := r.send(1001, 1, "1")
	r.becomes(first, client.StateDelivered)
	app.sink.Misbehave(sink.Fault{Action: sink.Answer, Status: 503, First: 2})
	second := r.send(1001, 1, "2")
	r.becomes(second, client.StateDelivered)
	app.sink.Misbehave(sink.Fault{Action: sink.Answer, Status: 422})
	third := r.send(1001, 1, "3")
	r.becomes(third, client.StateDead)
	app.sink.Misbehave()
	fourth := r.send(1001, 1, "4")
	r.becomes(fourth, client.StateDelivered)
	inbound, err := r.SendInbound(t.Context(), client.InboundMessage{ChannelID: 1001, FromAddress: "ann", Message: "Hello"})
	require.NoError(t, err)
	ticket := r.becomes(inbound.MessageID, client.StateDelivered).TicketID
	d.takes(1)

	line := func(id relay.ID, state, reason string, attempt, status int) string {
		return fmt.Sprint(id, " ", state, " ", reason, " ", attempt, " ", status)
	}
	want := map[string][]string{
		"ticket:1": {
			line(first, "queued", "", 0, 0), line(first, "delivered", "ok", 1, 200),
			line(second, "queued", "", 0, 0), line(second, "retrying", "status_5xx", 1, 503), line(second, "retrying", "status_5xx", 2, 503), line(second, "delivered", "ok", 3, 200),
			line(third, "queued", "", 0, 0), line(third, "retrying", "status_4xx", 1, 422), line(third, "retrying", "status_4xx", 2, 422), line(third, "dead", "status_4xx", 3, 422),
			line(fourth, "queued", "", 0, 0), line(fourth, "delivered", "ok", 1, 200),
		},
		"address:ann": {line(inbound.MessageID, "queued", "", 0, 0), line(inbound.MessageID, "delivered", "ok", 1, 200)},
	}
	got := map[string][]string{}
	last := map[string]uint64{}
	for _, call := range hooked(t, told, 14) {
		require.Equal(t, "verified", call.Signature)
		var n news
		require.NoError(t, json.Unmarshal([]byte(call.Body), &n))
		require.Equal(t, "message.status", n.Type)
		require.EqualValues(t, 1001, n.Data.ChannelID)
		require.False(t, n.Data.At.IsZero())
		require.Equal(t, n.Data.State == "retrying", n.Data.NextAt.After(n.Data.At), "when it is tried next: %s", call.Body)
		require.Greater(t, n.Data.Sequence, last[n.Data.Conversation])
		last[n.Data.Conversation] = n.Data.Sequence
		got[n.Data.Conversation] = append(got[n.Data.Conversation], line(relay.ID(n.Data.MessageID), n.Data.State, n.Data.Reason, n.Data.Attempt, n.Data.Status))
		switch {
		case n.Data.Conversation == "ticket:1":
			require.EqualValues(t, 1, n.Data.TicketID)
			require.Equal(t, "out", n.Data.Direction)
		case n.Data.State == "delivered":
			require.Equal(t, ticket, n.Data.TicketID, "the helpdesk's answer named it")
			require.Equal(t, "in", n.Data.Direction)
		}
	}
	require.Equal(t, want, got)
	require.Zero(t, told.sink.Stats().OutOfOrder)
	require.Zero(t, told.sink.Stats().Repeats)
}
