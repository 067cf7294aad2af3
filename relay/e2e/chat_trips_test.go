package e2e_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/client"
)

// chats sends a customer's message in a session of a chat server.
func (b *rig) chats(server, session, text string) client.Accepted {
	b.t.Helper()
	a, err := b.SendChat(b.t.Context(), client.ChatMessage{ChatServer: server, SessionID: session, Token: b.account.Token, Message: text})
	require.NoError(b.t, err)
	return a
}

// attaches sends a customer's file in a session of a chat server.
func (b *rig) attaches(server, session, content string) relay.ID {
	b.t.Helper()
	query := url.Values{"chatServer": {server}, "chatSessionID": {session}, "chatAccountToken": {b.account.Token}}
	contentType, body := uploads(b.t, content)["raw"](nil)
	status, text := caller{b.t, b.program, ""}.send("POST", "/api/v2/chat/addAttachment?"+query.Encode(), nil, contentType, body)
	require.Equal(b.t, http.StatusOK, status, text)
	var answer client.Accepted
	require.NoError(b.t, json.Unmarshal([]byte(text), &answer))
	return answer.MessageID
}

// TestAHelpdeskThatComesBackGetsEverythingInOrder has sessions and customers of a custom
// channel write, with files in between, while the helpdesk goes away and comes back and the
// relay is killed.
func TestAHelpdeskThatComesBackGetsEverythingInOrder(t *testing.T) {
	t.Parallel()
	b := openRig(t)
	server := "http://" + b.server.addr + "/c"
	want := map[string][]string{sessionID: {"Hello"}} // by conversation, what was accepted in its order
	n := 1
	say := func(rounds int) {
		for range rounds {
			for c := range 3 {
				session := fmt.Sprint("session-number-", c)
				text := fmt.Sprint("text ", n)
				if rand.IntN(3) == 0 {
					b.attaches(server, session, text)
					text = fileText("file photo.jpg", "application/octet-stream", []byte(text))
				} else {
					b.chats(server, session, text)
				}
				want[session] = append(want[session], text)
				address := fmt.Sprint("customer ", c)
				_, err := b.SendInbound(t.Context(), client.InboundMessage{ChannelID: 1001, FromAddress: address, Message: text})
				require.NoError(t, err)
				want[address] = append(want[address], text)
				n += 2
			}
		}
	}
	say(5)
	b.desk.takes(n) // or closing could cut off its answer, and a helpdesk knows no repeats
	require.True(t, wait(func() bool {
		page, err := b.Messages(t.Context(), client.MessageFilter{State: client.StateQueued})
		return err == nil && len(page.Items) == 0
	}))
	b.desk.close()
	say(20)
	b.kill()
	b.begin()
	say(5)
	b.desk.open()
	say(5)
	got := map[string][]string{}
	for _, c := range b.desk.takes(n) {
		values := url.Values{}
		for _, f := range c.Fields {
			name, value, _ := strings.Cut(f, "=")
			values.Set(name, value)
		}
		query, err := url.ParseQuery(c.Query)
		require.NoError(t, err)
		id, text := values.Get("chatSessionID")+query.Get("chatSessionID")+values.Get("fromAddress"), values.Get("message")+c.File
		got[id] = append(got[id], text)
	}
	require.Equal(t, want, got)
	ids := map[string]bool{}
	for _, c := range b.desk.calls() {
		ids[c.ID] = true
	}
	require.Len(t, ids, n, "each came once")
	dead, err := b.Dead(t.Context(), client.DeadFilter{})
	require.NoError(t, err)
	require.Empty(t, dead.Items)
	b.answersReachTheirServers()
}

// answersReachTheirServers has an agent answer every chat.
func (b *rig) answersReachTheirServers() {
	t := b.t
	others := receive(t, secret)
	b.chats("http://"+others.addr, "session-elsewhere", "Hello from elsewhere")
	require.True(t, wait(func() bool {
		s, err := b.ChatSession(t.Context(), "session-elsewhere")
		return err == nil && s.TicketID != 0
	}))
	want := map[string][]string{}
	for _, ticket := range b.desk.Tickets() {
		if ticket.Session == "" {
			continue
		}
		require.Equal(t, b.account.HookURL, ticket.Server)
		for i := range 3 {
			text := fmt.Sprint("answer ", i, " to ", ticket.Session)
			status, err := b.desk.Reply(t.Context(), ticket.ID, text)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, status)
			want[ticket.Session] = append(want[ticket.Session], text)
		}
	}
	require.Len(t, want, 5)
	got := map[string][]string{}
	collect := func(r *receiver, n int) {
		for _, call := range hooked(t, r, n) {
			fields, _ := call.fields(t)
			got[fields["chatSessionID"]] = append(got[fields["chatSessionID"]], fields["message"])
		}
		r.isClean()
	}
	collect(others, 3)
	require.Len(t, got, 1, "its own session's and no other's")
	collect(b.server, 12)
	require.Equal(t, want, got)
}

