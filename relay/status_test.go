package relay_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
)

func TestStatusMessages(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 10, 0, 0, 5e6, time.UTC)
	m := &relay.Message{
		ID: "msg_1", Type: "message.outbound", Direction: relay.Outbound, Kind: relay.KindMessage, Destination: relay.ChannelDestination(1001),
		Conversation: "ticket:7", ChannelID: 1001, ChannelName: "App", TicketID: 7, AcceptedAt: at, Text: "secret",
	}
	queued, key := relay.QueuedStatus(m, 17)
	require.Equal(t, "status:msg_1@17:0:queued", key)
	require.Equal(t, relay.Message{
		Type: relay.TypeStatus, Direction: relay.Outbound, Kind: relay.KindMessage, Destination: "status-1001",
		Conversation: "ticket:7", ChannelID: 1001, ChannelName: "App", TicketID: 7,
		Fields: map[string]string{"messageID": "msg_1", "direction": "out", "state": "queued", "at": "2026-11-22T10:00:00.005Z"},
	}, queued, "without the text")
	require.False(t, queued.Told(), "nobody is told of a status message")

	failed, key := relay.AttemptStatus(m, &relay.Attempt{
		Position: 17, Number: 2, Outcome: relay.Retry, Reason: relay.ReasonStatus5xx, Status: 503,
		StartedAt: at, Duration: relay.Duration(time.Second), NextAt: at.Add(time.Minute),
	})
	require.Equal(t, "status:msg_1@17:2:retrying", key)
	require.Equal(t, map[string]string{
		"messageID": "msg_1", "direction": "out", "state": "retrying", "at": "2026-11-22T10:00:01.005Z",
		"reason": "status_5xx", "attempt": "2", "status": "503", "nextAt": "2026-11-22T10:01:00.005Z",
	}, failed.Fields)

	m.TicketID = 0
	done, key := relay.AttemptStatus(m, &relay.Attempt{Position: 17, Number: 3, Outcome: relay.Delivered, Reason: relay.ReasonOK, TicketID: 12312, StartedAt: at})
	require.Equal(t, "status:msg_1@17:3:delivered", key)
	require.EqualValues(t, 12312, done.TicketID, "learnt by the attempt")
	dead, _ := relay.AttemptStatus(m, &relay.Attempt{Outcome: relay.Dead, Reason: relay.ReasonExpired, StartedAt: at})
	require.Equal(t, relay.StateDead, dead.Fields[relay.StatusState])
	require.NotContains(t, dead.Fields, relay.StatusHTTP)
	require.NotContains(t, dead.Fields, relay.StatusNextAt)
}

func TestWhoseStatusIsTold(t *testing.T) {
	t.Parallel()
	for m, want := range map[*relay.Message]bool{
		{ChannelID: 1, Type: "message.inbound", Kind: relay.KindMessage}: true,
		{ChannelID: 0, Type: "message.inbound", Kind: relay.KindMessage}: false,
		{ChannelID: 8, Type: "chat.event", Kind: relay.KindEvent}:        false,
		{ChannelID: 1, Type: relay.TypeStatus, Kind: relay.KindMessage}:  false,
	} {
		require.Equal(t, want, m.Told(), m.Type)
	}
}

func TestStatusDestinations(t *testing.T) {
	t.Parallel()
	id, ok := relay.StatusDestination(1001).Status()
	require.True(t, ok)
	require.EqualValues(t, 1001, id)
	for _, d := range []relay.Destination{"status-", "status-0", "status-x", "channel-1", relay.Helpdesk, relay.ChatDestination("x")} {
		_, ok := d.Status()
		require.False(t, ok, d)
	}
	_, ok = relay.StatusDestination(1001).Channel()
	require.False(t, ok)
}
