package api_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/tickets"
)

// TestAnAgentsMessageFindsTheTicketsCustomer: an app may know its customers by their
// addresses and nothing of tickets.
func TestAnAgentsMessageFindsTheTicketsCustomer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.channel(0, nil)
	require.NoError(t, w.tickets.Learn(t.Context(), tickets.Customer{ChannelID: c.ID, Address: "ann"}, 7))
	hook := "/hooks/channel/1001/" + c.HookToken.Reveal()
	for i, test := range []struct {
		path   string
		fields []string
		want   string
	}{
		{outboundPath, []string{"type", "1001", "ticketID", "7"}, "ann"},
		{hook, []string{"ticketID", "7"}, "ann"},
		{outboundPath, []string{"type", "1001", "ticketID", "7", "toAddress", "ann at work"}, "ann at work"},
		{outboundPath, []string{"type", "1001", "ticketID", "8"}, ""},
	} {
		a := w.send("POST", test.path, w.admin, "json", append(test.fields, "message", "Hi")...)
		require.Equal(t, 200, a.status, a.text)
		m := w.stored(relay.Position(i + 1))
		require.Equal(t, test.want, m.ToAddress)
		require.Equal(t, relay.ConversationOf(m.TicketID, "", "", 0), m.Conversation, "the order is the ticket's, whoever it goes to")
	}
}

// TestTheTicketOfAnAnswerIsShown: the sender named none.
func TestTheTicketOfAnAnswerIsShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.channel(0, nil)
	a := w.send("POST", inboundPath, w.admin, "json", "channelID", "1001", "fromAddress", "ann", "message", "Hi")
	require.Equal(t, 200, a.status, a.text)
	show := func() answer { return w.get("GET", "/relay/v1/messages/"+a.body["messageID"].(string), w.admin) }
	require.Nil(t, show().field("item", "ticketID"))
	w.attempt(1, relay.Delivered, relay.ReasonOK, func(a *relay.Attempt) { a.TicketID = 12312 })
	require.EqualValues(t, 12312, show().field("item", "ticketID"))
	list := w.get("GET", "/relay/v1/messages", w.admin)
	require.EqualValues(t, 12312, list.body["items"].([]any)[0].(map[string]any)["ticketID"])
	require.Equal(t, "address:ann", show().field("item", "conversation"))
}