// TestNobodyTakesOverASession tries to have a session's answers sent elsewhere.
func TestNobodyTakesOverASession(t *testing.T) {
	t.Parallel()
	b := openRig(t)
	evil := receive(t, secret)
	server, evilServer := "http://"+b.server.addr+"/c", "http://"+evil.addr
	thief, err := b.CreateAccount(t.Context(), client.AccountFields{Name: new("Another"), AllowedChatServers: []string{evilServer, server}})
	require.NoError(t, err)
	before := b.kept()
	for encoding := range encodings {
		c := caller{t, b.program, encoding}
		for name, test := range map[string]struct {
			call   string
			status int
			code   string
			pairs  []string
		}{
			"to another server":                {"notifyUserNewChatMessage", 403, "chat_server_changed", []string{"chatServer", evilServer, "chatAccountToken", b.account.Token, "message", "Hi"}},
			"to a path beside it":              {"notifyUserNewChatMessage", 403, "chat_server_changed", []string{"chatServer", server + "/../d", "chatAccountToken", b.account.Token, "message", "Hi"}},
			"with another account's token":     {"notifyUserNewChatMessage", 409, "chat_session_taken", []string{"chatServer", server, "chatAccountToken", thief.Token, "message", "Hi"}},
			"with that, to another server":     {"notifyUserNewChatMessage", 409, "chat_session_taken", []string{"chatServer", evilServer, "chatAccountToken", thief.Token, "message", "Hi"}},
			"a file to another server":         {"addAttachment", 403, "chat_server_changed", []string{"chatServer", evilServer, "chatAccountToken", b.account.Token, "file", "aGk="}},
			"a file with another's token":      {"addAttachment", 409, "chat_session_taken", []string{"chatServer", server, "chatAccountToken", thief.Token, "file", "aGk="}},
			"an event from another server":     {"notifyUserNewChatEvent", 403, "chat_server_changed", []string{"chatServer", evilServer, "event", "startedtyping"}},
			"a visit from another server":      {"notifyUserVisited", 403, "chat_server_changed", []string{"chatServer", evilServer, "url", "https://a/b"}},
			"an end from another server":       {"notifyUserEndChat", 403, "chat_server_changed", []string{"chatServer", evilServer}},
			"an event of an unknown session":   {"notifyUserNewChatEvent", 404, "not_found", []string{"chatSessionID", "another-session", "chatServer", server, "event", "startedtyping"}},
			"a visit of an unknown session":    {"notifyUserVisited", 404, "not_found", []string{"chatSessionID", "another-session", "chatServer", server, "url", "https://a/b"}},
			"the end of an unknown session":    {"notifyUserEndChat", 404, "not_found", []string{"chatSessionID", "another-session", "chatServer", server}},
			"a message with an unknown token":  {"notifyUserNewChatMessage", 400, "invalid_field", []string{"chatServer", server, "chatAccountToken", "unknown0token", "message", "Hi"}},
			"a config with an unknown token":   {"requestChatConfig", 400, "invalid_field", []string{"chatServer", server, "chatAccountToken", "unknown0token"}},
			"a config for a forbidden server":  {"requestChatConfig", 403, "chat_server_forbidden", []string{"chatServer", server + "d", "chatAccountToken", thief.Token}},
			"a message to a forbidden address": {"notifyUserNewChatMessage", 400, "invalid_field", []string{"chatSessionID", "another-session", "chatServer", "http://169.254.169.254/latest", "chatAccountToken", b.account.Token, "message", "Hi"}},
		} {
			if !slices.Contains(test.pairs, "chatSessionID") {
				test.pairs = append(test.pairs, "chatSessionID", sessionID)
			}
			status, text := c.ask("POST", "/api/v2/chat/"+test.call, nil, test.pairs...)
			require.Equal(t, test.status, status, "%s: %s", name, text)
			require.Contains(t, text, `"code":"`+test.code+`"`, name)
		}
		status, text := c.ask("POST", strings.TrimPrefix(thief.HookURL, b.p.API)+"/messageForCustomer", nil, "chatSessionID", sessionID, "message", "psst")
		require.Equal(t, http.StatusNotFound, status, text)
	}
	require.Equal(t, before, b.kept(), "something was stored")
	s, err := b.ChatSession(t.Context(), sessionID)
	require.NoError(t, err)
	require.Equal(t, server, s.ChatServer)
	status, err := b.desk.Reply(t.Context(), s.TicketID, "Still here?")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	fields, _ := hooked(t, b.server, 1)[0].fields(t)
	require.Equal(t, "Still here?", fields["message"])
	require.Zero(t, evil.sink.Stats().Requests)
}

// TestAWidgetOutlivesTheHelpdesk: what was answered a moment ago is answered again.
func TestAWidgetOutlivesTheHelpdesk(t *testing.T) {
	t.Parallel()
	b := openRig(t)
	c := caller{t, b.program, "json"}
	first := c.call("POST", "/api/v2/chat/requestChatQueue", nil, "chatAccountToken", b.account.Token)
	asked := b.desk.count()
	require.Equal(t, first, c.call("POST", "/api/v2/chat/requestChatQueue", nil, "chatAccountToken", b.account.Token))
	require.Equal(t, asked, b.desk.count(), "an answer is kept for a short while")
	b.desk.close()
	require.Equal(t, first, c.call("POST", "/api/v2/chat/requestChatQueue", nil, "chatAccountToken", b.account.Token))
	status, text := c.ask("POST", "/api/v2/chat/requestChatConfig", nil, "chatServer", "http://"+b.server.addr+"/c", "chatAccountToken", b.account.Token)
	require.Equal(t, http.StatusServiceUnavailable, status, text)
	require.Contains(t, text, `"code":"helpdesk_unavailable"`)
}
