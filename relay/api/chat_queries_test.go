package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay/api"
	"omnirelay/relay/chat"
	"omnirelay/relay/client"
	"omnirelay/relay/helpdesk"
)

func TestTheAccountsAnswerTheFourQuestions(t *testing.T) {
	t.Parallel()
	// A Sunday.
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	w := newWorld(t, func(o *api.Options) { o.Now = func() time.Time { return now } })
	a := w.account(func(p *chat.Patch) {
		p.AllowedOrigins = &[]string{"shop.example.com", "*.example.org"}
		p.Blacklist = &[]string{"192.0.2.0/24"}
		p.Languages = &[]string{"nl", "en"}
		p.OpeningHours = &[]string{"sun 09:00-17:00"}
		p.TimeZone = new("Europe/Amsterdam")
		p.MaxQueue = new(1)
	})
	config := func() client.ChatConfig {
		var c struct{ Item client.ChatConfig }
		answer := w.send("POST", chatPath+"requestChatConfig", w.admin, "json", "chatServer", chatServer, "chatAccountToken", a.Token)
		require.Equal(t, 200, answer.status, answer.text)
		require.NoError(t, json.Unmarshal([]byte(answer.text), &c))
		return c.Item
	}
	c := config()
	require.True(t, c.Available)
	require.Equal(t, time.Date(2026, 11, 22, 16, 0, 0, 0, time.UTC), c.ClosesAt.UTC())
	require.Equal(t, []string{"nl", "en"}, c.Languages)
	require.Equal(t, []string{"sun 09:00-17:00"}, c.OpeningHours)
	require.EqualValues(t, 25<<20, c.MaxAttachmentBytes)

	queue := func() map[string]any {
		answer := w.send("POST", chatPath+"requestChatQueue", w.admin, "urlencoded", "chatAccountToken", a.Token)
		require.Equal(t, 200, answer.status, answer.text)
		return answer.body
	}
	require.Equal(t, map[string]any{"type": "result", "message": "No chat waits for an agent.", "queue": 0.0, "maxQueue": 1.0, "full": false, "open": true}, queue())
	w.begun(a)
	require.Equal(t, map[string]any{"type": "result", "message": "1 chat waits for an agent.", "queue": 1.0, "maxQueue": 1.0, "full": true, "open": true}, queue())
	require.False(t, config().Available, "it is full")
	now = now.Add(12 * time.Hour)
	c = config()
	require.False(t, c.Open)
	require.Equal(t, time.Date(2026, 11, 29, 8, 0, 0, 0, time.UTC), c.OpensAt.UTC())

	for _, test := range []struct {
		origin, ip string
		reasons    []any
	}{
		{"shop.example.com", "198.51.100.7", []any{}},
		{"a.example.org", "2001:db8::7", []any{}},
		{"evil.example.com", "198.51.100.7", []any{"origin"}},
		{"shop.example.com", "192.0.2.7", []any{"ip"}},
		{"evil.example.com", "192.0.2.7", []any{"origin", "ip"}},
	} {
		answer := w.send("POST", chatPath+"checkOriginAndIP", w.admin, "multipart", "chatServer", chatServer, "chatAccountToken", a.Token, "origin", test.origin, "ip", test.ip)
		require.Equal(t, 200, answer.status, answer.text)
		require.Equal(t, test.reasons, answer.body["reasons"])
		require.Equal(t, len(test.reasons) == 0, answer.body["allowed"])
	}
	answer := w.send("POST", chatPath+"checkOriginAndIP", w.admin, "json", "chatServer", chatServer, "chatAccountToken", a.Token, "origin", "a", "ip", "localhost")
	require.Equal(t, []string{"ip"}, answer.fields())

	lists := w.get("GET", chatPath+"whitelistedDomainsAndBlacklistedIPs", w.admin)
	require.Equal(t, []any{"*.example.org", "shop.example.com"}, lists.field("item", "whitelistedDomains"))
	require.Equal(t, []any{"192.0.2.0/24"}, lists.field("item", "blacklistedIPs"))
}

// desk stands in for a helpdesk that is asked.
type desk struct {
	answer json.RawMessage
	err    error
	call   string
	fields helpdesk.Values
}

func (d *desk) Ask(_ context.Context, call string, fields helpdesk.Values) (json.RawMessage, error) {
	d.call, d.fields = call, fields
	return d.answer, d.err
}

func TestTheHelpdeskIsAskedWhereThereIsOne(t *testing.T) {
	t.Parallel()
	d := &desk{answer: json.RawMessage(`{"type":"result","anything":[1]}`)}
	w := newWorld(t, func(o *api.Options) { o.Queries = d })
	a := w.account(func(p *chat.Patch) { p.AllowedOrigins = &[]string{"shop.example.com"} })
	ours := "https://relay.example.org/hooks/chat/" + a.HookToken.Reveal()
	config := helpdesk.Values{"chatServer": ours, "chatAccountToken": a.Token}
	for name, want := range map[string]helpdesk.Values{
		"requestChatConfig": config,
		"checkOriginAndIP":  {"chatServer": ours, "chatAccountToken": a.Token, "origin": "shop.example.com", "ip": "192.0.2.7"},
		"requestChatQueue":  {"chatAccountToken": a.Token},
	} {
		answer := w.send("POST", chatPath+name, w.admin, "json", pairs(chatCalls(a.Token)[name].good)...)
		require.Equal(t, 200, answer.status, answer.text)
		require.JSONEq(t, string(d.answer), answer.text)
		require.Equal(t, name, d.call)
		require.Equal(t, want, d.fields)
	}
	require.Equal(t, 200, w.get("GET", chatPath+"whitelistedDomainsAndBlacklistedIPs", w.admin).status)
	require.Equal(t, "whitelistedDomainsAndBlacklistedIPs", d.call)

	d.err = &helpdesk.RefusedError{Status: 400, Message: "No such token."}
	answer := w.send("POST", chatPath+"requestChatQueue", w.admin, "json", "chatAccountToken", a.Token)
	require.Equal(t, 400, answer.status)
	require.Equal(t, "helpdesk_refused", answer.body["code"])
	require.Contains(t, answer.body["message"], "No such token.")
	d.err = errors.New("dial tcp: connection refused")
	answer = w.send("POST", chatPath+"requestChatQueue", w.admin, "json", "chatAccountToken", a.Token)
	require.Equal(t, 503, answer.status)
	require.Equal(t, "helpdesk_unavailable", answer.body["code"])
	require.NotEmpty(t, answer.header.Get("Retry-After"))
	require.NotContains(t, answer.text, "dial tcp")
}
