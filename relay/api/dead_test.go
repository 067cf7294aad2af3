package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/queue"
	"omnirelay/relay"
	"omnirelay/relay/auth"
	"omnirelay/relay/client"
)

// bury accepts a message for the channel and makes a dead letter of it, as its owner would.
func (w *world) bury(channel int64, reason relay.Reason, at time.Time) relay.ID {
	w.t.Helper()
	m := relay.Message{
		Type: "message.outbound", Direction: relay.Outbound, Kind: relay.KindMessage,
		Destination: relay.ChannelDestination(channel), ChannelID: channel, Conversation: "ticket:1", TicketID: 1, Text: "hello",
	}
	receipt, err := w.queue.Append(w.t.Context(), &m, "")
	require.NoError(w.t, err)
	require.NoError(w.t, w.queue.Bury(w.t.Context(), queue.DeadLetter{Message: m, DiedAt: at, Attempt: relay.Attempt{
		MessageID: m.ID, Position: receipt.Position, Destination: m.Destination, Conversation: m.Conversation, ChannelID: channel,
		Number: 10, Outcome: relay.Dead, Reason: reason, Status: 503, StartedAt: at,
	}}))
	return m.ID
}

func TestDeadLettersAreListedOldestFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	ids := []relay.ID{
		w.bury(1001, relay.ReasonExhausted, at),
		w.bury(1002, relay.ReasonExpired, at.Add(time.Hour)),
		w.bury(1001, relay.ReasonGone, at.Add(2*time.Hour)),
	}
	c := w.client(w.admin)
	list := func(f client.DeadFilter) []relay.ID {
		var found []relay.ID
		for d, err := range c.AllDead(t.Context(), f) {
			require.NoError(t, err)
			found = append(found, d.Message.ID)
		}
		return found
	}
	require.Equal(t, ids, list(client.DeadFilter{}))
	require.Equal(t, ids, list(client.DeadFilter{Limit: 1}), "page by page")
	require.Equal(t, []relay.ID{ids[0], ids[2]}, list(client.DeadFilter{ChannelID: 1001}))
	require.Equal(t, ids[1:2], list(client.DeadFilter{Destination: "channel-1002"}))
	require.Equal(t, ids[2:], list(client.DeadFilter{Reason: relay.ReasonGone}))
	require.Equal(t, ids[1:2], list(client.DeadFilter{Since: at.Add(time.Hour), Until: at.Add(2 * time.Hour)}))

	page, err := c.Dead(t.Context(), client.DeadFilter{Limit: 1})
	require.NoError(t, err)
	require.Equal(t, relay.ReasonExhausted, page.Items[0].Attempt.Reason)
	require.Equal(t, "hello", page.Items[0].Message.Text)
	one, err := c.DeadLetter(t.Context(), ids[0])
	require.NoError(t, err)
	require.Equal(t, page.Items[0], one)
	require.Equal(t, at, page.Items[0].DiedAt)

	for _, bad := range []string{"limit=0", "limit=1001", "reason=bad_luck", "channelID=x", "destination=NO", "since=yesterday", "cursor=nonsense"} {
		a := w.get("GET", "/relay/v1/dead?"+bad, w.admin)
		require.Equal(t, http.StatusBadRequest, a.status, "%s: %s", bad, a.text)
		require.Len(t, a.fields(), 1)
	}
}

func TestADeadLetterIsReplayedUnderItsOwnID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.bury(1001, relay.ReasonExhausted, time.Now())
	c := w.client(w.admin)
	receipt, err := c.ReplayDead(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, id, receipt.MessageID)
	again := w.stored(2)
	require.Equal(t, id, again.ID)
	require.Contains(t, again.ReplayedBy, "test key (key key_")
	page, err := c.Dead(t.Context(), client.DeadFilter{})
	require.NoError(t, err)
	require.Empty(t, page.Items)
	_, err = c.ReplayDead(t.Context(), id)
	require.ErrorContains(t, err, "no dead letter")
}

func TestADeadLetterIsDiscardedForGood(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.bury(1001, relay.ReasonExhausted, time.Now())
	c := w.client(w.admin)
	require.NoError(t, c.DiscardDead(t.Context(), id))
	page, err := c.Dead(t.Context(), client.DeadFilter{})
	require.NoError(t, err)
	require.Empty(t, page.Items)
	refusal := new(client.Error)
	require.ErrorAs(t, c.DiscardDead(t.Context(), id), &refusal)
	require.Equal(t, 404, refusal.Status)

	var by string
	_, err = w.queue.ReadAttempts(t.Context(), 0, 0, func(_ uint64, a relay.Attempt) { by = a.By })
	require.NoError(t, err)
	require.Contains(t, by, "test key (key key_", "the record says who did it")
}

func TestALimitedKeySeesItsDeadLettersOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	theirs := w.bury(1001, relay.ReasonExhausted, time.Now())
	mine := w.bury(1002, relay.ReasonExhausted, time.Now())
	key := w.key([]int64{1002}, auth.RelayRead, auth.RelayAdmin)
	c := w.client(key)
	page, err := c.Dead(t.Context(), client.DeadFilter{})
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	require.Equal(t, mine, page.Items[0].Message.ID)
	require.Equal(t, 403, w.get("GET", "/relay/v1/dead?channelID=1001", key).status)
	require.Equal(t, 403, w.get("GET", "/relay/v1/dead/"+string(theirs), key).status)
	require.Equal(t, 403, w.get("POST", "/relay/v1/dead/"+string(theirs)+"/replay", key).status)
	require.Equal(t, 403, w.get("POST", "/relay/v1/dead/"+string(theirs)+"/discard", key).status)
	_, err = c.ReplayDead(t.Context(), mine)
	require.NoError(t, err)
}
