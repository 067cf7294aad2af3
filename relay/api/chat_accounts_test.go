package api_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/auth"
	"omnirelay/relay/client"
)

func clientScheduled(limit int) client.ScheduledFilter { return client.ScheduledFilter{Limit: limit} }

func TestAccountsByTheClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.client(w.admin)
	made, err := c.CreateAccount(t.Context(), client.AccountFields{
		Name: new("Web shop"), Token: new("abcDEF0123456789"),
		AllowedChatServers: []string{"https://chat.example.com"}, AllowedOrigins: []string{"shop.example.com", "*.example.org"},
		BlacklistedIPs: []string{"192.0.2.7"}, Languages: []string{"nl"}, OpeningHours: []string{"mon-fri 09:00-17:30", "sat 10:00-14:00"},
		TimeZone: new("Europe/Amsterdam"), MaxQueue: new(5), Secret: new("a shared secret"),
	})
	require.NoError(t, err)
	require.Equal(t, "abcDEF0123456789", made.Token)
	require.True(t, made.SecretSet)
	require.Equal(t, "https://relay.example.org/hooks/chat/"+made.HookToken, made.HookURL)
	require.Equal(t, []string{"mon-fri 09:00-17:30", "sat 10:00-14:00"}, made.OpeningHours)

	_, err = c.CreateAccount(t.Context(), client.AccountFields{Name: new("Other"), Token: new("abcDEF0123456789")})
	require.ErrorContains(t, err, "token already")
	_, err = c.CreateAccount(t.Context(), client.AccountFields{Token: new("short"), TimeZone: new("Nowhere"), OpeningHours: []string{"always"}})
	refusal := new(client.Error)
	require.ErrorAs(t, err, &refusal)
	var names []string
	for _, f := range refusal.Fields {
		names = append(names, f.Field)
	}
	require.ElementsMatch(t, []string{"name", "token", "time_zone", "opening_hours"}, names)

	changed, err := c.UpdateAccount(t.Context(), made.ID, client.AccountFields{AllowedOrigins: []string{}, Secret: new("another"), MaxQueue: new(0)})
	require.NoError(t, err)
	require.Empty(t, changed.AllowedOrigins)
	require.Equal(t, []string{"https://chat.example.com"}, changed.AllowedChatServers)
	require.Zero(t, changed.MaxQueue)
	require.WithinDuration(t, time.Now().Add(24*time.Hour), changed.PreviousSecretUntil, time.Hour)

	list, err := c.Accounts(t.Context())
	require.NoError(t, err)
	require.Equal(t, []client.Account{changed}, list)
	reader, err := w.client(w.key(nil, auth.RelayRead)).Account(t.Context(), made.ID)
	require.NoError(t, err)
	require.Empty(t, reader.Token+reader.HookToken+reader.HookURL, "tokens are for those who may change accounts")
	require.Equal(t, "Web shop", reader.Name)

	require.NoError(t, c.DeleteAccount(t.Context(), made.ID))
	_, err = c.Account(t.Context(), made.ID)
	require.ErrorContains(t, err, "no chat account")
	require.NotContains(t, w.log.String(), "a shared secret")
	require.NotContains(t, w.log.String(), made.Token)
}

func TestSessionsByTheClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.account(nil)
	other := w.account(nil)
	w.begun(a)
	w.send("POST", chatPath+"notifyUserNewChatMessage", w.admin, "json", pairs(with(chatMessage(other.Token), "chatSessionID", "another-session"))...)
	c := w.client(w.admin)
	s, err := c.ChatSession(t.Context(), sessionID)
	require.NoError(t, err)
	require.Equal(t, chatServer, s.ChatServer)
	require.Equal(t, relay.ChatDestination(chatServer), s.Destination)
	require.Equal(t, a.ID, s.AccountID)
	page, err := c.ChatSessions(t.Context(), client.ChatSessionFilter{Limit: 1})
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	page, err = c.ChatSessions(t.Context(), client.ChatSessionFilter{Limit: 1, Cursor: page.Next})
	require.NoError(t, err)
	require.Equal(t, "another-session", page.Items[0].ID)
	require.Empty(t, page.Next)
	page, err = c.ChatSessions(t.Context(), client.ChatSessionFilter{AccountID: a.ID})
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	_, err = c.SendReply(t.Context(), client.ChatReply{SessionID: sessionID, Message: "ok"})
	require.NoError(t, err)
	messages, err := c.Messages(t.Context(), client.MessageFilter{ChannelID: 8, Direction: relay.Outbound})
	require.NoError(t, err)
	require.Len(t, messages.Items, 1, "live chat has a channel's number and many destinations")
	require.Equal(t, s.Destination, messages.Items[0].Destination)
	held, err := c.Hold(t.Context(), s.Destination, "the chat server moves")
	require.NoError(t, err)
	require.Equal(t, s.Destination, held.Destination)
	_, err = c.ChatSession(t.Context(), "unknown-session")
	require.ErrorContains(t, err, "no such chat session")
}
