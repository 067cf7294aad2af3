package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/client"
	"omnirelay/relay/crash"
	"omnirelay/relay/sink"
)

// deskProcess runs the stand-in for the helpdesk as a program of its own and returns a caller
// of it and the settings that put it behind a relay.
func deskProcess(t *testing.T) (caller, []string) {
	t.Helper()
	address := freeAddress(t)
	cmd := exec.Command(binary, "sink", "--as", "helpdesk", "--listen", address, "--api-key", deskKey)
	var out said
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // fails only when it has ended
		require.NoError(t, cmd.Wait())
		if t.Failed() {
			t.Logf("the helpdesk said:\n%s", out.String())
		}
	})
	require.True(t, wait(func() bool {
		return strings.Contains(out.String(), "Answering as a helpdesk on http://"+address)
	}), out.String())
	return caller{t, &program{t: t, key: deskKey, p: &crash.Process{API: "http://" + address}}, "multipart"}, []string{
		"OMNIRELAY_HELPDESK_KIND=omnidesk", "OMNIRELAY_HELPDESK_BASE_URL=http://" + address, "OMNIRELAY_HELPDESK_API_KEY=" + deskKey,
		"OMNIRELAY_EGRESS_ALLOW=127.0.0.0/8",
	}
}

// step is a line of what import and push do.
type step struct{ Name, Action, Error string }

// TestARelayIsPutInFrontOfAHelpdesk does what somebody does who has a helpdesk with channels
// and wants a relay before it: import, push, and then talk both ways.
func TestARelayIsPutInFrontOfAHelpdesk(t *testing.T) {
	t.Parallel()
	desk, env := deskProcess(t)
	app := receive(t)
	for _, name := range []string{"App", "Forum"} {
		desk.call("POST", "/api/v2/channel", nil, "name", name, "icon", "note", "custom_channel_endpoint", app.url()+"/"+name)
	}
	r := start(t, append(env, "OMNIRELAY_LISTEN="+freeAddress(t))...)
	does := func(args ...string) map[string]string {
		t.Helper()
		text, err := r.commandWith(env, append([]string{"channel", "-o", "json"}, args...)...)
		require.NoError(t, err)
		var steps []step
		require.NoError(t, json.Unmarshal([]byte(text), &steps), text)
		actions := map[string]string{}
		for _, s := range steps {
			require.Empty(t, s.Error)
			actions[s.Name] = s.Action
		}
		return actions
	}
	ours := func() (list []client.Channel) {
		for ch, err := range r.AllChannels(t.Context()) {
			require.NoError(t, err)
			list = append(list, ch)
		}
		return list
	}
	endpoints := func() map[string]any {
		by := map[string]any{}
		for _, item := range desk.call("GET", "/api/v2/channel", nil)["items"].([]any) {
			ch := item.(map[string]any)
			by[ch["name"].(string)] = ch["custom_channel_endpoint"]
		}
		return by
	}
	both := map[string]string{"App": "create", "Forum": "create"}
	said, err := r.commandWith(env, "channel", "import", "--from", "helpdesk", "--dry-run")
	require.NoError(t, err)
	require.Contains(t, said, "Nothing was changed: this is a dry run.")
	require.Equal(t, both, does("import", "--from", "helpdesk", "--dry-run"))
	require.Empty(t, ours(), "a dry run")
	require.Equal(t, both, does("import", "--from", "helpdesk"))
	require.Len(t, ours(), 2)
	require.EqualValues(t, 1001, ours()[0].ID, "under the helpdesk's ids")
	require.Equal(t, app.url()+"/App", ours()[0].Endpoint)
	require.Equal(t, map[string]string{"App": "skip", "Forum": "skip"}, does("import", "--from", "helpdesk"))

	update := map[string]string{"App": "update", "Forum": "update"}
	before := endpoints()
	require.Equal(t, update, does("push", "--to", "helpdesk", "--dry-run"))
	require.Equal(t, before, endpoints(), "a dry run")
	require.Equal(t, update, does("push", "--to", "helpdesk"))
	require.Equal(t, map[string]any{"App": ours()[0].HookURL, "Forum": ours()[1].HookURL}, endpoints())

	// A customer writes, an agent answers, and the app gets the answer for the customer.
	sent, err := r.SendInbound(t.Context(), client.InboundMessage{ChannelID: 1001, FromAddress: "ann", Message: "Hello"})
	require.NoError(t, err)
	ticket := r.becomes(sent.MessageID, client.StateDelivered).TicketID
	require.NotZero(t, ticket, "the helpdesk's answer named it")
	var tickets []sink.Ticket
	text, err := json.Marshal(desk.call("GET", "/agent/tickets", nil)["items"])
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &tickets))
	require.Equal(t, []sink.Ticket{{ID: ticket, ChannelID: 1001, Address: "ann", Messages: []string{"Hello"}}}, tickets)
	desk.call("POST", "/agent/reply", nil, "ticketID", fmt.Sprint(ticket), "message", "Hi Ann")
	got := hooked(t, app, 1)[0]
	require.Equal(t, "/hook/App", got.Path)
	require.Contains(t, got.Body, `"message":"Hi Ann"`)
	require.Contains(t, got.Body, `"toAddress":"ann"`)
	status, said := desk.ask("POST", "/api/v2/channel/customChannelMessage", http.Header{"Apikey": {"another"}}, "channelID", "1001", "message", "Hi")
	require.Equal(t, http.StatusUnauthorized, status, said)
}

// TestACustomersTicketIsRememberedOverACrash: the helpdesk names it once.
func TestACustomersTicketIsRememberedOverACrash(t *testing.T) {
	t.Parallel()
	b := openRig(t)
	var ticket int64
	// A crash may repeat what had just arrived, under the same id.
	atDesk := func(id relay.ID) deskCall {
		calls := b.desk.calls()
		at := slices.IndexFunc(calls, func(c deskCall) bool { return c.ID == string(id) })
		require.GreaterOrEqual(t, at, 0)
		return calls[at]
	}
	for i, text := range []string{"one", "two", "three"} {
		sent, err := b.SendInbound(t.Context(), client.InboundMessage{ChannelID: 1001, FromAddress: "ann", Message: text})
		require.NoError(t, err)
		m := b.becomes(sent.MessageID, client.StateDelivered)
		require.NotZero(t, m.TicketID)
		require.Equal(t, "address:ann", m.Conversation)
		want := []string{"channelID=1001", "message=" + text, "fromAddress=ann"}
		if i > 0 {
			require.Equal(t, ticket, m.TicketID)
			want = append([]string{fmt.Sprint("ticketID=", ticket)}, want...)
		}
		require.Equal(t, want, atDesk(sent.MessageID).Fields)
		ticket = m.TicketID

		b.becomes(b.send(1001, ticket, "answer to "+text), client.StateDelivered)
		lines := b.server.lines.all()
		at := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, "answer to "+text) })
		require.GreaterOrEqual(t, at, 0)
		require.Contains(t, lines[at], `\"toAddress\":\"ann\"`)
		require.Contains(t, lines[at], fmt.Sprintf(`\"conversation\":\"ticket:%d\"`, ticket))
		b.kill()
		b.begin()
	}
}
