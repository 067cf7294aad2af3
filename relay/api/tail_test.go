package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/auth"
	"omnirelay/relay/client"
)

// follow opens a tail over a server whose requests may take a moment only.
func (w *world) follow(key string, f client.TailFilter) (*client.Tail, *client.Client, error) {
	w.t.Helper()
	server := httptest.NewUnstartedServer(w.api)
	server.Config.ReadTimeout = 50 * time.Millisecond
	server.Config.RegisterOnShutdown(w.api.Close)
	server.Start()
	w.t.Cleanup(server.Close)
	c, err := client.New(client.Options{BaseURL: server.URL, Key: key, HTTP: &http.Client{Transport: server.Client().Transport}})
	require.NoError(w.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	w.t.Cleanup(cancel)
	tail, err := c.Tail(ctx, f)
	return tail, c, err
}

func TestTail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.channel(1001, nil)
	w.channel(1002, nil)
	tail, c, err := w.follow(w.admin, client.TailFilter{ChannelID: 1001})
	require.NoError(t, err)
	defer tail.Close()
	// Longer than the server's limit on the time of a request.
	<-time.After(100 * time.Millisecond)

	_, err = c.SendOutbound(t.Context(), client.OutboundMessage{ChannelID: 1002, TicketID: 1, Message: "not asked for"})
	require.NoError(t, err)
	sent, err := c.SendOutbound(t.Context(), client.OutboundMessage{ChannelID: 1001, TicketID: 1, Message: "two\nlines"})
	require.NoError(t, err)
	e, err := tail.Next()
	require.NoError(t, err)
	require.NotNil(t, e.Message)
	require.Equal(t, sent.MessageID, e.Message.ID)
	require.Equal(t, "two\nlines", e.Message.Text)
	require.Equal(t, client.StateQueued, e.Message.State)

	id := w.bury(1001, relay.ReasonExhausted, time.Now())
	e, err = tail.Next()
	require.NoError(t, err)
	require.Equal(t, id, e.Message.ID)
	require.NoError(t, c.DiscardDead(t.Context(), id))
	e, err = tail.Next()
	require.NoError(t, err)
	require.NotNil(t, e.Attempt)
	require.Equal(t, id, e.Attempt.MessageID)
	require.Equal(t, relay.ReasonDiscarded, e.Attempt.Reason)

	w.api.Close()
	_, err = tail.Next()
	require.ErrorIs(t, err, client.ErrTailEnded)
}

func TestALimitedKeySeesItsOwnEventsOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.channel(1001, nil)
	w.channel(1002, nil)
	tail, _, err := w.follow(w.key([]int64{1002}, auth.RelayRead), client.TailFilter{})
	require.NoError(t, err)
	defer tail.Close()
	c := w.client(w.admin)
	_, err = c.SendOutbound(t.Context(), client.OutboundMessage{ChannelID: 1001, TicketID: 1, Message: "theirs"})
	require.NoError(t, err)
	_, err = c.SendInbound(t.Context(), client.InboundMessage{TicketID: 1, Message: "of no channel"})
	require.NoError(t, err)
	mine, err := c.SendOutbound(t.Context(), client.OutboundMessage{ChannelID: 1002, TicketID: 1, Message: "mine"})
	require.NoError(t, err)
	e, err := tail.Next()
	require.NoError(t, err)
	require.Equal(t, mine.MessageID, e.Message.ID)
}

func TestTailsThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	limited := w.key([]int64{1002}, auth.RelayRead)
	for name, tc := range map[string]struct {
		key    string
		filter client.TailFilter
		status int
	}{
		"no key":        {"", client.TailFilter{}, http.StatusUnauthorized},
		"other channel": {limited, client.TailFilter{ChannelID: 1001}, http.StatusForbidden},
		"no such place": {w.admin, client.TailFilter{Destination: "NO"}, http.StatusBadRequest},
	} {
		_, _, err := w.follow(tc.key, tc.filter)
		refusal := new(client.Error)
		require.ErrorAs(t, err, &refusal, name)
		require.Equal(t, tc.status, refusal.Status, name)
		require.NotEmpty(t, refusal.Code, name)
	}
}
