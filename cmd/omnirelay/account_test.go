package main

import (
	"context"
	"encoding/json"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"omnirelay/relay/client"
	"omnirelay/relay/config"
	"omnirelay/relay/daemon"
)

// startRelay starts a relay for a test and says how to reach it.
func startRelay(t *testing.T) (base string, environ []string) {
	t.Helper()
	c := config.Default()
	c.Listen, c.AdminListen, c.DataDir = "127.0.0.1:0", "127.0.0.1:0", t.TempDir()
	c.BootstrapKey = config.NewSecret("a-bootstrap-key-of-the-test")
	c.Egress.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	d, err := daemon.New(t.Context(), daemon.Options{Config: c, Version: "test", Log: zerolog.Nop()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Stop(context.Background())) })
	require.NoError(t, d.Start(t.Context()))
	base = "http://" + d.Addr().String()
	return base, []string{"OMNIRELAY_API_KEY=a-bootstrap-key-of-the-test", "OMNIRELAY_API_URL=" + base}
}

func TestChatAccountsOnTheCommandLine(t *testing.T) {
	t.Parallel()
	base, environ := startRelay(t)
	done := func(args ...string) string {
		t.Helper()
		r := run(t, "", environ, args...)
		require.Equal(t, exitDone, r.code, r.err)
		return r.out
	}
	var made struct {
		client.Account
		Secret string `json:"secret"`
	}
	out := done("account", "create", "-o", "json", "--name", "Web shop", "--chat-server", "http://127.0.0.1:9/a,http://127.0.0.1:9/b",
		"--origin", "shop.example.com", "--opening-hours", "mon-fri 09:00-17:30", "--opening-hours", "sat 10:00-14:00", "--time-zone", "Europe/Amsterdam", "--generate-secret")
	require.NoError(t, json.Unmarshal([]byte(out), &made))
	require.Regexp(t, "^whsec_", made.Secret)
	require.Equal(t, []string{"http://127.0.0.1:9/a", "http://127.0.0.1:9/b"}, made.AllowedChatServers)
	require.Equal(t, []string{"mon-fri 09:00-17:30", "sat 10:00-14:00"}, made.OpeningHours)

	shown := done("account", "show", "Web shop")
	require.Contains(t, shown, made.Token)
	require.Contains(t, shown, base+"/hooks/chat/"+made.HookToken)
	require.NotContains(t, shown, made.Secret)
	require.Contains(t, done("account", "list"), made.ID)

	changed := done("account", "update", made.ID, "--origin", "", "--max-queue", "3")
	require.Regexp(t, `origins +any`, changed)
	require.Regexp(t, `max queue +3`, changed)
	require.Regexp(t, `opening hours +mon-fri`, changed)

	// A customer writes, so that there is a session.
	c, err := client.New(client.Options{BaseURL: base, Key: "a-bootstrap-key-of-the-test"})
	require.NoError(t, err)
	_, err = c.SendChat(t.Context(), client.ChatMessage{ChatServer: "http://127.0.0.1:9/a", SessionID: "session-0001", Token: made.Token, Message: "Hello"})
	require.NoError(t, err)
	sessions := done("account", "sessions", "Web shop")
	require.Contains(t, sessions, "session-0001")
	require.Contains(t, sessions, "waiting")

	require.Contains(t, done("account", "delete", "Web shop"), "is deleted")
	r := run(t, "", environ, "account", "show", "Web shop")
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.err, `there is no chat account "Web shop"`)
	for line, want := range map[string][]string{
		"nothing to change":          {"account", "update", "x"},
		"takes one argument":         {"account", "show"},
		"--limit must be at least 1": {"account", "sessions", "--limit", "0"},
	} {
		r := run(t, "", environ, want...)
		require.Equal(t, exitMisuse, r.code, r.err)
		require.Contains(t, r.err, line)
	}
}

func TestScheduledMessagesOnTheCommandLine(t *testing.T) {
	t.Parallel()
	base, environ := startRelay(t)
	c, err := client.New(client.Options{BaseURL: base, Key: "a-bootstrap-key-of-the-test"})
	require.NoError(t, err)
	channel, err := c.CreateChannel(t.Context(), client.ChannelFields{Name: new("Shop"), Endpoint: new("http://127.0.0.1:9/in")})
	require.NoError(t, err)
	at := time.Now().Add(time.Hour).UTC()
	sent, err := c.SendOutbound(t.Context(), client.OutboundMessage{ChannelID: channel.ID, TicketID: 5, Message: "later", SendAt: at.Format(time.DateTime)})
	require.NoError(t, err)
	require.WithinDuration(t, at, sent.SendAt, time.Second)
	list := run(t, "", environ, "scheduled", "list")
	require.Equal(t, exitDone, list.code, list.err)
	require.Contains(t, list.out, string(sent.MessageID))
	cancel := run(t, "", environ, "scheduled", "cancel", string(sent.MessageID))
	require.Equal(t, exitDone, cancel.code, cancel.err)
	again := run(t, "", environ, "scheduled", "cancel", string(sent.MessageID))
	require.Equal(t, exitFailed, again.code)
	require.Contains(t, again.err, url.PathEscape(string(sent.MessageID)))
	require.Equal(t, exitMisuse, run(t, "", environ, "scheduled", "cancel", "x").code)
}
