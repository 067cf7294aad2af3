package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/client"
	"omnirelay/relay/sink"
)

// TestTheStandInEnforcesThePages: what stands in for the helpdesk takes what the pages allow
// and refuses what they forbid, or it would show nothing of the relay before it.
func TestTheStandInEnforcesThePages(t *testing.T) {
	t.Parallel()
	desk, _ := deskProcess(t)
	in := strings.NewReplacer("{server}", "https://chat.example.com/c", "{session}", sessionID, "{token}", "abcDEF0123456789",
		"{channel}", "1001", "{endpoint}", "https://app.example.com/in?a=b&c=d")
	pages := published()
	file := func(p page, pairs []string) []string {
		if p.path == "chat/addAttachment" {
			return append(slices.Clone(pairs), "file", "YWJj")
		}
		return pairs
	}
	// The good first: they make the channel and the session that the others need.
	for _, name := range []string{
		"channel create", "channel change", "customChannelMessage", "notifyUserNewChatMessage", "notifyUserNewChatEvent", "notifyUserVisited",
		"addAttachment", "notifyUserEndChat", "requestChatConfig", "checkOriginAndIP", "requestChatQueue",
	} {
		p := pages[name]
		desk.call(p.method, "/api/v2/"+in.Replace(p.path), nil, file(p, p.good(in))...)
	}
	before := desk.call("GET", "/agent/tickets", nil)
	channels := desk.call("GET", "/api/v2/channel", nil)
	tried := 0
	for name, p := range pages {
		good := p.good(in)
		for i, f := range p.fields {
			for _, bad := range f.bad(t, good[2*i+1]) {
				pairs := slices.Clone(good)
				pairs[2*i+1] = bad
				status, text := desk.ask(p.method, "/api/v2/"+in.Replace(p.path), nil, file(p, pairs)...)
				require.Equal(t, http.StatusBadRequest, status, "%s %s=%s: %s", name, f.name, bad, text)
				require.Contains(t, text, f.name)
				tried++
			}
		}
	}
	require.Greater(t, tried, 1000)
	require.Equal(t, before, desk.call("GET", "/agent/tickets", nil))
	require.Equal(t, channels, desk.call("GET", "/api/v2/channel", nil))
}

// TestWhatAnUnansweredCallMeans: the helpdesk knows no repeats, so the policy decides.
func TestWhatAnUnansweredCallMeans(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string]struct {
		state    client.State
		messages []string
	}{
		"retry": {client.StateDelivered, []string{"Hi", "Hi"}},
		"dead":  {client.StateDead, []string{"Hi"}},
	} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			d, env := openDesk(t, "OMNIRELAY_HELPDESK_ON_TIMEOUT="+policy, "OMNIRELAY_DELIVERY_RETRY_INITIAL=20ms", "OMNIRELAY_HELPDESK_API_KEY_IN=query")
			r := start(t, env...)
			r.channel("http://127.0.0.1:9/in")
			d.Misbehave(sink.Fault{Action: sink.CloseAfter, First: 1})
			sent, err := r.SendInbound(t.Context(), client.InboundMessage{ChannelID: 1001, FromAddress: "ann", Message: "Hi"})
			require.NoError(t, err)
			m := r.becomes(sent.MessageID, want.state)
			require.Equal(t, relay.ReasonAmbiguous, m.Attempts[0].Reason)
			require.Equal(t, want.messages, d.Tickets()[0].Messages)
			for _, c := range d.calls() {
				require.Empty(t, c.Key, "the key goes into the query")
			}
			require.NotContains(t, r.output(), deskKey)
			dead, err := r.Dead(t.Context(), client.DeadFilter{Reason: relay.ReasonAmbiguous})
			require.NoError(t, err)
			require.Equal(t, want.state == client.StateDead, len(dead.Items) == 1, "an operator decides")
		})
	}
}

// TestAChatServerThatComesBackGetsEverythingInOrder has agents answer two sessions, through the
// hook and by the API, while their chat server is away and the relay is killed.
func TestAChatServerThatComesBackGetsEverythingInOrder(t *testing.T) {
	t.Parallel()
	b := openRig(t)
	const other = "another-session-1"
	first := b.chats("http://"+b.server.addr+"/c", other, "Hello")
	b.becomes(first.MessageID, client.StateDelivered)
	sessions := []string{sessionID, other}
	want, n := map[string][]string{}, 0
	answer := func(rounds int) {
		for range rounds {
			for i, id := range sessions {
				text := fmt.Sprint("answer ", n)
				if n%3 == 0 {
					status, said := caller{t, b.program, "multipart"}.ask("POST", strings.TrimPrefix(b.account.HookURL, b.p.API)+"/messageForCustomer", nil, "chatSessionID", id, "message", text)
					require.Equal(t, http.StatusOK, status, said)
				} else {
					reply := client.ChatReply{SessionID: id, Message: text}
					if n%3 == 1 { // by the ticket, which agents know
						s, err := b.ChatSession(t.Context(), sessions[i])
						require.NoError(t, err)
						reply = client.ChatReply{TicketID: s.TicketID, Message: text}
					}
					_, err := b.SendReply(t.Context(), reply)
					require.NoError(t, err)
				}
				want[id] = append(want[id], text)
				n++
			}
		}
	}
	b.server.close()
	answer(10)
	b.kill()
	b.begin()
	answer(5)
	b.server.open()
	answer(5)
	got := map[string][]string{}
	for _, call := range hooked(t, b.server, n) {
		require.Equal(t, "verified", call.Signature)
		fields, _ := call.fields(t)
		got[fields["chatSessionID"]] = append(got[fields["chatSessionID"]], fields["message"])
	}
	require.Equal(t, want, got)
	require.Zero(t, b.server.sink.Stats().Repeats)
}
