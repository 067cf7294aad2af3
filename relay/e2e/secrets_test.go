package e2e_test

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/relay/client"
	"omnirelay/relay/sink"
)

// TestNoSecretLeavesTheRelay has everything happen that is logged, at the level that logs
// most, and looks for what must never be there.
func TestNoSecretLeavesTheRelay(t *testing.T) {
	t.Parallel()
	const (
		secret   = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
		older    = "an-older-secret-of-the-channel"
		deskKey  = "the-helpdesks-signing-secret"
		body     = "the text of a message that is nobody else's business"
		sign     = "Kind regards, the agent"
		endpoint = "token=in-the-query-of-the-endpoint"
	)
	desk := receive(t, deskKey)
	r := start(t, "OMNIRELAY_LOG_LEVEL=trace", "OMNIRELAY_HELPDESK_KIND=webhook", "OMNIRELAY_HELPDESK_URL="+desk.url(), "OMNIRELAY_HELPDESK_SECRET="+deskKey)
	receiver := receive(t, secret, older)
	ctx := t.Context()
	ch := r.channel(receiver.url()+"?"+endpoint, func(f *client.ChannelFields) {
		f.Secret, f.IncludeSignature, f.MaxAttempts = new(older), new(true), new(2)
	})
	ch, err := r.UpdateChannel(ctx, ch.ID, client.ChannelFields{Secret: new(secret)})
	require.NoError(t, err)
	made, err := r.CreateKey(ctx, client.KeyFields{Name: "shop", Permissions: []string{"MESSAGE_CREATE"}})
	require.NoError(t, err)

	// A success, a failure with a dead letter, an endpoint that is not there, and customers'
	// messages; each by every way a key or token can be shown.
	message := client.OutboundMessage{ChannelID: ch.ID, TicketID: 1, Message: body, Signature: sign}
	sent, err := r.SendOutbound(ctx, message)
	require.NoError(t, err)
	r.becomes(sent.MessageID, client.StateDelivered)
	receiver.sink.Misbehave(sink.Fault{Action: sink.Answer, Status: 418})
	sent, err = r.SendOutbound(ctx, message)
	require.NoError(t, err)
	r.becomes(sent.MessageID, client.StateDead)
	receiver.close()
	sent, err = r.SendOutbound(ctx, message)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		m, err := r.Message(ctx, sent.MessageID)
		return err == nil && len(m.Attempts) > 0
	}, patience, glance)
	_, err = r.SendInbound(ctx, client.InboundMessage{ChannelID: ch.ID, Message: body})
	require.NoError(t, err)
	desk.accepts(1)
	answers := ""
	for _, call := range []struct{ method, path string }{
		{http.MethodGet, "/api/v2/channel?apiKey=" + r.key},
		{http.MethodGet, "/relay/v1/keys?apiKey=" + r.key},
		{http.MethodGet, "/api/v2/channel/x?apiKey=" + r.key},
		{http.MethodGet, "/api/v2/channel?apiKey=" + made.APIKey},
		{http.MethodPost, strings.TrimPrefix(ch.HookURL, r.p.API) + "?apiKey=" + r.key},
		{http.MethodPost, "/hooks/channel/1001/" + ch.HookToken + "x"},
	} {
		req, err := http.NewRequestWithContext(ctx, call.method, r.p.API+call.path, strings.NewReader("message="+url.QueryEscape(body)+"&ticketID=x"))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		answers += string(text)
	}
	shown, err := r.command("channel", "show", "1001")
	require.NoError(t, err)
	r.stop()

	log := r.output()
	require.Contains(t, log, `"level":"debug"`, "the test sees what it should look at")
	require.Contains(t, log, string(sent.MessageID))
	require.Equal(t, 1, strings.Count(log, r.key), "the first start shows its key, nothing else does")
	for name, text := range map[string]string{
		"the secret": secret, "the older secret": older, "the helpdesk's secret": deskKey, "a message": body, "an agent's signature": sign,
		"a made key": made.APIKey, "a hook's token": ch.HookToken, "the endpoint's query": endpoint,
	} {
		require.NotContains(t, log, text, "%s is in the log", name)
	}
	for name, text := range map[string]string{
		"the secret": secret, "the older secret": older, "the helpdesk's secret": deskKey, "the admin key": r.key, "a made key": made.APIKey,
	} {
		require.NotContains(t, answers+shown, text, "%s is in an answer", name)
	}
	// Only a hash of a key is stored, whatever file one looks into; the first key's own file is
	// what its reader needs.
	stored := storedBytes(t, r.dir)
	require.NotContains(t, stored, made.APIKey)
	require.NotContains(t, stored, r.key)
	require.Contains(t, stored, body, "the test reads what is stored")
}

// storedBytes is everything in the data directory but the first key's file.
func storedBytes(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	require.NoError(t, walk(os.DirFS(dir), func(name string, data []byte) {
		if name != "admin.key" {
			all.Write(data)
		}
	}))
	return all.String()
}
