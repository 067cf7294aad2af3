package api_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/auth"
	"omnirelay/relay/client"
)

// attempt appends an attempt of a stored message, as its owner would.
func (w *world) attempt(position relay.Position, outcome relay.Outcome, reason relay.Reason, change ...func(*relay.Attempt)) relay.Attempt {
	w.t.Helper()
	e := w.stored(position)
	a := relay.Attempt{
		MessageID: e.ID, Shard: e.Shard, Position: position, Destination: e.Destination, Conversation: e.Conversation, ChannelID: e.ChannelID,
		Number: 1, Outcome: outcome, Reason: reason, Status: 200, StartedAt: time.Now().UTC().Truncate(time.Millisecond), Duration: relay.Duration(time.Millisecond),
	}
	if outcome == relay.Retry {
		a.Status, a.NextAt = 503, a.StartedAt.Add(time.Hour)
	}
	for _, c := range change {
		c(&a)
	}
	done := make(chan struct{})
	journal := w.queue.Journal(func(uint64, relay.Attempt) { close(done) })
	defer journal.Close()
	journal.Append(a)
	<-done
	return a
}

func TestWhatBecameOfAMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.channel(0, nil)
	c := w.client(w.admin)
	accepted, err := c.SendOutbound(t.Context(), client.OutboundMessage{ChannelID: 1001, TicketID: 5, Message: "hello"})
	require.NoError(t, err)

	m, err := c.Message(t.Context(), accepted.MessageID)
	require.NoError(t, err)
	require.Equal(t, client.StateQueued, m.State)
	require.Equal(t, "hello", m.Text)
	require.Equal(t, relay.Position(1), m.Sequence)
	require.Nil(t, m.LastAttempt)

	failed := w.attempt(1, relay.Retry, relay.ReasonStatus5xx)
	m, err = c.Message(t.Context(), accepted.MessageID)
	require.NoError(t, err)
	require.Equal(t, client.StateRetrying, m.State)
	require.Equal(t, failed.NextAt, m.NextAt)
	require.Equal(t, []relay.Attempt{failed}, m.Attempts)

	w.attempt(1, relay.Delivered, relay.ReasonOK)
	m, err = c.Message(t.Context(), accepted.MessageID)
	require.NoError(t, err)
	require.Equal(t, client.StateDelivered, m.State)
	require.Len(t, m.Attempts, 2)
	require.Equal(t, relay.ReasonOK, m.LastAttempt.Reason)
}

func TestMessagesAreListedNewestFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.channel(0, nil)
	w.channel(0, nil)
	c := w.client(w.admin)
	var ids []relay.ID
	for i := range 4 {
		a, err := c.SendOutbound(t.Context(), client.OutboundMessage{ChannelID: 1001 + int64(i%2), TicketID: 5, Message: fmt.Sprint(i)})
		require.NoError(t, err)
		ids = append(ids, a.MessageID)
	}
	inbound, err := c.SendInbound(t.Context(), client.InboundMessage{ChannelID: 1001, FromAddress: "ann", Message: "in"})
	require.NoError(t, err)
	ids = append(ids, inbound.MessageID)
	w.attempt(1, relay.Delivered, relay.ReasonOK)

	list := func(f client.MessageFilter) []relay.ID {
		var found []relay.ID
		for m, err := range c.AllMessages(t.Context(), f) {
			require.NoError(t, err)
			require.Empty(t, m.Attempts, "lists show the last attempt only")
			found = append(found, m.ID)
		}
		return found
	}
	newestFirst := []relay.ID{ids[4], ids[3], ids[2], ids[1], ids[0]}
	require.Equal(t, newestFirst, list(client.MessageFilter{}))
	require.Equal(t, newestFirst, list(client.MessageFilter{Limit: 2}), "page by page")
	require.Equal(t, []relay.ID{ids[4], ids[2], ids[0]}, list(client.MessageFilter{ChannelID: 1001}))
	require.Equal(t, []relay.ID{ids[2], ids[0]}, list(client.MessageFilter{Destination: "channel-1001"}))
	require.Equal(t, []relay.ID{ids[4]}, list(client.MessageFilter{Direction: relay.Inbound}))
	require.Equal(t, []relay.ID{ids[4]}, list(client.MessageFilter{Conversation: "address:ann"}))
	require.Equal(t, []relay.ID{ids[0]}, list(client.MessageFilter{State: client.StateDelivered}))
	require.Empty(t, list(client.MessageFilter{Until: time.Now().Add(-time.Hour)}))

	for _, bad := range []string{"limit=0", "limit=1001", "state=lost", "direction=up", "channelID=x", "destination=a.b", "until=tomorrow", "cursor=nonsense"} {
		a := w.get("GET", "/relay/v1/messages?"+bad, w.admin)
		require.Equal(t, http.StatusBadRequest, a.status, "%s: %s", bad, a.text)
		require.Len(t, a.fields(), 1)
	}
}

func TestALimitedKeySeesItsMessagesOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.channel(0, nil)
	w.channel(0, nil)
	admin := w.client(w.admin)
	theirs, err := admin.SendOutbound(t.Context(), client.OutboundMessage{ChannelID: 1001, TicketID: 5, Message: "theirs"})
	require.NoError(t, err)
	nobodys, err := admin.SendInbound(t.Context(), client.InboundMessage{TicketID: 5, Message: "of no channel"})
	require.NoError(t, err)
	mine, err := admin.SendOutbound(t.Context(), client.OutboundMessage{ChannelID: 1002, TicketID: 5, Message: "mine"})
	require.NoError(t, err)

	key := w.key([]int64{1002}, auth.RelayRead)
	page, err := w.client(key).Messages(t.Context(), client.MessageFilter{})
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	require.Equal(t, mine.MessageID, page.Items[0].ID)
	require.Equal(t, 200, w.get("GET", "/relay/v1/messages/"+string(mine.MessageID), key).status)
	for _, id := range []relay.ID{theirs.MessageID, nobodys.MessageID} {
		a := w.get("GET", "/relay/v1/messages/"+string(id), key)
		require.Equal(t, 403, a.status)
		require.NotContains(t, a.text, "theirs")
	}
	require.Equal(t, 403, w.get("GET", "/relay/v1/messages?channelID=1001", key).status)
}
